"""Each defect shows in the labels as promised, and nothing else changes."""

from __future__ import annotations

import torch
from torch import Tensor

from vae.images.synthetic import SyntheticHands, generate_hands

N = 60
FINGERS = range(1, 5)


def draw(defect: str) -> SyntheticHands:
    hands = generate_hands(N, 64, seed=4, defect=defect)
    assert hands.defect == (defect,) * N
    return hands


def finger_lengths(hands: SyntheticHands) -> Tensor:
    """Return (n, 5), from the first joint of each digit to its tip, in breadths of the four knuckles."""
    digits = hands.joints[:, 1:].unflatten(1, (5, 4))
    start = torch.cat((digits[:, :1, 1], digits[:, 1:, 0]), 1)
    breadth = (hands.joints[:, 5] - hands.joints[:, 17]).norm(dim=-1, keepdim=True)
    lengths: Tensor = (digits[:, :, 3] - start).norm(dim=-1) / breadth
    return lengths


def changed_digits(defect: str) -> Tensor:
    """Return (n, 5) float, the length of each digit relative to the correct hand of the same index."""
    return finger_lengths(draw(defect)) / finger_lengths(draw("none"))


def test_missing_digit_has_an_empty_mask_and_no_joints() -> None:
    hands = draw("missing_digit")
    empty = ~hands.digit_masks[:, :5].any((2, 3))
    gone = hands.joints[:, 1:].unflatten(1, (5, 4)).isnan().all(-1)
    assert empty.sum(1).tolist() == [1] * N
    assert torch.equal(gone.all(-1), empty)
    assert torch.equal(gone.any(-1), empty)
    assert bool(empty.any(0).all())


def test_extra_digit_adds_a_sixth_mask_and_keeps_the_five() -> None:
    hands = draw("extra_digit")
    areas = hands.digit_masks.sum((2, 3))
    assert int(areas.min()) >= 25
    assert not bool(hands.joints.isnan().any())


def test_second_thumb_adds_a_sixth_mask_and_leaves_the_fingers() -> None:
    hands = draw("second_thumb")
    assert int(hands.digit_masks.sum((2, 3)).min()) >= 25
    fingers, correct = (picture.joints[:, 5:].unflatten(1, (4, 4)) for picture in (hands, draw("none")))
    ways = [points[:, :, 3] - points[:, :, 0] for points in (fingers, correct)]
    assert float(torch.cosine_similarity(ways[0], ways[1], dim=-1).min()) > 0.9999


def test_fused_digits_are_two_neighbours_side_by_side() -> None:
    hands = draw("fused_digits")
    tips, knuckles = hands.joints[:, [8, 12, 16, 20]], hands.joints[:, [5, 9, 13, 17]]
    near = torch.diff(knuckles, dim=1).norm(dim=-1) < 0.75 * torch.diff(
        draw("none").joints[:, [5, 9, 13, 17]], dim=1
    ).norm(dim=-1)
    assert near.sum(1).tolist() == [1] * N
    tip_gap, knuckle_gap = (torch.diff(points, dim=1).norm(dim=-1)[near] for points in (tips, knuckles))
    assert bool((tip_gap < 1.4 * knuckle_gap).all())


def test_missing_segment_leaves_one_finger_without_dip_and_short() -> None:
    hands = draw("missing_segment")
    gone = hands.joints.isnan().any(-1)
    assert gone.sum(1).tolist() == [1] * N
    assert set(gone.nonzero()[:, 1].tolist()) == {7, 11, 15}
    short = changed_digits("missing_segment") < 0.8
    assert torch.equal(short[:, 1:4], gone[:, [7, 11, 15]])


def test_extra_segment_makes_one_finger_too_long() -> None:
    ratio = changed_digits("extra_segment")
    assert (ratio > 1.25).sum(1).tolist() == [1] * N
    assert int(((ratio - 1).abs() < 1e-3).sum()) == 4 * N


def test_length_out_of_range_changes_one_digit_only() -> None:
    ratio = changed_digits("length_out_of_range")
    wrong = (ratio - 1).abs() > 0.2
    assert wrong.sum(1).tolist() == [1] * N
    assert int(((ratio - 1).abs() < 1e-3).sum()) == 4 * N
    assert bool((ratio > 1.3).any())
    assert bool((ratio < 0.7).any())


def test_ghost_digit_is_paler_than_the_other_digits() -> None:
    hands = draw("ghost_digit")
    grey = hands.images.float().mean(1, keepdim=True)
    areas = hands.digit_masks.sum((2, 3))
    means = (grey * hands.digit_masks).sum((2, 3)) / areas.clamp(min=1)
    means[areas == 0] = torch.nan
    others = means.nanmedian(1, keepdim=True).values
    pale = (means - others) > 0.3 * (255 - others)
    assert pale.sum(1).tolist() == [1] * N
    assert bool(pale[:, 5].any())
    assert bool(pale[:, :5].any())


def test_defects_keep_side_hand_and_tone_of_the_correct_hand() -> None:
    none, ghost = draw("none"), draw("ghost_digit")
    assert (none.side, none.hand) == (ghost.side, ghost.hand)
    assert torch.equal(none.tone, ghost.tone)
