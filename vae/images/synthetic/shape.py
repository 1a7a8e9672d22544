"""Compute the shape of the skin at each point: outline, height, and which digit the point belongs to.

A digit is a ribbon: a few additions give a point's position along and across its curved axis, and a table gives the
half breadth there. Distances are signed, in mm, negative inside. All loops run over digits, never over pictures or
points.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vae.images.synthetic.grid import Grid, smooth_minimum
from vae.images.synthetic.palm import palm_distance
from vae.images.synthetic.skeleton import ABSENT, Skeleton, sideways

KNOTS = 256
"""Entries of the tables along a digit, from its knuckle to its tip."""

WEB_BLEND = 6.0
"""mm over which digits blend into the palm."""

PALM_DEPTH, FLATNESS = 14.0, 0.62
"""mm from the outline at which the palm becomes level; height of everything relative to a round profile."""


@dataclass
class Surface:
    """The skin of n hands at S x S points; float32 and (n, S, S) except where noted.

    Attributes:
        grid: The points.
        x: mm, rightwards in the frame of the hand.
        y: mm, upwards in the frame of the hand.
        outside: Signed distance to the outline of the hand, mm.
        height: Height of the skin above the background, mm.
        palm: Signed distance to the palm, mm.
        nearest: Signed distance to the nearest digit, mm.
        second: Signed distance to the next digit, mm.
        digit: int64, slot of the nearest digit.
        knot: int64, index into the tables of all digits, flattened: digit * KNOTS + place.
        along: mm from the knuckle of that digit, limited to its length.
        across: mm from the axis of that digit, positive towards the pinky.
        radius: Half breadth of that digit there, mm.
        cloth: Signed distance to a sleeve or watch strap, mm; None if no hand wears one.
    """

    grid: Grid
    x: Tensor
    y: Tensor
    outside: Tensor
    height: Tensor
    palm: Tensor
    nearest: Tensor
    second: Tensor
    digit: Tensor
    knot: Tensor
    along: Tensor
    across: Tensor
    radius: Tensor
    cloth: Tensor | None = None

    def per_picture(self, values: Tensor) -> Tensor:
        """Move (n,) values of any type to the device of the points as (n, 1, 1) float32."""
        return self.grid.per_picture(values)

    def per_digit(self, values: Tensor) -> Tensor:
        """Read (n, 6) values of any type for the nearest digit of every point, (n, S, S) float32."""
        return values.to(self.x.device, torch.float32).gather(1, self.digit.flatten(1)).view_as(self.x)

    def look_up(self, table: Tensor) -> Tensor:
        """Read a (n, 6, KNOTS) table at every point, (n, S, S) float32."""
        flat = table.flatten(1).to(self.x.device, torch.float32)
        return flat.gather(1, self.knot.flatten(1)).view_as(self.x)


def knots(skeleton: Skeleton) -> Tensor:
    """Return (n, 6, KNOTS) float64, the distances from the knuckle, mm, for which tables hold values."""
    share = torch.linspace(0.0, 1.0, KNOTS, dtype=torch.float64)
    return skeleton.length.unsqueeze(-1) * share


def breadth_table(skeleton: Skeleton) -> Tensor:
    """Tabulate half the breadth of each digit, (n, 6, KNOTS) float64 mm: a taper, swollen at the joints."""
    along = knots(skeleton)
    base, tip = skeleton.thickness.unsqueeze(2).unbind(-1)
    breadth = base + (tip - base) * along / skeleton.length.unsqueeze(-1)
    joints = skeleton.bones.cumsum(-1)
    for joint in range(2):
        swell = torch.exp(-((along - joints[..., joint, None]) / 7.0).square())
        breadth = breadth + 0.045 * base * swell
    pad = torch.exp(-((along - (skeleton.length - 9.0).unsqueeze(-1)) / 6.0).square())
    breadth = breadth + 0.05 * base * pad
    return torch.where(skeleton.present.unsqueeze(-1), breadth, torch.full_like(breadth, ABSENT))


def make_surface(skeleton: Skeleton, grid: Grid) -> Surface:
    """Evaluate the skin of n posed hands at the points of a grid."""
    palm = palm_distance(skeleton, grid)
    blank = torch.zeros_like(palm)
    skin = Surface(
        grid=grid,
        x=grid.column[0] + grid.row[0],
        y=grid.column[1] + grid.row[1],
        outside=blank,
        height=blank,
        palm=palm,
        nearest=torch.full_like(palm, 1e4),
        second=torch.full_like(palm, 1e4),
        digit=blank,
        knot=torch.zeros_like(palm, dtype=torch.int64),
        along=blank,
        across=blank,
        radius=blank,
    )
    table = breadth_table(skeleton).to(grid.device, torch.float32)
    for slot in range(6):
        if bool(skeleton.present[:, slot].any()):
            _add_digit(skin, skeleton, slot, table[:, slot])
    skin.digit = skin.knot.div(KNOTS, rounding_mode="floor")
    skin.outside = smooth_minimum(skin.nearest, palm, WEB_BLEND)
    skin.height = _height(skin, skeleton)
    return skin


def _add_digit(skin: Surface, skeleton: Skeleton, slot: int, breadth: Tensor) -> None:
    """Add one digit: update the distances, and at its points the values of the nearest digit.

    Args:
        skin: n hands, edited.
        skeleton: Skeletons of these hands.
        slot: Which digit.
        breadth: (n, KNOTS) float32, mm, half breadth along this digit.
    """
    grid, knuckle = skin.grid, skeleton.knuckle[:, slot]
    length, tip = skeleton.length[:, slot], skeleton.thickness[:, slot, 1]
    ahead = skeleton.direction()[:, slot]
    u, v = grid.project(knuckle, ahead), grid.project(knuckle, sideways(ahead))
    place = torch.minimum(u.clamp(min=0.0), grid.per_picture(length))
    v = v.sub_(place.square().mul_(grid.per_picture(skeleton.bend[:, slot])))
    over = u - torch.minimum(place, grid.per_picture(length - tip))  # beyond the middle of the round tip
    step = place.mul(grid.per_picture((KNOTS - 1) / length)).long()
    here = breadth.gather(1, step.flatten(1)).view_as(u)
    distance = over.square_().add_(v.square()).sqrt_().sub_(here)
    nearer = distance < skin.nearest
    skin.second = torch.minimum(skin.second, torch.maximum(skin.nearest, distance))
    skin.nearest = torch.minimum(skin.nearest, distance)
    skin.along, skin.across = torch.where(nearer, place, skin.along), torch.where(nearer, v, skin.across)
    skin.knot = torch.where(nearer, step.add_(slot * KNOTS), skin.knot)
    skin.radius = torch.where(nearer, here, skin.radius)


def _height(skin: Surface, skeleton: Skeleton) -> Tensor:
    """Return the height of the skin, (n, S, S) float32 mm: the palm blends smoothly into the digits."""
    radius = skin.radius.clamp(min=1.0)
    level = ((skin.nearest + radius).square_() - radius.square()) / (2.0 * radius)  # as `nearest`, without a ridge
    beyond = (skin.along - 0.5 * skin.per_digit(skeleton.web)).clamp_(min=0.0)
    inside = -smooth_minimum(level + beyond.square_() / 14.0, skin.palm, 2.0 * WEB_BLEND)
    palm = _dome(PALM_DEPTH - inside, torch.full_like(inside, PALM_DEPTH))
    digit = _dome(skin.nearest + skin.radius, skin.radius)
    return -FLATNESS * smooth_minimum(-palm, -digit, 6.0)


def _dome(depth: Tensor, radius: Tensor) -> Tensor:
    """Return the height of a round profile whose middle lies `depth` away, sqrt(radius^2 - depth^2)."""
    return (radius.square() - depth.clamp(min=0.0).square_()).clamp_(min=0.0).sqrt_()
