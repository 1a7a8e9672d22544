"""Lay numbered pictures out on sheets, all in one way, and read them back."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor

from vae.images.decode import PictureError, open_picture
from vae.progress import progress_bar

COLUMNS, ROWS = 10, 5
ON_A_SHEET = COLUMNS * ROWS
SIDE = 256  # pixels at which a picture is shown, unless it is larger
GAP, LABEL = 6, 26  # pixels between pictures, and above each for its number


def sheet_name(index: int) -> str:
    """Return the file name of a sheet, from 0."""
    return f"sheet-{index + 1:02d}.png"


def lay_out(pictures: Tensor, first: int) -> NDArray[np.uint8]:
    """Make one sheet. Each pixel of a picture becomes a square of equal pixels, so that `read_sheets` can undo it.

    Args:
        pictures: (n, 3, S, S) uint8, n in 1..50.
        first: Number of the first picture.

    Returns:
        (height, width, 3) uint8.
    """
    size = pictures.shape[-1]
    times = _times(size)
    rows = -(-len(pictures) // COLUMNS)
    sheet = Image.new("RGB", _corner(rows, COLUMNS, size), "white")
    pen = ImageDraw.Draw(sheet)
    for place, picture in enumerate(pictures.permute(0, 2, 3, 1).numpy()):
        left, top = _corner(*divmod(place, COLUMNS), size)
        sheet.paste(Image.fromarray(picture.repeat(times, 0).repeat(times, 1)), (left, top + LABEL))
        pen.text((left, top), str(first + place), fill="black", font_size=22)
    return np.asarray(sheet)


def read_sheets(folder: Path, n: int, size: int) -> Tensor:
    """Read the pictures back from their sheets.

    Args:
        folder: The folder of the sheets.
        n: Number of pictures on all sheets.
        size: Width and height of a picture before it was enlarged.

    Returns:
        (n, 3, S, S) uint8.

    Raises:
        ValueError: If a sheet cannot be read.
    """
    found, times = [], _times(size)
    for start in progress_bar(range(0, n, ON_A_SHEET), "Reading sheets", unit="sheets"):
        path = folder / sheet_name(start // ON_A_SHEET)
        try:
            with open_picture(path, any_size=True) as file:
                sheet = np.asarray(file.convert("RGB"))
        except PictureError as error:
            raise ValueError(f"'{path}' {error}. Make the sheets again.") from error
        for place in range(min(ON_A_SHEET, n - start)):
            left, top = _corner(*divmod(place, COLUMNS), size)
            cell = sheet[top + LABEL :, left:][: times * size : times, : times * size : times]
            found.append(torch.from_numpy(cell.copy()).permute(2, 0, 1))
    return torch.stack(found)


def _times(size: int) -> int:
    return max(1, SIDE // size)


def _corner(row: int, column: int, size: int) -> tuple[int, int]:
    """Return the left and upper edge of a cell."""
    side = _times(size) * size + GAP
    return GAP + column * side, GAP + row * (side + LABEL)
