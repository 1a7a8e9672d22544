"""Open and decode one picture file, or say why it cannot be used. Nothing else in the project opens pictures."""

import io
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from vae.images.resize import resize

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
"""What Pillow may decode, whatever a file is called. Pictures of hands come in no other format, and opening some is
a risk: for EPS, Pillow starts Ghostscript, a program that runs what is written in the file."""

MIN_SIDE = 8  # pixels; a picture with a shorter side shows no hand
MAX_ASPECT = 4  # longer to shorter side; a thinner picture would need a huge square around it
DETAIL = 3  # a picture is decoded at this many times the requested size or more, so that a crop loses no detail
UNREADABLE = "cannot be read"  # because of the file system, not because of the picture

Pixels = NDArray[np.uint8]
Prepare = Callable[[Pixels], Pixels]


class PictureError(ValueError):
    """A picture cannot be used; the message is the reason, to be read after the picture's name."""


@contextmanager
def open_picture(source: Path | BinaryIO, any_size: bool = False) -> Iterator[Image.Image]:
    """Open a picture of one of the `FORMATS`; what goes wrong in the block is a reason too.

    Args:
        source: The file, or the content of one.
        any_size: Whether to take a picture of any size and shape: one that the project itself wrote.

    Yields:
        The picture, not decoded yet.

    Raises:
        PictureError: If it cannot be opened, or is too large, too small or too thin; or for any error in the block.
    """
    if isinstance(source, Path):
        check_file(source)
    try:
        with Image.open(source, formats=FORMATS) as image:
            if not any_size:
                _check_size(image)
            yield image
    except (PictureError, MemoryError):
        raise
    except Exception as error:  # Pillow can raise almost anything on an unknown file
        raise PictureError(_reason(error)) from error


def decode_picture(path: Path | BinaryIO, size: int, prepare: Prepare, *, largest: int | None = None) -> Pixels:
    """Read one picture as RGB, make it square and resize it.

    CMYK, greyscale, palette and 16-bit pictures become 8-bit RGB. Transparent pixels are blended with white. The
    camera's orientation (EXIF) is applied. Only the first frame of an animation is used.

    Args:
        path: The file, or the content of one.
        size: Pixels a side of the result, >= 1.
        prepare: Makes (height, width, 3) uint8 square.
        largest: If given, the side of the result is the longer side of the picture, within `size`..`largest`.

    Returns:
        (3, S, S) uint8, RGB; S is `size` unless `largest` is given.

    Raises:
        PictureError: If the file cannot be read as a picture, for any reason.
    """
    with open_picture(path) as image:
        side = size if largest is None else min(max(*image.size, size), largest)
        image.draft("RGB", (DETAIL * side, DETAIL * side))  # shrinks a large JPEG while it decodes
        rgb = _to_rgb(ImageOps.exif_transpose(image))
        rgb = rgb.reduce(max(1, min(rgb.size) // (DETAIL * side)))
        return np.ascontiguousarray(resize(prepare(np.asarray(rgb)), side, side).transpose(2, 0, 1))


def decode_stored(content: bytes) -> Pixels:
    """Decode a picture of one of our own files of many pictures.

    Args:
        content: What a picture file would hold, in one of the `FORMATS`.

    Returns:
        (height, width, 3) uint8, RGB.

    Raises:
        PictureError: If it cannot be decoded as one of these, or is too large, too small or too thin.
    """
    with open_picture(io.BytesIO(content)) as image:
        return np.asarray(image.convert("RGB"))


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
    grey = np.round(values / 257).astype(np.uint8)  # 65535 = 257 * 255
    grey[values == image.info.get("transparency")] = 255
    return Image.fromarray(grey)


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return f"is not a picture in a format that is read ({', '.join(FORMATS)})"
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        return f"is too large to be decoded safely (more than {Image.MAX_IMAGE_PIXELS} pixels)"
    if isinstance(error, OSError) and error.strerror:
        return f"{UNREADABLE} ({error.strerror})"
    return f"is damaged ({error or type(error).__name__})"
