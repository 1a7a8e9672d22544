"""Read pictures to judge: single files and folders, each picture at its own size."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import ExifTags
from torch import Tensor

from vae.images import Problem
from vae.images.decode import open_picture
from vae.images.folder import pad_to_square
from vae.images.listing import list_pictures
from vae.images.reading import read_at_own_size

TURNED = 5  # the camera's orientations from this on swap width and height
SMALLEST, LARGEST = 32, 256  # pictures are judged at their own size, within this range of pixels a side


@dataclass(frozen=True, eq=False)
class FoundPictures:
    """The pictures that paths name, at their own size.

    Attributes:
        files: The files that could be read.
        pictures: Their pictures, (3, S, S) uint8 each, S in 32..256: padded to squares, and larger ones shrunk.
        problems: The files that could not be read.
        notes: Sentences on what else was left out.
    """

    files: list[Path]
    pictures: list[Tensor]
    problems: list[Problem]
    notes: list[str]


def read_paths(paths: Sequence[Path]) -> FoundPictures:
    """Read pictures, and those in folders and subfolders, each file once; see `list_pictures`.

    Raises:
        FileNotFoundError: If a path does not exist, or a folder holds no picture.
        ValueError: If a picture that was named itself cannot be read, or none can.
    """
    files: list[Path] = []
    named, notes = set[str](), list[str]()
    for path in paths:
        if path.is_dir():
            listing = list_pictures(path)
            listing.need_pictures()
            files += [path / name for name in listing.names]
            notes += listing.notes
        elif os.path.lexists(path):
            files.append(path)
            named.add(os.path.realpath(path))
        else:
            raise FileNotFoundError(f"{str(path)!r} must be a picture or a folder of pictures, and there is none.")
    once, twice = dict[str, Path](), list[Path]()
    for file in files:
        if once.setdefault(os.path.realpath(file), file) is not file:
            twice.append(file)
    if twice:
        notes.append(f"Named more than once and judged once: {len(twice):,}, such as {str(twice[0])!r}.")
    found = _read([*once.values()])
    must = [problem for problem in found.problems if os.path.realpath(problem.name) in named or not found.files]
    if must:
        raise ValueError(f"{must[0].name!r} {must[0].reason}, and cannot be judged.")
    return FoundPictures(found.files, found.pictures, found.problems, [*dict.fromkeys(notes)])


def read_files(files: Sequence[Path]) -> list[Tensor]:
    """Read pictures at their own size, padded to squares.

    Returns:
        (3, S, S) uint8 each, S in 32..256.

    Raises:
        ValueError: If one cannot be read.
    """
    found = _read(files)
    if found.problems:
        raise ValueError(f"{found.problems[0].name!r} {found.problems[0].reason}, and cannot be judged.")
    return found.pictures


def _read(files: Sequence[Path]) -> FoundPictures:
    pixels, usable, problems = read_at_own_size(files, [str(file) for file in files], SMALLEST, LARGEST, pad_to_square)
    return FoundPictures([files[index] for index in usable], list(pixels), list(problems), [])


def square_around(file: Path) -> tuple[int, int, int]:
    """Return where the square that was judged lies in a file's picture, in its own pixels.

    Returns:
        The square's side, the longer one of the picture; how far it reaches beyond the picture on the left and on top.

    Raises:
        PictureError: If the file cannot be read as a picture.
    """
    with open_picture(file) as image:
        width, height = image.size
        if image.getexif().get(ExifTags.Base.Orientation, 1) >= TURNED:
            width, height = height, width
    side = max(width, height)
    return side, (side - width) // 2, (side - height) // 2
