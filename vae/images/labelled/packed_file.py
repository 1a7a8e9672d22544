"""Write and read the `.npz` files of training data: arrays, and many pictures as JPEGs one after another."""

import io
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from vae.files import DamagedError, replacing
from vae.images.decode import decode_stored

SIDES = ("train", "validation")
"""Where a picture of a file is used; the file has an index into this for each picture."""

Pixels = NDArray[np.uint8]


def write_arrays(path: Path, **arrays: NDArray[Any]) -> Path:
    """Write arrays to an `.npz` of exactly this name, completely or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as partial, partial.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)
    return path


@contextmanager
def stored_arrays(path: Path, advice: str) -> Iterator[Mapping[str, NDArray[Any]]]:
    """Open what `write_arrays` wrote, and name the file if it cannot be used in the block.

    Args:
        path: The file.
        advice: What the message says at its end.

    Yields:
        The arrays by name, each read when it is asked for.

    Raises:
        DamagedError: If it is no such file, lacks an array or is damaged.
    """
    try:
        with path.open("rb") as file:  # NumPy would leave a broken one open
            stored = np.load(file)
            if not isinstance(stored, np.lib.npyio.NpzFile):
                raise ValueError("it holds one array alone")
            yield stored
    except (ValueError, KeyError, IndexError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise DamagedError(
            f"'{path}' must be an .npz that `handlatent judge-train` wrote, and it is another file or damaged. {advice}"
        ) from error


def encode_jpeg(picture: Pixels, **settings: Any) -> bytes:
    """Encode (height, width, 3) uint8, RGB, as a JPEG.

    Args:
        picture: The picture.
        settings: Pillow's: `quality`, 0..100, and `subsampling`.
    """
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", **settings)
    return file.getvalue()


def jpeg_arrays(jpegs: Iterable[bytes]) -> dict[str, NDArray[Any]]:
    """Return the arrays that `write_arrays` writes for n JPEGs.

    Returns:
        "jpegs", (bytes of all,) uint8, one after another; "ends", (n,) int64, the byte after each.
    """
    parts = list(jpegs)
    return {"jpegs": np.frombuffer(b"".join(parts), np.uint8), "ends": np.cumsum([len(part) for part in parts])}


def decode_jpegs(stored: Mapping[str, NDArray[Any]]) -> Tensor:
    """Decode what `jpeg_arrays` returned, n pictures of one size, to (n, 3, S, S) uint8 on the CPU.

    Raises:
        PictureError: If one cannot be decoded.
    """
    content, ends = stored["jpegs"].tobytes(), stored["ends"].tolist()
    with ThreadPoolExecutor() as threads:
        pictures = list(threads.map(lambda span: decode_stored(content[slice(*span)]), pairwise([0, *ends])))
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).contiguous()
