"""Time the reading of photographs by the number of threads: `python benchmarks/reading.py --data path/to/11k-hands`.

Nothing is taken from the cache. Decoding a file frees Python's lock, but finding the hand in it holds the lock. So a
few threads are faster than one, and many wait for each other. No more threads run than there are cores.
"""

import tempfile
import time
from argparse import ArgumentParser
from pathlib import Path

from vae.images import load_hands11k, reading


def seconds(data: Path, size: int, threads: int) -> float:
    """Return how long reading takes with a number of threads."""
    reading.MAX_THREADS = threads
    with tempfile.TemporaryDirectory() as empty:
        start = time.perf_counter()
        load_hands11k(data, size, irregularities="exclude", cache_dir=empty)
        return time.perf_counter() - start


def main() -> None:
    """Print the seconds of each number of threads, each as often as there are turns."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of 11k Hands")
    parser.add_argument("--size", type=int, default=128, help="pixels a side")
    parser.add_argument("--threads", type=int, nargs="+", default=[16, 1, 2, 4, 8])
    parser.add_argument("--turns", type=int, default=1)
    args = parser.parse_args()
    for _ in range(args.turns):
        for threads in args.threads:
            print(f"{threads} threads: {seconds(args.data, args.size, threads):.1f} s", flush=True)


if __name__ == "__main__":
    main()
