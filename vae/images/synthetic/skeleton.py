"""Draw the bones of a batch of hands, in millimetres, before they are posed.

Every hand is a right hand seen from the back, fingers up. The wrist is at the origin, y points up and x to the right,
so the thumb is on the left (x < 0). Side, handedness, rotation and scale come later, in the camera. There are six slots
for digits: thumb, index, middle, ring, pinky, and a sixth that is empty in a normal hand.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vae.images.random_source import RandomSource

THUMB, INDEX, MIDDLE, RING, PINKY, SIXTH = range(6)

# Phalanges: Buryanov & Kotiuk 2010, mean lengths in mm; the soft tissue at the tip is added to the last one.
BONES = (
    (31.6, 27.4, 0.0, 0.0),
    (39.8, 22.4, 19.6, 0.0),
    (44.6, 26.3, 21.4, 0.0),
    (41.4, 25.6, 21.3, 0.0),
    (32.7, 18.1, 19.7, 0.0),
    (40.0, 23.0, 20.0, 0.0),
)
# The other numbers are estimated by eye, in mm, slot by slot. They are the ends of the metacarpals (the thumb's is
# computed), and half the breadth of the digits at their knuckles and near their tips.
ROOTS = ((-17.0, 20.0), (-13.0, 13.0), (-4.0, 15.0), (6.0, 13.0), (14.0, 11.0), (0.0, 14.0))
KNUCKLES = ((0.0, 0.0), (-27.0, 91.0), (-6.5, 94.0), (13.0, 88.0), (30.5, 77.5), (0.0, 90.0))
THICKNESS = ((13.0, 9.6), (11.0, 8.1), (11.2, 8.3), (10.6, 7.8), (9.4, 6.8), (10.4, 7.7))
METACARPAL_OF_THUMB = 46.2

ABSENT = -1e3
"""Half breadth, mm, of what does not exist: so far below zero that it is never visible."""


@dataclass
class Skeleton:
    """A batch of n hands; lengths in mm, angles in radians, clockwise from straight up.

    Attributes:
        present: (n, 6) bool, which digits exist.
        bones: (n, 6, 4) float64, lengths of the phalanges from the knuckle on, 0 where there is none.
        thickness: (n, 6, 2) float64, half breadth of a digit at its knuckle and near its tip.
        root: (n, 6, 2) float64, where the metacarpal starts.
        knuckle: (n, 6, 2) float64, where the metacarpal ends and the digit starts.
        angle: (n, 6) float64, wanted direction of the digit; overlapping fingers are separated later.
        bend: (n, 6) float64, 1/mm, sideways curvature: the axis is at bend * u**2 at u mm from the knuckle.
        web: (n, 6) float64, mm from the knuckle to where the digit leaves the palm.
        girth: (n, 6) float64, half breadth of the hand around each metacarpal.
        fused: (n, 6) bool, digits that are fused with a neighbour.
        order: (n, 5) int64, slots of the fingers from the thumb's side outwards; absent fingers are skipped. The
            last slot is repeated if the sixth digit is not a finger.
        wrist: (n, 1) float64, half breadth of the wrist.
        forearm: (n, 1) float64, direction in which the forearm leaves the wrist, 0 straight down.
    """

    present: Tensor
    bones: Tensor
    thickness: Tensor
    root: Tensor
    knuckle: Tensor
    angle: Tensor
    bend: Tensor
    web: Tensor
    girth: Tensor
    fused: Tensor
    order: Tensor
    wrist: Tensor
    forearm: Tensor

    @property
    def length(self) -> Tensor:
        """(n, 6) float64, mm from the knuckle to the very end of the digit."""
        return self.bones.sum(-1)

    def direction(self) -> Tensor:
        """(n, 6, 2) float64, unit vectors along the digits at the knuckles."""
        return heading(self.angle)

    def points(self, along: Tensor) -> Tensor:
        """Find points on the axes of the digits.

        Args:
            along: (n, 6, k) float64, mm from the knuckle.

        Returns:
            (n, 6, k, 2) float64, mm.
        """
        ahead = self.direction().unsqueeze(-2)
        offset = (self.bend.unsqueeze(-1) * along.square()).unsqueeze(-1)
        return self.knuckle.unsqueeze(-2) + along.unsqueeze(-1) * ahead + offset * sideways(ahead)


def heading(angle: Tensor) -> Tensor:
    """Return the unit vectors, (..., 2), of angles in radians, clockwise from straight up."""
    return torch.stack((torch.sin(angle), torch.cos(angle)), -1)


def sideways(ahead: Tensor) -> Tensor:
    """Return the unit vectors, (..., 2), a quarter turn clockwise of the given ones."""
    return torch.stack((ahead[..., 1], -ahead[..., 0]), -1)


def draw_skeleton(random: RandomSource, spread: Tensor) -> Skeleton:
    """Draw hands with human proportions.

    Args:
        random: Random numbers of n pictures.
        spread: (n, 1) float64, 0: fingers together, 1: wide apart.

    Returns:
        n hands with five digits each.
    """
    n = len(spread)
    breadth = random.normal(1.09, 0.06)
    bones = _table(BONES) * random.normal(1.04, 0.04)[..., None] * random.normal(1.0, 0.02, 6)[..., None]
    thickness = _table(THICKNESS) * (breadth * random.normal(1.0, 0.04))[..., None]
    widen = torch.cat((breadth, random.normal(1.0, 0.03)), 1).unsqueeze(1)
    skeleton = Skeleton(
        present=torch.tensor([True] * 5 + [False]).repeat(n, 1),
        bones=bones,
        thickness=thickness,
        root=_table(ROOTS) * breadth[..., None],
        knuckle=_table(KNUCKLES) * widen,
        angle=_finger_angles(random, spread),
        bend=random.normal(0.0, 0.0003, 6),
        web=bones[..., 0] * random.columns(0.42, 0.52),
        girth=torch.tensor([14.4, 12.6, 12.4, 12.2, 12.0, 12.0]).double() * breadth,
        fused=torch.zeros(n, 6, dtype=torch.bool),
        order=torch.tensor([INDEX, MIDDLE, RING, PINKY, SIXTH]).repeat(n, 1),
        wrist=28.5 * breadth * random.normal(1.0, 0.04),
        forearm=random.normal(0.0, 0.2),
    )
    _attach_thumb(skeleton, random)
    return skeleton


def _finger_angles(random: RandomSource, spread: Tensor) -> Tensor:
    """Fan out the fingers; if they are together they overlap, and the pose separates them."""
    together = torch.tensor([0.0, 2.0, 0.0, -3.0, -8.0, 0.0]).double()
    apart = torch.tensor([0.0, -15.0, -1.0, 11.0, 27.0, 0.0]).double()
    wobble = random.normal(0.0, 2.0, 6) * (0.25 + spread)
    return torch.deg2rad(together + spread * (apart - together) + wobble)


def _attach_thumb(skeleton: Skeleton, random: RandomSource) -> None:
    """Pose the thumb, anywhere from beside the palm (0) to far out (1); edits the skeleton."""
    out = random.uniform(0.0, 1.0)
    metacarpal = torch.deg2rad(-35.0 - 16.0 * out + random.normal(0.0, 2.0)[:, 0])
    length = METACARPAL_OF_THUMB * skeleton.bones[:, THUMB, 0] / BONES[THUMB][0]
    skeleton.knuckle[:, THUMB] = skeleton.root[:, THUMB] + length[:, None] * heading(metacarpal)
    skeleton.angle[:, THUMB] = torch.deg2rad(-4.0 - 46.0 * out + random.normal(0.0, 4.0)[:, 0])
    skeleton.bend[:, THUMB] = random.normal(-0.0006, 0.0012)[:, 0]
    skeleton.web[:, THUMB] = 4.0


def _table(values: tuple[tuple[float, ...], ...]) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)
