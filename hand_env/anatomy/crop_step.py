"""The crop step of the judge: find the hand in a picture, cut it out and turn it upright (`crop=True`)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

MARGIN = 1.24  # side of a crop over the extent of the joints: tips and sides lie beyond the joints
LARGE = 0.8  # share of the frame: a crop of this size, nearly upright, is not cut out
STEEP = math.radians(20)
LEAST, MOST = 0.12, 1.3  # sides of a crop, in sides of the picture


@dataclass
class Frames:
    """Rotated squares in n pictures.

    Attributes:
        centre: (n, 2), x before y, fractions of the picture's side.
        side: (n,), fractions of the picture's side.
        turn: (n,), radians, clockwise rotation of the square.
    """

    centre: Tensor
    side: Tensor
    turn: Tensor

    def take(self, rows: Tensor) -> Frames:
        """Copy some rows."""
        return Frames(self.centre[rows], self.side[rows], self.turn[rows])

    def cut(self) -> Tensor:
        """Return which squares are not the whole picture, (n,) bool."""
        return (self.side != 1) | (self.turn != 0) | (self.centre != 0.5).any(1)

    def to_picture(self, places: Tensor) -> Tensor:
        """Map places in the squares to places in the pictures, (n, k, 2) fractions of the side of each."""
        away = (places - 0.5) * self.side.view(-1, 1, 1)
        cos, sin = torch.cos(self.turn).view(-1, 1), torch.sin(self.turn).view(-1, 1)
        x, y = away.unbind(-1)
        return torch.stack([cos * x - sin * y, sin * x + cos * y], -1) + self.centre.unsqueeze(1)


def whole_pictures(n: int, device: torch.device) -> Frames:
    """Return the frames of n whole pictures."""
    return Frames(torch.full((n, 2), 0.5, device=device), torch.ones(n, device=device), torch.zeros(n, device=device))


def frame_hands(joints: Tensor, up: Tensor, hand: Tensor) -> Frames:
    """Frame the hands that the first pass found; pictures without a hand or with a large upright one stay whole.

    Args:
        joints: (n, 21, 2), fractions of the side.
        up: (n, 2), direction of the fingers, positive to the right and down.
        hand: (n,) bool, whether there is a hand.
    """
    turn = torch.atan2(up[:, 0], -up[:, 1])
    whole = whole_pictures(len(joints), joints.device)
    upright = Frames(whole.centre, whole.side, -turn).to_picture(joints)  # the picture rotated back about its centre
    low, high = upright.amin(1), upright.amax(1)
    side = ((high - low).amax(1) * MARGIN).clamp(LEAST, MOST)
    middle = ((low + high) / 2).unsqueeze(1)
    centre = Frames(whole.centre, whole.side, turn).to_picture(middle)[:, 0]
    keep = ~hand | ((side >= LARGE) & (turn.abs() < STEEP))
    return Frames(
        torch.where(keep.unsqueeze(1), whole.centre, centre),
        torch.where(keep, whole.side, side),
        torch.where(keep, whole.turn, turn),
    )


def cut_out(images: Tensor, frames: Frames, size: int) -> Tensor:
    """Cut squares out of pictures; outside a picture, the median colour of its border is used.

    Args:
        images: (n, 3, S, S).
        frames: The squares of the n pictures.
        size: Side of the result, pixels.

    Returns:
        (n, 3, size, size).
    """
    line = (torch.arange(size, device=images.device) + 0.5) / size
    grid = torch.stack(torch.meshgrid(line, line, indexing="xy"), -1).view(1, -1, 2).expand(len(images), -1, -1)
    places = frames.to_picture(grid).view(len(images), size, size, 2) * 2 - 1
    border = torch.cat([images[:, :, 0], images[:, :, -1], images[:, :, :, 0], images[:, :, :, -1]], 2)
    colour = border.median(2).values[..., None, None]
    seen = F.grid_sample(images - colour, places, align_corners=False)
    half = images.shape[-1] // 2
    if half >= size // 2:  # large squares would skip pixels
        small = F.interpolate(images - colour, size=(half, half), mode="bilinear", antialias=True)
        coarse = F.grid_sample(small, places, align_corners=False)
        skips = frames.side * images.shape[-1] > 1.5 * size
        seen = torch.where(skips.view(-1, 1, 1, 1), coarse, seen)
    return (seen + colour).clamp(0, 1)
