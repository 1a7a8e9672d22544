import math

import torch

from hand_env.anatomy.crop_step import Frames, cut_out, frame_hands, whole_pictures


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
    frames = frame_hands(hand_joints([0.5, 0.5], 0.8, 0.1), pointing(0.1), torch.tensor([True]))
    assert not frames.cut().any()


def test_a_small_turned_hand_is_framed_upright():
    frames = frame_hands(hand_joints([0.3, 0.6], 0.3, 1.2), pointing(1.2), torch.tensor([True]))
    assert torch.allclose(frames.centre, torch.tensor([[0.3, 0.6]]), atol=0.03)
    assert 0.3 < float(frames.side) < 0.5
    assert math.isclose(float(frames.turn), 1.2, abs_tol=1e-5)


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


def test_places_in_the_square_are_found_again_in_the_picture():
    frames = Frames(torch.tensor([[0.3, 0.6]]), torch.tensor([0.5]), torch.tensor([math.pi / 2]))
    places = frames.to_picture(torch.tensor([[[0.5, 0.5], [0.5, 0.0]]]))
    assert torch.allclose(places, torch.tensor([[[0.3, 0.6], [0.55, 0.6]]]), atol=1e-6)
    assert torch.equal(whole_pictures(1, torch.device("cpu")).to_picture(places), places)
