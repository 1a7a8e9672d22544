"""Turn correct skeletons into malformed ones, with one clear defect each."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from vae.images.random_source import PictureSource
from vae.images.synthetic.skeleton import INDEX, PINKY, SIXTH, THUMB, Skeleton


def apply_defects(skeleton: Skeleton, kinds: Sequence[str], random: PictureSource) -> Tensor:
    """Edit each hand according to its kind of defect.

    Args:
        skeleton: n hands, edited in place, before they are posed.
        kinds: n names, each "none" or one of `EDITS`.
        random: Random numbers of n pictures.

    Returns:
        (n,) int64, the slot of the half-transparent digit, -1 if there is none.
    """
    ghosts = torch.full((len(kinds),), -1)
    for kind, edit in EDITS.items():
        rows = torch.tensor([row for row, name in enumerate(kinds) if name == kind], dtype=torch.int64)
        if len(rows):
            ghosts[rows] = edit(skeleton, rows, random.rows(rows))
    return ghosts


def _none(rows: Tensor) -> Tensor:
    return torch.full_like(rows, -1)


def _missing_digit(skeleton: Skeleton, rows: Tensor, random: PictureSource) -> Tensor:
    """Remove a digit and shorten its metacarpal, so that no stump is left."""
    digit = random.choice(0, 5)
    skeleton.present[rows, digit] = False
    keep = torch.where(digit == THUMB, 0.3, 0.76).double().unsqueeze(-1)
    root, knuckle = skeleton.root[rows, digit], skeleton.knuckle[rows, digit]
    skeleton.knuckle[rows, digit] = root + keep * (knuckle - root)
    return _none(rows)


def _extra_digit(skeleton: Skeleton, rows: Tensor, random: PictureSource) -> Tensor:
    """Add a finger between two others, which make room, or beyond the pinky."""
    after = INDEX + random.choice(0, 4)
    sixth_of = torch.tensor([[1, 5, 2, 3, 4], [1, 2, 5, 3, 4], [1, 2, 3, 5, 4], [1, 2, 3, 4, 5]])
    order = sixth_of[after - INDEX]
    places = torch.tensor([-33.0, -16.5, 0.0, 16.5, 33.0]).double()
    heights = torch.tensor([89.0, 93.0, 93.0, 88.0, 78.0]).double()
    scale = skeleton.wrist[rows] / 27.5
    skeleton.knuckle[rows.unsqueeze(1), order, 0] = places * scale
    skeleton.knuckle[rows.unsqueeze(1), order, 1] = heights.expand(len(rows), -1)
    skeleton.root[rows.unsqueeze(1), order, 0] = places * 0.45 * scale
    fan = torch.deg2rad(torch.tensor([-12.0, -5.0, 1.0, 8.0, 18.0]).double()) * random.columns(0.5, 1.4)
    skeleton.angle[rows.unsqueeze(1), order] = fan
    skeleton.present[rows, SIXTH] = True
    skeleton.order[rows] = order
    skeleton.thickness[rows, 1:] *= 0.88
    skeleton.bones[rows, SIXTH] = (skeleton.bones[rows, after] + skeleton.bones[rows, (after + 1).clamp(max=4)]) / 2
    skeleton.web[rows, SIXTH] = 0.48 * skeleton.bones[rows, SIXTH, 0]
    return _none(rows)


def _fused_digits(skeleton: Skeleton, rows: Tensor, random: PictureSource) -> Tensor:
    """Let two neighbouring fingers overlap so much that they form one broad finger."""
    left = INDEX + random.choice(0, 3)
    right = left + 1
    _fan_out(skeleton, rows)
    angle = (skeleton.angle[rows, left] + skeleton.angle[rows, right]) / 2
    middle = (skeleton.knuckle[rows, left] + skeleton.knuckle[rows, right]) / 2
    aside = torch.stack((torch.cos(angle), -torch.sin(angle)), -1)
    for slot, sign in ((left, -1.0), (right, 1.0)):
        skeleton.thickness[rows, slot] *= 1.18
        offset = 0.55 * skeleton.thickness[rows, slot].mean(-1, keepdim=True)
        skeleton.knuckle[rows, slot] = middle + sign * offset * aside
        skeleton.angle[rows, slot] = angle
        skeleton.bend[rows, slot] = 0.0
        skeleton.fused[rows, slot] = True
    longer = torch.maximum(skeleton.bones[rows, left], skeleton.bones[rows, right])
    skeleton.bones[rows, left] = longer
    skeleton.bones[rows, right] = longer * random.columns(0.95, 1.0)
    skeleton.web[rows, right] = skeleton.web[rows, left]
    return _none(rows)


def _fan_out(skeleton: Skeleton, rows: Tensor) -> None:
    """Spread the fingers, so that gaps show which of them are not fused."""
    fan = torch.deg2rad(torch.tensor([-13.0, -1.0, 10.0, 24.0]).double())
    skeleton.angle[rows, INDEX : PINKY + 1] = fan


def _missing_segment(skeleton: Skeleton, rows: Tensor, random: PictureSource) -> Tensor:
    """Remove the middle phalanx of any finger except the pinky, which is short anyway."""
    finger = INDEX + random.choice(0, 3)
    bones = skeleton.bones[rows, finger]
    zero = torch.zeros_like(bones[:, 0])
    skeleton.bones[rows, finger] = torch.stack((0.92 * bones[:, 0], bones[:, 2], zero, zero), -1)
    return _none(rows)


def _extra_segment(skeleton: Skeleton, rows: Tensor, random: PictureSource) -> Tensor:
    """Add a phalanx to any finger except the pinky, which would then only be as long as the others."""
    finger = INDEX + random.choice(0, 3)
    bones = skeleton.bones[rows, finger]
    extra = random.uniform(27.0, 33.0)
    skeleton.bones[rows, finger] = torch.stack((bones[:, 0], bones[:, 1] * 1.1, extra, bones[:, 2]), -1)
    return _none(rows)


def _length_out_of_range(skeleton: Skeleton, rows: Tensor, random: PictureSource) -> Tensor:
    """Stretch or shrink the visible part of one digit, from where it leaves the palm."""
    digit = random.choice(0, 5)
    outer = (digit == PINKY) | (digit == THUMB)
    long = torch.where(outer.unsqueeze(-1), random.columns(1.72, 1.9), random.columns(1.5, 1.9))
    short = torch.where(outer.unsqueeze(-1), random.columns(0.35, 0.5), random.columns(0.35, 0.6))
    factor = torch.where(random.chance(0.5).unsqueeze(-1), long, short)
    thumbs = rows[digit == THUMB]
    skeleton.angle[thumbs, THUMB] = skeleton.angle[thumbs, THUMB].clamp(max=-0.6)  # clear of the palm
    bones, web = skeleton.bones[rows, digit], skeleton.web[rows, digit].unsqueeze(-1)
    first = web + (bones[:, :1] - web) * factor
    skeleton.bones[rows, digit] = torch.cat((first, bones[:, 1:] * factor), -1)
    return _none(rows)


def _second_thumb(skeleton: Skeleton, rows: Tensor, random: PictureSource) -> Tensor:
    """Add a second thumb, on the pinky's side or beside the first one."""
    opposite = random.chance(0.6)
    turn = torch.deg2rad(random.uniform(28.0, 42.0))
    near = skeleton.angle[rows, THUMB].clamp(min=-0.35)
    skeleton.angle[rows, THUMB] = torch.where(opposite, skeleton.angle[rows, THUMB], near)
    far = skeleton.angle[rows, PINKY].clamp(min=0.1) + turn
    skeleton.angle[rows, SIXTH] = torch.where(opposite, far, near - turn - 0.35)
    root = skeleton.root[rows, THUMB]
    knuckle = skeleton.knuckle[rows, THUMB]
    aside = torch.tensor([-1.0, 1.0]).double()
    skeleton.root[rows, SIXTH] = torch.where(opposite.unsqueeze(-1), root * aside, root)
    beside = torch.stack((knuckle[:, 0] - 2.0, knuckle[:, 1] - 17.0), -1)
    across = torch.stack((skeleton.knuckle[rows, PINKY, 0] + 8.0, torch.full_like(turn, 42.0)), -1)
    skeleton.knuckle[rows, SIXTH] = torch.where(opposite.unsqueeze(-1), across, beside)
    skeleton.bones[rows, SIXTH] = skeleton.bones[rows, THUMB]
    skeleton.thickness[rows, SIXTH] = skeleton.thickness[rows, THUMB] * 0.95
    skeleton.web[rows, SIXTH] = skeleton.web[rows, THUMB]
    skeleton.girth[rows, SIXTH] = skeleton.girth[rows, THUMB] * 0.95
    skeleton.present[rows, SIXTH] = True
    skeleton.order[rows, 4] = PINKY
    return _none(rows)


def _ghost_digit(skeleton: Skeleton, rows: Tensor, random: PictureSource) -> Tensor:
    """Choose one of the five digits, or add a sixth, to be half-transparent."""
    sixth = random.chance(0.4)
    ghost = torch.where(sixth, torch.full_like(rows, SIXTH), random.choice(0, 5))
    chosen = torch.nonzero(sixth)[:, 0]
    if len(chosen):
        _extra_digit(skeleton, rows[chosen], random.rows(chosen))
    return ghost


EDITS: dict[str, Callable[[Skeleton, Tensor, PictureSource], Tensor]] = {
    "missing_digit": _missing_digit,
    "extra_digit": _extra_digit,
    "fused_digits": _fused_digits,
    "missing_segment": _missing_segment,
    "extra_segment": _extra_segment,
    "length_out_of_range": _length_out_of_range,
    "second_thumb": _second_thumb,
    "ghost_digit": _ghost_digit,
}
"""For each kind of defect, the function that edits correct skeletons."""

DEFECTS: tuple[str, ...] = tuple(EDITS)
"""The kinds of malformed hand."""
