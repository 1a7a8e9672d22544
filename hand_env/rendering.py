"""Lay pictures out in a grid."""

import math

import numpy as np
from numpy.typing import NDArray
from torch import Tensor


def image_grid(images: Tensor, columns: int | None = None, gap: int = 2) -> NDArray[np.uint8]:
    """Lay pictures out row by row on white.

    Args:
        images: (image, 3, S, S) uint8, at least one.
        columns: Pictures a row; by default as square as can be.
        gap: Pixels between pictures and around them.

    Returns:
        (height, width, 3) uint8, for `PIL.Image.fromarray` or a video frame.
    """
    n, _, height, width = images.shape
    columns = columns or math.ceil(math.sqrt(n))
    rows = math.ceil(n / columns)
    grid = np.full((rows * (height + gap) + gap, columns * (width + gap) + gap, 3), 255, np.uint8)
    for place, image in enumerate(images.permute(0, 2, 3, 1).cpu().numpy()):
        top, left = gap + place // columns * (height + gap), gap + place % columns * (width + gap)
        grid[top : top + height, left : left + width] = image
    return grid
