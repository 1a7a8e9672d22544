"""Read many pictures at once: hash them, look them up in the cache, or decode them in parallel."""

import hashlib
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from vae.checks import check_between, integer
from vae.images.cache import cache_folder, load_cached, store_cached
from vae.images.decode import UNREADABLE, PictureError, Pixels, Prepare, check_file, decode_picture
from vae.images.image_set import Problem
from vae.progress import progress_bar

MAX_THREADS = 4  # more wait for Python's lock, which finding the hand in a photograph holds
TASK = 16  # pictures that another process decodes before it sends them
SMALLEST, LARGEST = 8, 1024  # allowed pixels a side
DECODE_VERSION = 2  # raise this if `decode_picture` reads other files, or in another way: it is part of the cache's key

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
    executor: Executor | None = None,
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
        executor: Decodes what the cache does not have; None: a few threads. Processes must be able to unpickle
            `prepare`.

    Returns:
        The pixels, (n, 3, size, size) uint8; the ascending indices of the n usable pictures; the problems of
        the others.

    Raises:
        ValueError: If no picture can be used, or the size is out of range.

    Warns:
        UserWarning: Once, naming every picture that cannot be used, with its reason.
    """
    check_size(size)
    digests = list(_each(_digest, paths, "Checking pictures", progress))
    key = hashlib.sha256("\n".join([str(size), str(DECODE_VERSION), version, *digests]).encode()).hexdigest()
    file = cache_folder(cache_dir) / f"pictures-{key[:32]}.safetensors"
    cached = load_cached(file, len(paths), size)
    if cached is None:
        cached = _decode(paths, size, prepare, progress, executor)
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
    attempt = partial(_attempt, size=smallest, prepare=prepare, largest=largest)
    with _without_warnings():
        results = list(enumerate(_each(attempt, paths, "Reading pictures", progress=False)))
    problems = tuple(Problem(names[index], found) for index, found in results if isinstance(found, str))
    usable = [(index, torch.from_numpy(found)) for index, found in results if not isinstance(found, str)]
    return [picture for _, picture in usable], [index for index, _ in usable], problems


def check_size(size: int) -> int:
    """Return a number of pixels a side, an integer of any kind, as Python's own.

    Raises:
        TypeError: If it is no integer.
        ValueError: If it is out of range.
    """
    size = integer("size", size)
    check_between("size", size, SMALLEST, LARGEST, advice="Use 64, 128 or 256.")
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


def _decode(
    paths: Sequence[Path], size: int, prepare: Prepare, progress: bool, executor: Executor | None
) -> tuple[Tensor, dict[int, str]]:
    pixels, reasons = np.empty((len(paths), 3, size, size), dtype=np.uint8), {}
    attempt = partial(_attempt if executor is None else _attempt_in_process, size=size, prepare=prepare)
    with _without_warnings():
        for index, found in enumerate(_each(attempt, paths, "Reading pictures", progress, executor)):
            if isinstance(found, str):
                reasons[index] = found
            else:
                pixels[index] = found
    if reasons:
        pixels = np.delete(pixels, list(reasons), axis=0)
    return torch.from_numpy(pixels), reasons


def _attempt(path: Path, size: int, prepare: Prepare, largest: int | None = None) -> Pixels | str:
    """Decode a picture, or return the reason why it cannot be used."""
    try:
        return decode_picture(path, size, prepare, largest=largest)
    except PictureError as error:
        return str(error)


def _attempt_in_process(path: Path, size: int, prepare: Prepare) -> Pixels | str:
    with _without_warnings():  # those of this process
        return _attempt(path, size, prepare)


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Ignore Pillow's warnings, which do not name the picture; ours does. It is around all threads, which share it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _each(
    work: Callable[[Path], Result], paths: Sequence[Path], title: str, progress: bool, executor: Executor | None = None
) -> Iterator[Result]:
    """Do something with each file, several at a time, in order."""
    with ThreadPoolExecutor(min(MAX_THREADS, os.cpu_count() or 1)) as threads:
        done = (executor or threads).map(work, paths, chunksize=TASK)
        yield from progress_bar(done, title, total=len(paths), unit="pictures", asked=progress)


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
