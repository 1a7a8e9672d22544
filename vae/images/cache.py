"""Cache decoded pictures on disk, so that they are decoded only once.

Each set of pictures has one safetensors file with the pixels. Its header lists the pictures that cannot be used, and a
checksum. Nothing in the file is ever executed. If anything is wrong with it, the pictures are decoded again.
"""

import json
import os
import shutil
import time
import warnings
import zlib
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import platformdirs
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

CACHE_VARIABLE = "HANDLATENT_CACHE"
_NO_HOME = "~"  # begins the name of the cache where no home is known
_PARTIAL = ".partial-"  # begins the name of a folder in which a process writes a file
_ABANDONED = 24 * 3600.0  # seconds after which no process is still writing there


def cache_folder(cache_dir: Path | str | None = None) -> Path:
    """Return the folder of the cache.

    Args:
        cache_dir: The folder; "~" is the user's home. None takes it from the environment variable HANDLATENT_CACHE or,
            if that is not set, takes the user's cache folder.

    Returns:
        The folder, which may not exist yet.
    """
    chosen = cache_dir or os.environ.get(CACHE_VARIABLE)
    if chosen:
        return Path(os.path.expanduser(chosen))
    try:
        return Path(platformdirs.user_cache_dir("handlatent"))
    except RuntimeError:  # of newer versions; older ones return a path that begins with "~"
        return Path(_NO_HOME)


def load_cached(file: Path, n: int, size: int) -> tuple[Tensor, dict[int, str]] | None:
    """Read what `store_cached` wrote.

    Args:
        file: The cache file.
        n: Number of pictures that the file should describe.
        size: Pixels a side.

    Returns:
        The pixels, (n - problems, 3, size, size) uint8, and the reason for each unusable picture by its index.
        None if the file is missing, damaged, or describes other pictures.
    """
    try:
        with safe_open(file, framework="pt") as stored:
            header = stored.metadata() or {}
            pixels = stored.get_tensor("pixels").clone()  # a copy: the file may be replaced while we run
        problems = {int(index): str(reason) for index, reason in json.loads(header["problems"]).items()}
        intact = int(header["checksum"]) == _checksum(pixels)
    except (OSError, SafetensorError, ValueError, KeyError, TypeError, AttributeError):
        return None
    fits = pixels.shape == (n - len(problems), 3, size, size) and pixels.dtype == torch.uint8
    fits = fits and all(0 <= index < n for index in problems)
    return (pixels, problems) if intact and fits else None


def store_cached(file: Path, pixels: Tensor, problems: dict[int, str]) -> None:
    """Write decoded pictures atomically: no reader ever sees part of a file.

    Args:
        file: The cache file; missing folders are created.
        pixels: (n, 3, size, size) uint8.
        problems: The reason for each unusable picture by its index.

    Warns:
        UserWarning: If the folder cannot be written. The pictures are decoded again next time.
    """
    header = {"problems": json.dumps(problems), "checksum": str(_checksum(pixels))}
    # a folder of this process alone: another one may decode the same pictures
    partial = file.parent / f"{_PARTIAL}{uuid4().hex}"
    try:
        if file.parts[0] == _NO_HOME:
            raise OSError("the home folder of this user is unknown")
        file.parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(file.parent)
        partial.mkdir()
        complete = partial / file.name
        # it writes under a random name beside the file first, and lets only the owner read it, whatever the umask says
        save_file({"pixels": pixels}, complete, metadata=header)
        complete.chmod(partial.stat().st_mode & 0o666)
        with complete.open("rb+") as written:
            os.fsync(written.fileno())
        os.replace(complete, file)
    except (OSError, SafetensorError) as error:
        warnings.warn(
            f"Decoded pictures could not be saved in {str(file.parent)!r} ({error}) and will be decoded again "
            f"next time. Set {CACHE_VARIABLE} to a folder that is writable.",
            stacklevel=2,
        )
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _remove_abandoned(folder: Path) -> None:
    """Remove what processes left that were killed while they wrote."""
    for partial in folder.glob(f"{_PARTIAL}*"):
        with suppress(FileNotFoundError):  # its process has just ended
            if time.time() - partial.stat().st_mtime > _ABANDONED:
                shutil.rmtree(partial, ignore_errors=True)


def _checksum(pixels: Tensor) -> int:
    return zlib.crc32(pixels.numpy().data)
