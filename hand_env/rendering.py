"""Lay pictures out in a grid."""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor

from vae.checks import integer
from vae.images import to_float, to_uint8


def image_grid(images: Tensor, columns: int | None = None, gap: int = 2) -> NDArray[np.uint8]:
    """Lay pictures out row by row on white.

    Args:
        images: (image, 3, S, S) uint8, at least one.
        columns: Pictures per row, >= 1; by default the grid is as square as possible.
        gap: Pixels between pictures and around them, >= 0.

    Returns:
        (height, width, 3) uint8, for `PIL.Image.fromarray` or a video frame.

    Raises:
        TypeError: If the pictures are not uint8, or `columns` or `gap` is no integer.
        ValueError: If the shape is wrong, there is no picture, or `columns` or `gap` is too small.
    """
    if images.dtype != torch.uint8:
        raise TypeError(f"images must be uint8, got {images.dtype}. Convert them with vae.images.to_uint8.")
    if images.ndim != 4 or images.shape[1] != 3 or not len(images):
        raise ValueError(
            f"images must have the shape (image, 3, S, S), at least one, got {tuple(images.shape)}. If the channels "
            "come last, permute them."
        )
    n, _, height, width = images.shape
    columns = math.ceil(math.sqrt(n)) if columns is None else integer("columns", columns, 1)
    gap = integer("gap", gap, 0)
    rows = math.ceil(n / columns)
    grid = np.full((rows * (height + gap) + gap, columns * (width + gap) + gap, 3), 255, np.uint8)
    for place, image in enumerate(images.permute(0, 2, 3, 1).cpu().numpy()):
        top, left = gap + place // columns * (height + gap), gap + place % columns * (width + gap)
        grid[top : top + height, left : left + width] = image
    return grid


def enlarged(pictures: Tensor) -> Tensor:
    """Enlarge (n, 3, S, S) uint8 pictures for viewing: by the largest whole factor that 128 pixels allow."""
    factor = max(1, 128 // pictures.shape[-1])
    larger = torch.nn.functional.interpolate(to_float(pictures), scale_factor=factor, mode="bicubic")
    return to_uint8(larger)


def captioned(grid: NDArray[np.uint8], caption: str) -> NDArray[np.uint8]:
    """Write a line above a grid of pictures, (height, width, 3) uint8."""
    height, width, _ = grid.shape
    picture = Image.new("RGB", (width + 12, height + 24), "white")
    picture.paste(Image.fromarray(grid), (6, 24))
    ImageDraw.Draw(picture).text((8, 4), caption, fill="black", font_size=16)
    return np.asarray(picture)
