"""Write and read the `.npz` files of training data: arrays, and many pictures as JPEGs one after another."""

import io
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from vae.files import replacing
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
