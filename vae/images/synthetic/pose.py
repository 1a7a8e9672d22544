"""Separate overlapping fingers and frame the hand."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vae.images.random_source import RandomSource
from vae.images.synthetic.skeleton import THUMB, Skeleton

SAMPLES = 9
"""Points on a digit at which its distance from its neighbour is measured."""

OVERLAP = 0.5
"""mm by which touching fingers press into each other."""


@dataclass
class Camera:
    """Map pixels to millimetres of the hand; see `skeleton` for the axes of the hand.

    Attributes:
        to_hand: (n, 2, 2) float64, hand = to_hand @ (pixel - origin), pixel = (x, y) with y down.
        origin: (n, 2) float64, the pixel at which the hand's wrist (0, 0) lies.
        scale: (n,) float64, mm per pixel.
    """

    to_hand: Tensor
    origin: Tensor
    scale: Tensor

    def to_pixels(self, points: Tensor) -> Tensor:
        """Map (n, ..., 2) points in mm to pixels."""
        n, extra = len(points), (1,) * (points.dim() - 2)
        back: Tensor = torch.linalg.inv(self.to_hand).reshape(n, *extra, 2, 2)
        relative: Tensor = (back @ points.unsqueeze(-1)).squeeze(-1)
        return relative + self.origin.reshape(n, *extra, 2)


@dataclass
class Framing:
    """How n pictures are framed; (n,) float64.

    Attributes:
        tilt: Rotation of the hand, radians, clockwise before mirroring.
        below: Smallest visible length of the forearm below the wrist, mm.
        margin: Share of the picture above the highest finger.
        shift: Offset of the hand from the middle, as a share of the space beside it.
    """

    tilt: Tensor
    below: Tensor
    margin: Tensor
    shift: Tensor


def separate(skeleton: Skeleton) -> None:
    """Rotate each digit outwards until it only touches its neighbour; edits the angles."""
    rows = torch.arange(len(skeleton.order))
    first = last = skeleton.order[:, 0]
    for place in range(1, skeleton.order.shape[1]):
        finger = skeleton.order[:, place]
        present = skeleton.present[rows, finger]
        movable = present & skeleton.present[rows, last] & (finger != last) & ~skeleton.fused[rows, finger]
        limit = _contact_angle(skeleton, last, finger, outwards=1.0)
        wanted = skeleton.angle[rows, finger]
        skeleton.angle[rows, finger] = torch.where(movable, torch.maximum(wanted, limit), wanted)
        last = torch.where(present, finger, last)
    first = torch.where(skeleton.present[rows, first], first, skeleton.order[:, 1])
    limit = _contact_angle(skeleton, first, torch.full_like(first, THUMB), outwards=-1.0)
    skeleton.angle[:, THUMB] = torch.minimum(skeleton.angle[:, THUMB], limit)


def _contact_angle(skeleton: Skeleton, fixed: Tensor, moving: Tensor, outwards: float) -> Tensor:
    """Bisect for the angle at which one digit of each hand just touches another.

    Args:
        skeleton: n hands.
        fixed: (n,) int64, slots of the digits that stay.
        moving: (n,) int64, slots of the digits that turn.
        outwards: 1 if the moving digit lies on the pinky's side of the fixed one, else -1.

    Returns:
        (n,) float64, radians.
    """
    rows = torch.arange(len(fixed))
    spots, radii = outline(skeleton, SAMPLES)
    there, there_radii = spots[rows, fixed], radii[rows, fixed]
    reach = radii[rows, moving].unsqueeze(2) + there_radii.unsqueeze(1) - OVERLAP
    local = spots[rows, moving] - skeleton.knuckle[rows, moving].unsqueeze(1)
    now = skeleton.angle[rows, moving]
    low, high = torch.full_like(now, -0.6), torch.full_like(now, 0.9)
    for _ in range(11):
        middle = (low + high) / 2
        turned = _turn(local, outwards * middle - now) + skeleton.knuckle[rows, moving].unsqueeze(1)
        distance = (turned.unsqueeze(2) - there.unsqueeze(1)).square().sum(-1).sqrt()
        free = (distance - reach).amin((1, 2)) >= 0
        low, high = torch.where(free, low, middle), torch.where(free, middle, high)
    return outwards * high


def _turn(points: Tensor, angle: Tensor) -> Tensor:
    """Rotate (n, k, 2) points clockwise about the origin by (n,) radians."""
    sine, cosine = torch.sin(angle)[:, None], torch.cos(angle)[:, None]
    x, y = points[..., 0], points[..., 1]
    return torch.stack((x * cosine + y * sine, y * cosine - x * sine), -1)


def outline(skeleton: Skeleton, count: int) -> tuple[Tensor, Tensor]:
    """Sample the digits from the web to the tip.

    Returns:
        (n, 6, count, 2) float64, mm, points on the axes; (n, 6, count) float64, mm, half breadths there.
    """
    base, tip = skeleton.thickness.unbind(-1)
    share = torch.linspace(0.0, 1.0, count, dtype=torch.float64)
    start, stop = skeleton.web, skeleton.length - tip
    along = start.unsqueeze(-1) + (stop - start).unsqueeze(-1) * share
    radius = base.unsqueeze(-1) + (tip - base).unsqueeze(-1) * along / skeleton.length.unsqueeze(-1)
    return skeleton.points(along), radius


def draw_framing(random: RandomSource) -> Framing:
    """Draw the framing of n pictures at random."""
    return Framing(
        tilt=torch.deg2rad(random.normal(0.0, 9.0)[:, 0]),
        below=random.uniform(4.0, 20.0),
        margin=random.uniform(0.045, 0.12),
        shift=random.uniform(-0.35, 0.35),
    )


def place(skeleton: Skeleton, framing: Framing, mirrored: Tensor, size: int) -> Camera:
    """Choose scale and position so that the whole hand lies inside the picture.

    Args:
        skeleton: n posed hands.
        framing: Framing of n pictures.
        mirrored: (n,) bool, whether the thumb should appear on the right.
        size: Pixels a side.

    Returns:
        The cameras of the n pictures.
    """
    spots, radii = outline(skeleton, 6)
    spots = _turn(spots.flatten(1, 2), framing.tilt).reshape(spots.shape)
    gone = ~skeleton.present[..., None]
    x, y = spots.unbind(-1)
    top = (y + radii).masked_fill(gone, -1e3).amax((1, 2))
    left = (x - radii).masked_fill(gone, 1e3).amin((1, 2)).clamp(max=-30.0)
    right = (x + radii).masked_fill(gone, -1e3).amax((1, 2)).clamp(min=30.0)
    side = torch.maximum((top + framing.below) / (1 - framing.margin), (right - left) / 0.91)
    slack = side * 0.96 - (right - left)
    centre = (left + right) / 2 + framing.shift * slack
    flip = torch.where(mirrored, -1.0, 1.0).double()
    scale = side / size
    origin = torch.stack((size / 2 - flip * centre / scale, (top + framing.margin * side) / scale), -1)
    return Camera(_pixel_to_hand(framing.tilt, flip, scale), origin, scale)


def _pixel_to_hand(tilt: Tensor, flip: Tensor, scale: Tensor) -> Tensor:
    """Compose scale, the flip of the picture's x and y axes, and the rotation back, (n, 2, 2)."""
    sine, cosine = torch.sin(tilt), torch.cos(tilt)
    top = torch.stack((cosine * flip, sine), -1)
    bottom = torch.stack((sine * flip, -cosine), -1)
    return torch.stack((top, bottom), 1) * scale[:, None, None]
