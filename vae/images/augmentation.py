"""Augment pictures during training, on their device: flips and small affine transforms."""

import math

import torch
import torch.nn.functional as F
from torch import Generator, Tensor


def augment(
    images: Tensor,
    generator: Generator,
    *,
    flip: bool = True,
    degrees: float = 5.0,
    translate: float = 0.03,
    scale: float = 0.05,
) -> Tensor:
    """Flip, rotate, shift and scale every image a little, each differently.

    Args:
        images: (batch, 3, size, size) float32 in [0, 1], on any device.
        generator: Source of random numbers, on the same device; it is used once.
        flip: Whether to mirror half of the images, left to right.
        degrees: Largest rotation in either direction.
        translate: Largest shift along each axis, as a share of the size.
        scale: Largest change of scale, as a share.

    Returns:
        (batch, 3, size, size) float32 in [0, 1]; pixels from outside the image repeat its border.
    """
    theta = random_affine(
        len(images), generator, images.device, flip=flip, degrees=degrees, translate=translate, scale=scale
    )
    return warp(images, theta)


def random_affine(
    n: int,
    generator: Generator,
    device: torch.device | str,
    *,
    flip: bool = True,
    degrees: float = 5.0,
    translate: float = 0.03,
    scale: float = 0.05,
) -> Tensor:
    """Draw affine transforms; see `augment` for the arguments.

    Returns:
        (n, 2, 3) float32: maps a point of the result to the point of the image that it shows. Both are in -1..1
        from border to border, x before y.
    """
    draw = torch.rand(n, 5, generator=generator, device=device)
    return affine_from(draw, flip=flip, degrees=degrees, translate=translate, scale=scale)


def affine_from(
    draw: Tensor, *, flip: bool = True, degrees: float = 5.0, translate: float = 0.03, scale: float = 0.05
) -> Tensor:
    """Turn random numbers, (n, 5) float32 in [0, 1), into affine transforms; see `random_affine`."""
    turn, right, down, grow = (2 * draw[:, :4] - 1).unbind(1)
    mirror = torch.where(draw[:, 4] < 0.5, -1.0, 1.0) if flip else torch.ones_like(turn)
    angle = turn * math.radians(degrees)
    shrink = 1 / (1 + grow * scale)  # from the result back to the image
    cos, sin = shrink * torch.cos(angle), shrink * torch.sin(angle)
    shift_x, shift_y = 2 * translate * right, 2 * translate * down  # the image is 2 wide
    across = torch.stack([mirror * cos, -mirror * sin, shift_x], dim=1)
    along = torch.stack([sin, cos, shift_y], dim=1)
    return torch.stack([across, along], dim=1)  # (n, 2, 3)


def warp(images: Tensor, theta: Tensor) -> Tensor:
    """Apply affine transforms; a pure function.

    Args:
        images: (batch, 3, size, size) float32 in [0, 1].
        theta: (batch, 2, 3) float32, from `random_affine`.

    Returns:
        (batch, 3, size, size) float32 in [0, 1].
    """
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)  # (batch, size, size, 2)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)
