"""Load pictures from any folder."""

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vae.images.hands11k import HANDS, TABLE, Hand, Keep, Side, download_root, load_hands11k
from vae.images.image_set import ImageSet
from vae.images.listing import list_pictures
from vae.images.reading import check_size, choose, read_pictures

PAD_VERSION = 1  # raise this if `pad_to_square` changes: it is part of the cache's key
_NAME = re.compile(r"Hand_[0-9]{7}\.jpg")  # of a photograph of 11k Hands


def load_images(
    root: Path | str,
    size: int,
    *,
    side: Side = "all",
    hand: Hand = "all",
    accessories: Keep = "include",
    irregularities: Keep = "include",
    n_images: int | None = None,
    seed: int = 0,
    cache_dir: Path | str | None = None,
    progress: bool = False,
) -> ImageSet:
    """Load pictures from 11k Hands (see `is_hands11k`), or from a plain folder.

    Arguments, results and errors are those of `load_hands11k` and `load_folder`.

    Raises:
        FileNotFoundError: If the folder does not exist.
        ValueError: Also if `side`, `hand`, `accessories` or `irregularities` is chosen for a plain folder,
            which does not record them; or if 11k Hands lies in a folder of this folder.
    """
    choices = {"side": side, "hand": hand, "accessories": accessories, "irregularities": irregularities}
    if is_hands11k(Path(root)):
        return load_hands11k(
            root,
            size,
            side=side,
            hand=hand,
            accessories=accessories,
            irregularities=irregularities,
            n_images=n_images,
            seed=seed,
            cache_dir=cache_dir,
            progress=progress,
        )
    _check_folder(Path(root))
    for name, value in choices.items():
        if value not in ("all", "include"):
            raise ValueError(
                f"{name} can be chosen for 11k Hands only, got {value!r} for {str(root)!r}, which has no "
                f"HandInfo.csv. Leave {name} out."
            )
    if inside := next(Path(root).glob(f"*/{TABLE}"), None):
        raise ValueError(
            f"{str(root)!r} must be the download of 11k Hands itself, but is the folder around it, which does not say "
            f"which picture shows which person. Use {str(inside.parent)!r}."
        )
    return load_folder(root, size, n_images=n_images, seed=seed, cache_dir=cache_dir, progress=progress)


def is_hands11k(root: Path) -> bool:
    """Return whether a folder is the download of 11k Hands, or its `Hands`.

    It is if the table is there or, should the table be missing, if pictures in `Hands` are named as in the download.
    """
    if (download_root(root) / TABLE).exists():
        return True
    hands = root if root.name == HANDS else root / HANDS
    return hands.is_dir() and any(_NAME.fullmatch(path.name) for path in hands.iterdir())


def load_folder(
    root: Path | str,
    size: int,
    *,
    n_images: int | None = None,
    seed: int = 0,
    cache_dir: Path | str | None = None,
    progress: bool = False,
) -> ImageSet:
    """Load all pictures under a folder and resize them.

    Pictures are padded to a square, never cropped, because a crop might cut off a finger. Only the camera's orientation
    (EXIF) rotates them. `list_pictures` says which files are left out, and the result's notes count them.

    Args:
        root: The folder.
        size: Pixels a side, 8..1024.
        n_images: How many pictures to take, at random; None takes all.
        seed: Seed of that choice.
        cache_dir: Where decoded pictures are kept; see `cache_folder`.
        progress: Whether to show a progress bar outside `vae.progress.show_progress` too.

    Returns:
        The pictures, named by their path under the folder and sorted by name; each is its own group.

    Raises:
        FileNotFoundError: If the folder does not exist or has no picture.
        ValueError: If there are fewer than `n_images` pictures, or none can be used.
        OSError: If a folder cannot be read.

    Warns:
        UserWarning: Once, if pictures cannot be used; see `read_pictures`.
    """
    size = check_size(size)
    root = Path(root)
    _check_folder(root)
    listing = list_pictures(root)
    listing.need_pictures()
    names = listing.names
    chosen = [names[index] for index in choose(len(names), n_images, seed, f"under {str(root)!r}")]
    pixels, usable, problems = read_pictures(
        [root / name for name in chosen],
        chosen,
        size,
        pad_to_square,
        version=f"pad-{PAD_VERSION}",
        cache_dir=cache_dir,
        progress=progress,
    )
    kept = tuple(chosen[index] for index in usable)
    return ImageSet(pixels, kept, kept, names, problems, listing.notes)


def pad_to_square(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Pad the shorter side of a picture to a square, with the median colour of its border.

    Args:
        picture: (height, width, 3) uint8.

    Returns:
        (side, side, 3) uint8, where side is the longer of height and width.
    """
    height, width = picture.shape[:2]
    side = max(height, width)
    border = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])
    square = np.empty((side, side, 3), dtype=np.uint8)
    square[:] = np.median(border, axis=0)
    top, left = (side - height) // 2, (side - width) // 2
    square[top : top + height, left : left + width] = picture
    return square


def _check_folder(root: Path) -> None:
    if not root.is_dir():
        raise FileNotFoundError(f"{str(root)!r} must be a folder of pictures, but is no folder. Check the path.")
