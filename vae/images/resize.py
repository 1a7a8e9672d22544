"""Resize pictures with antialiasing."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def resize(picture: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """Resize a picture with Lanczos filtering, which averages when it shrinks and so avoids aliasing.

    Args:
        picture: (height, width, 3) uint8.
        width: Width of the result, in pixels.
        height: Height of the result, in pixels.

    Returns:
        (height, width, 3) uint8.
    """
    resized = Image.fromarray(picture).resize((width, height), Image.Resampling.LANCZOS, reducing_gap=3.0)
    return np.asarray(resized)
