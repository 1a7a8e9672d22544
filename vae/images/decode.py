"""Decode one picture file, or say why it cannot be used."""

import stat
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from vae.images.resize import resize

MIN_SIDE = 8  # pixels; a picture with a shorter side shows no hand
MAX_ASPECT = 4  # longer to shorter side; a thinner picture would need a huge square around it
DETAIL = 3  # a picture is decoded at this many times the requested size or more, so that a crop loses no detail
UNREADABLE = "cannot be read"  # because of the file system, not because of the picture

Pixels = NDArray[np.uint8]
Prepare = Callable[[Pixels], Pixels]


class PictureError(ValueError):
    """A picture cannot be used; the message is the reason, to be read after the picture's name."""


def decode_picture(path: Path, size: int, prepare: Prepare) -> Pixels:
    """Read one picture as RGB, make it square and resize it.

    CMYK, greyscale, palette and 16-bit pictures become 8-bit RGB. Transparent pixels are blended with white. The
    camera's orientation (EXIF) is applied. Only the first frame of an animation is used.

    Args:
        path: The file.
        size: Pixels a side of the result.
        prepare: Makes (height, width, 3) uint8 square.

    Returns:
        (3, size, size) uint8, RGB.

    Raises:
        PictureError: If the file cannot be read as a picture, for any reason.
    """
    check_file(path)
    try:
        with Image.open(path) as image:
            _check_size(image)
            image.draft("RGB", (DETAIL * size, DETAIL * size))  # shrinks a large JPEG while it decodes
            rgb = _to_rgb(ImageOps.exif_transpose(image))
        rgb = rgb.reduce(max(1, min(rgb.size) // (DETAIL * size)))
        return np.ascontiguousarray(resize(prepare(np.asarray(rgb)), size, size).transpose(2, 0, 1))
    except (PictureError, MemoryError):
        raise
    except Exception as error:  # Pillow can raise almost anything on an unknown file
        raise PictureError(_reason(error)) from error


def check_file(path: Path) -> None:
    """Check that a path is a file and not empty, without opening it.

    Raises:
        PictureError: If it is not.
    """
    try:
        status = path.stat()
    except OSError as error:
        raise PictureError(_reason(error)) from error
    if stat.S_ISDIR(status.st_mode):
        raise PictureError("is a folder")
    if not stat.S_ISREG(status.st_mode):
        raise PictureError("is not a regular file")  # reading a pipe would wait forever
    if status.st_size == 0:
        raise PictureError("is empty (0 bytes)")


def _check_size(image: Image.Image) -> None:
    width, height = image.size
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and width * height > limit:
        raise PictureError(f"is too large to be decoded safely ({width} x {height} pixels; at most {limit} in all)")
    if min(width, height) < MIN_SIDE:
        raise PictureError(f"is too small ({width} x {height} pixels; at least {MIN_SIDE} x {MIN_SIDE})")
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise PictureError(f"is too long and thin ({width} x {height} pixels; at most {MAX_ASPECT} : 1)")


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        return _from_16_bit(image).convert("RGB")
    if image.mode == "F":
        raise PictureError("has floating-point pixels, whose white value is unknown")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image.convert("RGB")


def _from_16_bit(image: Image.Image) -> Image.Image:
    values = np.asarray(image).astype(np.int64)
    if values.min() < 0 or values.max() > 65535:
        raise PictureError("has 32-bit pixels, whose white value is unknown")
    return Image.fromarray(np.round(values / 257).astype(np.uint8))  # 65535 = 257 * 255


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "is not a picture"
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        return f"is too large to be decoded safely (more than {Image.MAX_IMAGE_PIXELS} pixels)"
    if isinstance(error, OSError) and error.strerror:
        return f"{UNREADABLE} ({error.strerror})"
    return f"is damaged ({error or type(error).__name__})"
