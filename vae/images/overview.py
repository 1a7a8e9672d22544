"""Write pictures of hands, and overviews: grids of hands and drawings, which are never read as pictures of hands.

An overview is a PNG with a mark in its header. The mark stays when the file is moved or renamed.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from vae.files import replacing, writing

KEYWORD, KIND = "handlatent", "overview"
_MARK = f"tEXt{KEYWORD}\0{KIND}".encode()
_HEAD = 64  # bytes; Pillow writes the mark right behind the PNG's first 33

UNMARKED = {"grid.png": ("generated.json", "config.json"), "refine.png": ("refine.json",)}
"""Overviews that earlier versions wrote without a mark, by name. Beside each lies one of the listed files."""


def save_overview(path: Path, picture: NDArray[np.uint8]) -> None:
    """Write an overview as a PNG.

    Args:
        path: The file; an existing one is replaced when the new one is complete.
        picture: (height, width, 3) uint8.
    """
    mark = PngInfo()
    mark.add_text(KEYWORD, KIND)
    with replacing(path) as partial:
        Image.fromarray(picture).save(partial, "PNG", pnginfo=mark)


def save_picture(path: Path, picture: Tensor) -> None:
    """Write a picture of a hand as a PNG, without the mark.

    Args:
        path: The file.
        picture: (3, height, width) uint8.
    """
    with writing(path):
        Image.fromarray(picture.permute(1, 2, 0).numpy()).save(path, "PNG")


def is_overview(path: Path) -> bool:
    """Return whether a file is an overview of this project; false for what cannot be read."""
    try:
        if not path.is_file():  # reading a pipe would wait forever
            return False
        if any((path.parent / name).is_file() for name in UNMARKED.get(path.name, ())):
            return True
        with path.open("rb") as file:
            return _MARK in file.read(_HEAD)
    except OSError:
        return False
