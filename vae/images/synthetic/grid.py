"""The sampling points of the pictures, in millimetres of the hand, and operations on them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vae.images.synthetic.pose import Camera


@dataclass
class Grid:
    """S x S points for each of n pictures; see `skeleton` for the axes of the hand.

    A point's position is the sum of a term of its column and a term of its row. So projecting all points on a
    direction takes one addition per point.

    Attributes:
        column: x and y, (n, 1, S) float32 each, mm.
        row: x and y, (n, S, 1) float32 each, mm.
    """

    column: tuple[Tensor, Tensor]
    row: tuple[Tensor, Tensor]

    @property
    def device(self) -> torch.device:
        """Device of the points."""
        return self.row[0].device

    @property
    def shape(self) -> tuple[int, int, int]:
        """(n, S, S)."""
        n, points, _ = self.row[0].shape
        return n, points, points

    def per_picture(self, values: Tensor) -> Tensor:
        """Move (n,) values of any type to the device of the points as (n, 1, 1) float32."""
        return values.to(self.device, torch.float32).view(-1, 1, 1)

    def project(self, start: Tensor, axis: Tensor) -> Tensor:
        """Return (n, S, S) float32, mm from `start` along the unit vector `axis`, both (n, 2) float64."""
        x, y = self.per_picture(axis[:, 0]), self.per_picture(axis[:, 1])
        offset = self.per_picture((start * axis).sum(-1))
        return (self.column[0] * x + self.column[1] * y - offset) + (self.row[0] * x + self.row[1] * y)


def make_grid(camera: Camera, size: int, points: int, device: str) -> Grid:
    """Spread points evenly over pictures.

    Args:
        camera: Cameras of n pictures of size x size pixels.
        size: Pixels a side.
        points: Points a side, S.
        device: Where to put them.

    Returns:
        The grid.
    """
    centre = (torch.arange(points, dtype=torch.float64) + 0.5) * (size / points)
    right = (centre - camera.origin[:, :1]).unsqueeze(1)  # (n, 1, S)
    down = (centre - camera.origin[:, 1:]).unsqueeze(2)  # (n, S, 1)
    entry = camera.to_hand[..., None, None]
    x_right, y_right = ((entry[:, axis, 0] * right).to(device, torch.float32) for axis in (0, 1))
    x_down, y_down = ((entry[:, axis, 1] * down).to(device, torch.float32) for axis in (0, 1))
    return Grid((x_right, y_right), (x_down, y_down))


def smooth_minimum(first: Tensor, second: Tensor, width: float) -> Tensor:
    """Return the smaller value, rounded off where the two differ by less than `width` (Quilez, quadratic)."""
    overlap = ((first - second).abs_().neg_().add_(width)).clamp_(min=0.0)
    return torch.minimum(first, second).sub_(overlap.square_().mul_(0.25 / width))
