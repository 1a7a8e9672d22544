"""Load pictures from any folder."""

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vae.images.hands11k import Hand, Keep, Side, download_root, load_hands11k
from vae.images.image_set import ImageSet
from vae.images.reading import check_size, choose, read_pictures

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm")
PAD_VERSION = 1  # raise this if `pad_to_square` changes: it is part of the cache's key


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
    progress: bool = True,
) -> ImageSet:
    """Load pictures from 11k Hands, if there is a `HandInfo.csv` or a folder `Hands`, or from a plain folder.

    Arguments, results and errors are those of `load_hands11k` and `load_folder`.

    Raises:
        ValueError: Also if `side`, `hand`, `accessories` or `irregularities` is chosen for a plain folder,
            which does not record them.
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
    for name, value in choices.items():
        if value not in ("all", "include"):
            raise ValueError(
                f"{name} can be chosen for 11k Hands only, got {value!r} for {str(root)!r}, which has no "
                f"HandInfo.csv. Leave {name} out."
            )
    return load_folder(root, size, n_images=n_images, seed=seed, cache_dir=cache_dir, progress=progress)


def is_hands11k(root: Path) -> bool:
    """Return whether a folder is the download of 11k Hands, or its `Hands`, even if the table is missing."""
    if (download_root(root) / "HandInfo.csv").exists() or (root / "Hands").is_dir():
        return True
    return root.name == "Hands" and next(root.glob("Hand_[0-9]*.jpg"), None) is not None


def load_folder(
    root: Path | str,
    size: int,
    *,
    n_images: int | None = None,
    seed: int = 0,
    cache_dir: Path | str | None = None,
    progress: bool = True,
) -> ImageSet:
    """Load all pictures under a folder and resize them.

    Pictures are padded to a square, never cropped, because a crop might cut off a finger. Only the camera's orientation
    (EXIF) rotates them. Hidden files and folders are skipped, and links to folders are not followed.

    Args:
        root: The folder.
        size: Pixels a side, 8..1024.
        n_images: How many pictures to take, at random; None takes all.
        seed: Seed of that choice.
        cache_dir: Where decoded pictures are kept; see `cache_folder`.
        progress: Whether to show a progress bar on a terminal.

    Returns:
        The pictures, named by their path under the folder and sorted by name; each is its own group.

    Raises:
        FileNotFoundError: If the folder does not exist or has no picture.
        ValueError: If there are fewer than `n_images` pictures, or none can be used.
        OSError: If a folder cannot be read.

    Warns:
        UserWarning: Once, if pictures cannot be used; see `read_pictures`.
    """
    check_size(size)
    root = Path(root)
    if not root.is_dir():
        raise FileNotFoundError(f"{str(root)!r} must be a folder of pictures, but is no folder. Check the path.")
    names, others = _list(root)
    if not names:
        raise FileNotFoundError(f"No pictures under {str(root)!r} (looked for *{', *'.join(SUFFIXES)}).")
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
    notes = (f"{others:,} files under {str(root)!r} are left out: they are not named like pictures.",)
    return ImageSet(pixels, kept, kept, tuple(names), problems, notes if others else ())


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


def _list(root: Path) -> tuple[list[str], int]:
    """List the names of the pictures under a folder, sorted, and count the other files."""
    names, others = [], 0
    for folder, folders, files in os.walk(root, onerror=_refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            if name.startswith("."):
                continue
            if Path(name).suffix.lower() in SUFFIXES:
                names.append((Path(folder) / name).relative_to(root).as_posix())
            else:
                others += 1
    return sorted(names), others


def _refuse(error: OSError) -> None:
    """Raise for a folder that cannot be read: skipping it would silently drop its pictures."""
    raise OSError(
        f"The folder {str(error.filename)!r} cannot be read: {error.strerror}. Change its permissions or move it away."
    ) from error
