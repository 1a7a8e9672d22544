"""Read many pictures at once: hash them, look them up in the cache, or decode them in parallel."""

import hashlib
import os
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from vae.checks import check_between, integer
from vae.images.cache import cache_folder, load_cached, store_cached
from vae.images.decode import UNREADABLE, PictureError, Prepare, check_file, decode_picture
from vae.images.image_set import Problem
from vae.progress import progress_bar

MAX_THREADS = 4  # more wait for Python's lock, which finding the hand in a photograph holds
SMALLEST, LARGEST = 8, 1024  # allowed pixels a side
DECODE_VERSION = 2  # raise this if `decode_picture` reads other files, or in another way: it is part of the cache's key

Item = TypeVar("Item")
Result = TypeVar("Result")


def read_pictures(
    paths: Sequence[Path],
    names: Sequence[str],
    size: int,
    prepare: Prepare,
    *,
    version: str,
    cache_dir: Path | str | None,
    progress: bool,
) -> tuple[Tensor, list[int], tuple[Problem, ...]]:
    """Read pictures, from the cache if the same contents were read before at the same size.

    Args:
        paths: The files.
        names: Their names, as warnings show them.
        size: Pixels a side.
        prepare: Makes a picture square.
        version: Version of `prepare`, part of the cache's key.
        cache_dir: See `cache_folder`.
        progress: Whether to show a progress bar outside `vae.progress.show_progress` too.

    Returns:
        The pixels, (n, 3, size, size) uint8; the ascending indices of the n usable pictures; the problems of
        the others.

    Raises:
        ValueError: If no picture can be used, or the size is out of range.

    Warns:
        UserWarning: Once, naming every picture that cannot be used, with its reason.
    """
    check_size(size)
    digests = _in_parallel(_digest, paths, "Checking pictures", progress)
    key = hashlib.sha256("\n".join([str(size), str(DECODE_VERSION), version, *digests]).encode()).hexdigest()
    file = cache_folder(cache_dir) / f"pictures-{key[:32]}.safetensors"
    cached = load_cached(file, len(paths), size)
    if cached is None:
        cached = _decode(paths, size, prepare, progress)
        if not any(reason.startswith(UNREADABLE) for reason in cached[1].values()):  # this may be fixed next time
            store_cached(file, *cached)
    pixels, reasons = cached
    problems = tuple(Problem(names[index], reason) for index, reason in sorted(reasons.items()))
    _report(problems, len(paths))
    return pixels, [index for index in range(len(paths)) if index not in reasons], problems


def read_at_own_size(
    paths: Sequence[Path], names: Sequence[str], smallest: int, largest: int, prepare: Prepare
) -> tuple[list[Tensor], list[int], tuple[Problem, ...]]:
    """Read pictures, each at its own size within a range; nothing is kept in the cache.

    Args:
        paths: The files.
        names: Their names, for the problems.
        smallest: Fewest pixels a side.
        largest: Most pixels a side.
        prepare: Makes a picture square.

    Returns:
        The usable pictures, (3, S, S) uint8 each; their ascending indices; the problems of the others.
    """
    found: dict[int, Tensor] = {}

    def decode(index: int) -> None:
        found[index] = torch.from_numpy(decode_picture(paths[index], smallest, prepare, largest=largest))

    reasons = _try_each(decode, len(paths))
    problems = tuple(Problem(names[index], reason) for index, reason in sorted(reasons.items()))
    usable = sorted(found)
    return [found[index] for index in usable], usable, problems


def check_size(size: int) -> int:
    """Return a number of pixels a side, an integer of any kind, as Python's own.

    Raises:
        TypeError: If it is no integer.
        ValueError: If it is out of range.
    """
    size = integer("size", size)
    check_between("size", size, SMALLEST, LARGEST, advice="Use 64 or 128.")
    return size


def choose(n: int, n_images: int | None, seed: int, where: str) -> list[int]:
    """Choose pictures at random; with the same seed, a larger choice contains a smaller one.

    Args:
        n: Number of pictures to choose from.
        n_images: Number of pictures to take; None takes all.
        seed: Seed of the choice.
        where: Says in the error where the pictures are, such as "in 'photos'".

    Returns:
        Ascending indices.

    Raises:
        TypeError: If `n_images` is no integer.
        ValueError: If it is not in 1..n.
    """
    if n_images is None:
        return list(range(n))
    n_images = integer("images", n_images)
    check_between("images", n_images, 1, n, advice=f"There are {n} pictures {where}. Leave it out to take them all.")
    return sorted(np.random.default_rng(seed).permutation(n)[:n_images].tolist())


def _decode(paths: Sequence[Path], size: int, prepare: Prepare, progress: bool) -> tuple[Tensor, dict[int, str]]:
    pixels = np.empty((len(paths), 3, size, size), dtype=np.uint8)

    def decode(index: int) -> None:
        pixels[index] = decode_picture(paths[index], size, prepare)

    reasons = _try_each(decode, len(paths), progress)
    if reasons:
        pixels = np.delete(pixels, list(reasons), axis=0)
    return torch.from_numpy(pixels), reasons


def _try_each(decode: Callable[[int], None], n: int, progress: bool = False) -> dict[int, str]:
    """Decode pictures by their index; return the reason for each that cannot be used."""

    def reason(index: int) -> str | None:
        try:
            decode(index)
        except PictureError as error:
            return str(error)
        return None

    with warnings.catch_warnings():  # around all threads, because it is not thread-safe
        warnings.simplefilter("ignore")  # Pillow's warnings do not name the picture; ours does
        found = _in_parallel(reason, range(n), "Reading pictures", progress)
    return {index: reason for index, reason in enumerate(found) if reason is not None}


def _in_parallel(work: Callable[[Item], Result], items: Sequence[Item], title: str, progress: bool) -> list[Result]:
    with ThreadPoolExecutor(min(MAX_THREADS, os.cpu_count() or 1)) as threads:
        done = threads.map(work, items)
        return list(progress_bar(done, title, total=len(items), unit="pictures", asked=progress))


def _digest(path: Path) -> str:
    try:
        check_file(path)
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, PictureError) as error:
        return f"unreadable: {error}"  # decoding reports the reason


def _report(problems: tuple[Problem, ...], n: int) -> None:
    if not problems:
        return
    listed = "".join(f"\n  {problem}" for problem in problems)
    if len(problems) == n:
        raise ValueError(f"None of the {n} pictures can be used; choose others:{listed}")
    warnings.warn(f"{len(problems)} of {n} pictures cannot be used and are left out:{listed}", stacklevel=4)
