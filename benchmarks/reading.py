"""Time the reading of photographs by the number of threads, or of processes, that share the work.

    python benchmarks/reading.py --data path/to/11k-hands [--threads 1 2 4] [--processes 2 16]

Nothing is taken from the cache. Decoding a file frees Python's lock, but finding the hand in it holds the lock. So a
few threads are faster than one, and many wait for each other. No more threads run than there are cores. Processes do
not wait for each other, but they take seconds to start; that is not in their times. `handlatent recipe` reads with the
processes that it starts anyway, for rendering.
"""

import tempfile
import time
from argparse import ArgumentParser
from concurrent.futures import Executor, ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from vae.images import load_hands11k, reading


def seconds(data: Path, size: int, executor: Executor | None = None) -> float:
    """Return how long reading takes, with a few threads if there is no executor."""
    with tempfile.TemporaryDirectory() as empty:
        start = time.perf_counter()
        load_hands11k(data, size, irregularities="exclude", cache_dir=empty, executor=executor)
        return time.perf_counter() - start


def in_processes(data: Path, size: int, n: int) -> float:
    """Return how long n processes take, once they have started."""
    with ProcessPoolExecutor(n, get_context("spawn")) as pool:
        picture = np.full((64, 64, 3), 255, np.uint8)
        list(pool.map(partial(_warm, picture), range(8 * n)))
        return seconds(data, size, pool)


def _warm(picture: np.ndarray, _: int) -> None:
    from vae.images.crop import crop_to_hand

    crop_to_hand(picture)
    time.sleep(0.2)  # so that each process gets some


def main() -> None:
    """Print the seconds of each number of threads and processes, each as often as there are turns."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of 11k Hands")
    parser.add_argument("--size", type=int, default=128, help="pixels a side")
    parser.add_argument("--threads", type=int, nargs="+", default=[16, 1, 2, 4, 8])
    parser.add_argument("--processes", type=int, nargs="*", default=[])
    parser.add_argument("--turns", type=int, default=1)
    args = parser.parse_args()
    for _ in range(args.turns):
        for threads in args.threads:
            reading.MAX_THREADS = threads
            print(f"{threads} threads: {seconds(args.data, args.size):.1f} s", flush=True)
        for processes in args.processes:
            print(f"{processes} processes: {in_processes(args.data, args.size, processes):.1f} s", flush=True)


if __name__ == "__main__":
    main()
