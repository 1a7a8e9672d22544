"""What `generate` promises: which picture, which shape, which label."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
import torch
from terminal import terminal

from vae.images.synthetic import DEFECTS, SyntheticHands, generate_hands
from vae.progress import show_progress

TIPS = [4, 8, 12, 16, 20]


@pytest.fixture(scope="module")
def hands() -> SyntheticHands:
    return generate_hands(200, 64, seed=0)


def same(first: SyntheticHands, second: SyntheticHands) -> bool:
    """Compare all fields, bit for bit; NaN equals NaN."""
    for field in fields(SyntheticHands):
        one, other = getattr(first, field.name), getattr(second, field.name)
        if isinstance(one, torch.Tensor):
            one, other = one.float().nan_to_num(-1.0).tolist(), other.float().nan_to_num(-1.0).tolist()
        if one != other:
            return False
    return True


def rows(hands: SyntheticHands, start: int, stop: int) -> SyntheticHands:
    return SyntheticHands(**{field.name: getattr(hands, field.name)[start:stop] for field in fields(hands)})


def test_same_seed_gives_same_pictures() -> None:
    assert same(generate_hands(3, 32, seed=7), generate_hands(3, 32, seed=7))


def test_numpy_s_integers_are_as_good_as_python_s() -> None:
    of_numpy = generate_hands(np.uint8(1), np.uint8(16), seed=np.uint8(200), first=np.uint8(3))
    assert same(of_numpy, generate_hands(1, 16, seed=200, first=3))


def test_other_seed_gives_other_pictures() -> None:
    assert not torch.equal(generate_hands(3, 32, seed=7).images, generate_hands(3, 32, seed=8).images)


@pytest.mark.parametrize("defect", ["none", "any"])
def test_few_pictures_are_the_beginning_of_more(defect: str) -> None:
    many = generate_hands(23, 33, seed=1, defect=defect, rings=True, sleeves=True)
    few = generate_hands(5, 33, seed=1, defect=defect, rings=True, sleeves=True)
    assert same(few, rows(many, 0, 5))


def test_first_skips_pictures() -> None:
    many = generate_hands(9, 32, seed=1, defect="any")
    assert same(generate_hands(4, 32, seed=1, defect="any", first=5), rows(many, 5, 9))


@pytest.mark.parametrize("points", [1, 20_000, 1 << 22])
def test_chunk_size_does_not_change_a_bit(points: int, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = generate_hands(17, 50, seed=2, defect="any", rings=True, sleeves=True)
    monkeypatch.setattr("vae.images.synthetic.render.CHUNK_POINTS", {"cpu": points})
    assert same(generate_hands(17, 50, seed=2, defect="any", rings=True, sleeves=True), usual)


def test_global_random_state_is_left_alone() -> None:
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    generate_hands(1, 16, seed=0)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("size", [16, 97])
def test_fields_have_documented_shapes_and_types(size: int) -> None:
    hands = generate_hands(3, size, seed=0)
    found = [(value.shape, value.dtype) for value in (hands.images, hands.joints, hands.digit_masks)]
    assert found == [
        ((3, 3, size, size), torch.uint8),
        ((3, 21, 2), torch.float32),
        ((3, 6, size, size), torch.bool),
    ]
    assert (hands.palm_masks.shape, hands.palm_masks.dtype) == ((3, size, size), torch.bool)
    assert len(hands.defect) == len(hands.side) == len(hands.hand) == len(hands.spread) == len(hands.tone) == 3


def test_all_joints_of_correct_hands_lie_inside_the_picture(hands: SyntheticHands) -> None:
    assert bool(((hands.joints > 0) & (hands.joints < 64)).all())


def test_no_digit_of_a_correct_hand_touches_the_border(hands: SyntheticHands) -> None:
    inner = torch.zeros(64, 64, dtype=torch.bool)
    inner[1:-1, 1:-1] = True
    assert not bool((hands.digit_masks & ~inner).any())


def test_correct_hands_show_five_digits_and_no_sixth(hands: SyntheticHands) -> None:
    areas = hands.digit_masks.sum((2, 3))
    assert int(areas[:, :5].min()) >= 30
    assert int(areas[:, 5].max()) == 0


def test_masks_do_not_overlap(hands: SyntheticHands) -> None:
    layers = hands.digit_masks.sum(1) + hands.palm_masks
    assert int(layers.max()) == 1


def test_each_tip_lies_in_the_mask_of_its_digit(hands: SyntheticHands) -> None:
    for digit, tip in enumerate(TIPS):
        x, y = hands.joints[:, tip].long().unbind(-1)
        assert bool(hands.digit_masks[torch.arange(200), digit, y, x].all())


def test_wrist_lies_in_the_mask_of_the_palm(hands: SyntheticHands) -> None:
    x, y = hands.joints[:, 0].long().unbind(-1)
    assert bool(hands.palm_masks[torch.arange(200), y, x].all())


def test_fingers_point_up_and_never_cross(hands: SyntheticHands) -> None:
    fingers = hands.joints[:, 5:].unflatten(1, (4, 4))  # (n, finger, joint, xy)
    assert bool((fingers[:, :, 3, 1] < fingers[:, :, 0, 1]).all())
    steps = torch.diff(fingers[..., 0], dim=1)  # from the index on, neighbours lie on one and the same side
    assert bool(((steps > 0).all((1, 2)) | (steps < 0).all((1, 2))).all())


def test_side_and_hand_tell_where_the_thumb_is(hands: SyntheticHands) -> None:
    thumb_left = hands.joints[:, 4, 0] < hands.joints[:, 20, 0]
    expected = [(side == "dorsal") == (hand == "right") for side, hand in zip(hands.side, hands.hand, strict=True)]
    assert thumb_left.tolist() == expected


def test_both_sides_and_both_hands_are_common(hands: SyntheticHands) -> None:
    kinds = list(zip(hands.side, hands.hand, strict=True))
    assert min(kinds.count((s, h)) for s in ("dorsal", "palmar") for h in ("left", "right")) >= 25


def test_hand_fills_most_of_the_height(hands: SyntheticHands) -> None:
    seen = (hands.digit_masks.any(1) | hands.palm_masks).any(2)
    share = seen.sum(1) / 64
    assert 0.75 < float(share.min()) < float(share.max()) < 0.97


def test_forearm_leaves_through_the_bottom(hands: SyntheticHands) -> None:
    assert bool(hands.palm_masks[:, -1].any(1).all())


def test_tones_span_the_human_range_and_darken_the_picture(hands: SyntheticHands) -> None:
    assert float(hands.tone.min()) < -50
    assert float(hands.tone.max()) > 60
    grey = hands.images.float().mean(1)
    skin = (grey * hands.palm_masks).sum((1, 2)) / hands.palm_masks.sum((1, 2))
    both = torch.stack((skin, hands.tone))
    assert float(torch.corrcoef(both)[0, 1]) > 0.8


def test_ground_is_nearly_white(hands: SyntheticHands) -> None:
    corners = hands.images[:, :, :3, ::61].float()
    assert float(corners.mean((1, 2, 3)).min()) > 215
    assert float(corners.mean()) > 245


def test_spread_fingers_are_farther_apart(hands: SyntheticHands) -> None:
    gap = (hands.joints[:, 8] - hands.joints[:, 20]).norm(dim=-1)
    assert float(gap[hands.spread > 0.7].mean()) > 1.5 * float(gap[hands.spread == 0].mean())


def test_any_mixes_all_defects() -> None:
    assert set(generate_hands(120, 16, seed=0, defect="any").defect) == set(DEFECTS)


@pytest.mark.parametrize(("rings", "sleeves"), [(True, False), (False, True)])
def test_accessories_change_about_half_the_pictures(rings: bool, sleeves: bool) -> None:
    bare = generate_hands(80, 32, seed=3)
    worn = generate_hands(80, 32, seed=3, rings=rings, sleeves=sleeves)
    changed = (bare.images != worn.images).flatten(1).any(1).float().mean()
    assert 0.3 < float(changed) < 0.7
    assert torch.equal(bare.joints, worn.joints)


def test_progress_is_shown_on_request_only() -> None:
    for asked in (False, True):
        with terminal() as shown:
            generate_hands(1, 16, seed=0, progress=asked)
        assert shown == [""]  # as is a second's work
    with terminal() as shown, show_progress(between_frames=0.0, unseen=0.0):
        generate_hands(1, 16, seed=0)
    assert "Rendering hands:" in shown[0]


@pytest.mark.parametrize(
    ("n", "size", "seed", "defect", "message"),
    [
        (0, 64, 0, "none", "n must be at least 1, got 0"),
        (1, 15, 0, "none", r"size must lie in 16\.\.1024, got 15"),
        (1, 1025, 0, "none", r"size must lie in 16\.\.1024, got 1025"),
        (1, 64, -1, "none", "seed must be at least 0, got -1"),
        (1, 64, 0, "claw", "defect must be one of 'none', 'any', 'missing_digit', .*, got 'claw'"),
    ],
)
def test_wrong_argument_is_named(n: int, size: int, seed: int, defect: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        generate_hands(n, size, seed=seed, defect=defect)


def test_negative_first_is_named() -> None:
    with pytest.raises(ValueError, match="first must be at least 0, got -1"):
        generate_hands(1, 64, seed=0, first=-1)
