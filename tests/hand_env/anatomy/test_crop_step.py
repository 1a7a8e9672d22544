import math

import pytest
import torch

from hand_env.anatomy.crop_step import LEAST, MOST, Frames, cut_out, frame_hands, whole_pictures

HAND = torch.tensor([True])


def hand_joints(centre, size, turn):
    """(1, 21, 2): a wrist below, tips above, turned clockwise about the centre."""
    straight = torch.rand(1, 21, 2, generator=torch.Generator().manual_seed(0)) - 0.5
    straight[0, :2] = torch.tensor([[0.0, 0.5], [0.0, -0.5]])
    away = straight * size
    cos, sin = math.cos(turn), math.sin(turn)
    turned = torch.stack([cos * away[..., 0] - sin * away[..., 1], sin * away[..., 0] + cos * away[..., 1]], -1)
    return turned + torch.tensor(centre)


def pointing(turn):
    return torch.tensor([[math.sin(turn), -math.cos(turn)]])


def test_a_large_upright_hand_stays_as_it_is():
    frames = frame_hands(hand_joints([0.5, 0.5], 0.8, 0.1), pointing(0.1), HAND)
    assert not frames.cut().any()


def test_a_small_turned_hand_is_framed_upright():
    frames = frame_hands(hand_joints([0.3, 0.6], 0.3, 1.2), pointing(1.2), HAND)
    assert torch.allclose(frames.centre, torch.tensor([[0.3, 0.6]]), atol=0.03)
    assert 0.3 < float(frames.side) < 0.5
    assert math.isclose(float(frames.turn), 1.2, abs_tol=1e-5)


def test_a_large_hand_is_cut_out_if_it_is_turned_and_a_small_one_if_it_is_upright():
    assert frame_hands(hand_joints([0.5, 0.5], 0.8, 1.0), pointing(1.0), HAND).cut().all()
    assert frame_hands(hand_joints([0.5, 0.5], 0.3, 0.0), pointing(0.0), HAND).cut().all()


def test_a_square_is_neither_tiny_nor_far_larger_than_the_picture():
    assert float(frame_hands(hand_joints([0.5, 0.5], 0.01, 0.0), pointing(0.0), HAND).side) == pytest.approx(LEAST)
    assert float(frame_hands(hand_joints([0.5, 0.5], 1.9, 1.0), pointing(1.0), HAND).side) == pytest.approx(MOST)


def test_a_square_moved_sideways_alone_is_cut_out():
    assert Frames(torch.tensor([[0.4, 0.5]]), torch.ones(1), torch.zeros(1)).cut().all()


def test_where_there_is_no_hand_nothing_is_cut():
    frames = frame_hands(hand_joints([0.3, 0.6], 0.3, 1.2), pointing(1.2), torch.tensor([False]))
    assert not frames.cut().any()


def test_the_square_shows_the_hand_upright():
    picture = torch.zeros(1, 3, 64, 64)
    picture[:, :, 30:34, 40:56] = 1.0  # a bar that points right
    picture[:, :, 30:34, 50:56] = 0.5  # its tip
    frames = Frames(torch.tensor([[0.75, 0.5]]), torch.tensor([0.4]), torch.tensor([math.pi / 2]))
    seen = cut_out(picture, frames, 40)[0, 0]
    assert abs(float(seen[8, 20]) - 0.5) < 0.1  # the tip is above
    assert float(seen[30, 20]) > 0.9


def test_beyond_the_frame_is_the_border_s_median_colour():
    picture = torch.full((1, 3, 32, 32), 0.25)
    frames = Frames(torch.tensor([[0.0, 0.0]]), torch.tensor([1.0]), torch.tensor([0.3]))
    assert torch.allclose(cut_out(picture, frames, 24), torch.full((1, 3, 24, 24), 0.25), atol=1e-5)


def test_the_median_is_that_of_all_four_sides():
    picture = torch.full((1, 3, 32, 32), 0.5)
    picture[:, :, [0, -1]] = 1.0
    picture[:, :, 0, :15] = 0.0
    beyond = Frames(torch.tensor([[-1.0, -1.0]]), torch.tensor([0.5]), torch.tensor([0.0]))
    assert torch.allclose(cut_out(picture, beyond, 24), torch.tensor(0.5), atol=1e-5)


def test_a_large_square_is_shrunk_without_skipping_pixels():
    lines = torch.zeros(1, 3, 128, 128)
    lines[..., ::2] = 1.0
    frames = Frames(torch.tensor([[0.5, 0.5]]), torch.tensor([1.0]), torch.tensor([0.2]))
    assert cut_out(lines, frames, 32)[:, :, 12:20, 12:20].std() < 0.1


def test_places_in_the_square_are_found_again_in_the_picture():
    frames = Frames(torch.tensor([[0.3, 0.6]]), torch.tensor([0.5]), torch.tensor([math.pi / 2]))
    places = frames.to_picture(torch.tensor([[[0.5, 0.5], [0.5, 0.0]]]))
    assert torch.allclose(places, torch.tensor([[[0.3, 0.6], [0.55, 0.6]]]), atol=1e-6)
    assert torch.equal(whole_pictures(1, torch.device("cpu")).to_picture(places), places)
