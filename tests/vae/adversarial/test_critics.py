"""The critics and the perceptual distance."""

from functools import partial

import pytest
import torch

from vae.adversarial import critics
from vae.adversarial.critics import FeatureCritic, PatchCritic, critic_loss, disguise, passing_loss
from vae.adversarial.perceptual import Perceptual, Stages
from vae.distribution import PictureFeatures


def test_critics_look_at_two_resolutions_and_at_features_of_four_depths():
    images = torch.rand(2, 3, 128, 128)
    for critic, expected in (
        (PatchCritic(), [(2, 1, 16, 16), (2, 1, 4, 4)]),
        (FeatureCritic(128, 128), [(2, 1, 4, 4)] * 4),
    ):
        assert [m.shape for m in critic(critic.see(images))] == expected


def test_critics_of_features_can_look_at_enlarged_pictures(drawn):
    pictures, enlarged = drawn.images[:2].float() / 255, FeatureCritic(128, 192).eval()
    as_they_are = FeatureCritic(128, 128).eval()
    as_they_are.load_state_dict(enlarged.state_dict())
    found = enlarged(enlarged.see(pictures))
    assert [m.shape for m in found] == [(2, 1, 6, 6)] * 4
    larger = torch.nn.functional.interpolate(pictures, size=(192, 192), mode="bicubic")
    for own, expected in zip(found, as_they_are(as_they_are.see(larger)), strict=True):
        torch.testing.assert_close(own, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("side", [96, 200])
def test_pictures_are_enlarged_to_a_multiple_of_32_or_not_at_all(side):
    with pytest.raises(ValueError, match=f"multiple of 32 of at least 128, the VAE's size, got {side}"):
        FeatureCritic(128, side)


@pytest.mark.parametrize("make", [PatchCritic, partial(FeatureCritic, 128, 192)])
def test_while_critics_do_not_learn_their_verdict_still_has_a_gradient_in_the_picture(drawn, make):
    critic, pictures = make(), (drawn.images[:2].float() / 255).requires_grad_()
    critic.learn(False)
    passing_loss(critic(critic.see(pictures))).backward()
    assert pictures.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in critic.parameters())
    critic.learn(True)
    passing_loss(critic(critic.see(pictures))).backward()
    learned = {name for name, parameter in critic.named_parameters() if parameter.grad is not None}
    assert learned == {name for name, _ in critic.named_parameters() if not name.startswith("stages.")}


def test_a_disguise_leaves_the_outline_of_what_it_does_not_black_out(drawn, monkeypatch):
    monkeypatch.setattr(critics, "SHIFT", 0)
    pictures = drawn.images[:16].float() / 255
    changed = disguise(pictures, torch.Generator().manual_seed(0))
    assert torch.equal(changed, disguise(pictures, torch.Generator().manual_seed(0)))
    black = (changed == 0).all(1)
    assert 0 < black.flatten(1).any(1).sum() < 16  # some of the pictures
    for before, after, out in zip(pictures.mean(1), changed.mean(1), black, strict=True):
        assert torch.corrcoef(torch.stack([before[~out], after[~out]]))[0, 1] > 0.99


def test_a_disguise_shifts_all_pictures_by_the_same_whole_pixels(drawn, monkeypatch):
    pictures, seen = drawn.images[:3].float() / 255, set()
    for seed in range(12):
        shifted = disguise(pictures, torch.Generator().manual_seed(seed))
        with monkeypatch.context() as patch:
            patch.setattr(critics, "SHIFT", 0)
            still = disguise(pictures, torch.Generator().manual_seed(seed))
        by = [
            (down, right)
            for down in range(-8, 9)
            for right in range(-8, 9)
            if torch.equal(still.roll((-down, -right), (2, 3))[..., 8:-8, 8:-8], shifted[..., 8:-8, 8:-8])
        ]
        assert len(by) == 1
        seen.update(by)
    assert len(seen) > 6
    assert shifted.isfinite().all()


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


def test_the_folded_network_sees_what_the_network_sees(drawn):
    pictures, network, taken, expected = (
        drawn.images[:2].float() / 255,
        PictureFeatures("lite0").network,
        (0, 4, 10, 15),
        [],
    )
    with torch.no_grad():
        x = network._swish(network._bn0(network._conv_stem(pictures * 2 - 1)))
        for number, block in enumerate(network._blocks):
            x = block(x)
            if number in taken:
                expected.append(x)
        results = Stages(taken)(pictures)
    for found, aim in zip(results, expected, strict=True):
        torch.testing.assert_close(found, aim, rtol=1e-4, atol=1e-4 * float(aim.abs().max()))
