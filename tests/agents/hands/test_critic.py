"""The critics and the perceptual distance."""

import torch

from agents.hands.critic import Critic, critic_loss, passing_loss
from agents.hands.perceptual import Perceptual


def test_critics_look_at_two_resolutions():
    maps = Critic()(torch.rand(2, 3, 128, 128))
    assert [m.shape for m in maps] == [(2, 1, 16, 16), (2, 1, 4, 4)]


def test_the_hinge_loss_is_zero_where_both_sides_are_told_apart_by_far():
    far = [torch.full((2, 1, 4, 4), 3.0)]
    assert critic_loss(far, [-far[0]]) == 0
    assert critic_loss([-far[0]], far) == 8
    assert passing_loss(far) == -3


def test_pictures_that_look_more_alike_are_nearer(drawn):
    look, pictures = Perceptual(), drawn.images[:4].float() / 255
    blurred = torch.nn.functional.avg_pool2d(pictures, 5, 1, 2)
    same, soft, other = (look(pictures, p) for p in (pictures, blurred, pictures.roll(1, 0)))
    assert same == 0
    assert 0 < soft < other


def test_the_distance_has_a_gradient_in_the_picture_and_none_in_the_network(drawn):
    look, pictures = Perceptual(), drawn.images[:2].float() / 255
    moved = (0.9 * pictures).requires_grad_()
    look(moved, pictures).backward()
    assert moved.grad.abs().sum() > 0
    assert not any(p.requires_grad for p in look.parameters())
