"""The batch that training works on: pictures of hands with their labels."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor

from vae.images.labelled.vocabulary import DOUBTS, FIRST_DIGIT, JOINTS, NO_EXTRA

CANVAS = 128
"""Side of the pictures that training starts from, pixels."""

IGNORE = 255
"""Unknown pixel in a region map. Unknown states and extras are -1; unknown joints and flags are NaN."""


@dataclass
class Hands:
    """N pictures and their labels, all on one device.

    Attributes:
        images: (n, 3, S, S) float32 in [0, 1], or uint8 in a pool.
        regions: (n, S, S) uint8, index into `REGIONS`, or `IGNORE`.
        joints: (n, 21, 2) float32, fractions of the side, x before y; NaN if a joint is absent or unknown.
        states: (n, 5) int64, index into `STATES`, or -1 if unknown.
        extra: (n,) int64, index into `EXTRAS`, or -1 if unknown.
        whole: (n,) float32, 1: anatomical, 0: not anatomical, NaN: unknown.
        hand: (n,) float32, 1: a hand, 0: no hand, NaN: unknown.
        up: (n, 2) float32, unit vector (right, down) in the direction of the fingers; NaN: unknown.
        doubts: (n, 3) float32, `DOUBTS` in order, 1: yes, 0: no, NaN: unknown.
    """

    images: Tensor
    regions: Tensor
    joints: Tensor
    states: Tensor
    extra: Tensor
    whole: Tensor
    hand: Tensor
    up: Tensor
    doubts: Tensor

    def __len__(self) -> int:
        """Count the pictures."""
        return len(self.images)

    def take(self, rows: Tensor | slice) -> Hands:
        """Copy some rows, or give a view of a slice."""
        return Hands(*(getattr(self, f.name)[rows] for f in fields(self)))

    def put(self, rows: Tensor, others: Hands) -> None:
        """Overwrite some rows."""
        for f in fields(self):
            getattr(self, f.name)[rows] = getattr(others, f.name)

    def digit_mask(self, digit: Tensor) -> Tensor:
        """Return where one digit of each hand is, (n, S, S) bool; `digit` is (n,) int64, 0 is the thumb."""
        return self.regions == (FIRST_DIGIT + digit).view(-1, 1, 1)

    def forget_joints(self, digit: Tensor, first: int = 0) -> None:
        """Mark joints of one digit of each hand as unknown, from its first one on, 0 to 3 away from the palm."""
        rows = torch.arange(len(self), device=digit.device)
        for joint in range(first, 4):
            self.joints[rows, 1 + 4 * digit + joint] = torch.nan

    def to(self, device: torch.device | str) -> Hands:
        """Move all tensors to a device."""
        return Hands(*(getattr(self, f.name).to(device) for f in fields(self)))


def join(parts: list[Hands]) -> Hands:
    """Concatenate batches."""
    return Hands(*(torch.cat([getattr(part, f.name) for part in parts]) for f in fields(Hands)))


def correct_hands(images: Tensor, regions: Tensor, joints: Tensor) -> Hands:
    """Label pictures of correct hands, fingers up."""
    n, device = len(images), images.device
    return Hands(
        images=images,
        regions=regions,
        joints=joints,
        states=torch.zeros(n, 5, dtype=torch.int64, device=device),
        extra=torch.full((n,), NO_EXTRA, device=device),
        whole=torch.ones(n, device=device),
        hand=torch.ones(n, device=device),
        up=torch.tensor([0.0, -1.0], device=device).repeat(n, 1),
        doubts=torch.zeros(n, len(DOUBTS), device=device),
    )


def nothing_known(images: Tensor) -> Hands:
    """Label pictures that show no anatomical hand; all else is unknown."""
    n, size, device = len(images), images.shape[-1], images.device
    return Hands(
        images=images,
        regions=torch.full((n, size, size), IGNORE, dtype=torch.uint8, device=device),
        joints=torch.full((n, JOINTS, 2), torch.nan, device=device),
        states=torch.full((n, 5), -1, device=device),
        extra=torch.full((n,), -1, device=device),
        whole=torch.zeros(n, device=device),
        hand=torch.full((n,), torch.nan, device=device),
        up=torch.full((n, 2), torch.nan, device=device),
        doubts=torch.full((n, len(DOUBTS)), torch.nan, device=device),
    )
