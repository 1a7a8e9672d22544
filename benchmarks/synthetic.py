"""Measure how many synthetic hands are generated per second.

Run `python benchmarks/synthetic.py`; it takes about 15 seconds on two cores and also uses a GPU if there is one.
"""

from __future__ import annotations

import argparse
import time

import torch

from vae.images.synthetic import generate_hands


def pictures_per_second(size: int, device: str, n: int) -> float:
    """Time generating n pictures of size x size pixels, after a warm-up."""
    generate_hands(n // 4, size, seed=1, device=device)
    start = time.perf_counter()
    generate_hands(n, size, seed=0, device=device)
    return n / (time.perf_counter() - start)


def main() -> None:
    """Print one line per device and size."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    print(f"torch {torch.__version__}, {torch.get_num_threads()} CPU threads")
    for device in ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",):
        for size in (32, 64, 128):
            print(f"{device:4} {size:3} pixels: {pictures_per_second(size, device, 1000):6.0f} pictures/s")


if __name__ == "__main__":
    main()
