"""Measure how many pictures the anatomy judge judges per second.

Run `python benchmarks/judge.py`; it takes about 20 seconds on two cores and also uses a GPU if there is one. The
weights are untrained, which does not change the speed.
"""

import time

import torch

from hand_env.anatomy.judge import Judge
from hand_env.anatomy.network import ARCHITECTURES, build_network
from hand_env.anatomy.weights import Calibration

LIMITS = {"whole": 0.0, "hand": 0.0, "states": 0.0, "extra": 0.0}


def pictures_per_second(judge: Judge, size: int, n: int) -> float:
    """Time the judging of n pictures of size x size pixels, after a warm-up."""
    images = torch.rand(n, 3, size, size, device=judge.device)
    judge.judge(images)
    start = time.perf_counter()
    judge.judge(images)
    return n / (time.perf_counter() - start)


def main() -> None:
    """Print a line for each device, architecture and size."""
    print(f"torch {torch.__version__}, {torch.get_num_threads()} CPU threads")
    for device in ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",):
        for architecture in ARCHITECTURES:
            judge = Judge(build_network(architecture), Calibration(architecture, LIMITS), device)
            for size in (64, 128):
                rate = pictures_per_second(judge, size, 256 if device == "cpu" else 8192)
                print(f"{device:4} {architecture:8} {size:3} pixels: {rate:6.0f} pictures/s")


if __name__ == "__main__":
    main()
