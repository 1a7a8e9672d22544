"""Measure how many pictures the anatomy judge judges per second.

Run `python benchmarks/judge.py`; it takes about 20 seconds on two cores and also uses a GPU if there is one. The
weights are untrained, which does not change the speed. They find a hand everywhere, so every picture is cut out.
"""

import argparse
import time

import torch

from hand_env.anatomy.judge import Judge
from hand_env.anatomy.network import ARCHITECTURES, build_network
from hand_env.anatomy.weights import Calibration

LIMITS = {"whole": 0.0, "hand": 0.0, "states": 0.0, "extra": 0.0}


def pictures_per_second(judge: Judge, size: int, n: int, crop: bool = False) -> float:
    """Time the judging of n pictures of size x size pixels, after a warm-up."""
    images = torch.rand(n, 3, size, size, device=judge.device)
    judge.judge(images, crop=crop)
    start = time.perf_counter()
    judge.judge(images, crop=crop)
    return n / (time.perf_counter() - start)


def main() -> None:
    """Print a line for each device, architecture and size."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    print(f"torch {torch.__version__}, {torch.get_num_threads()} CPU threads")
    for device in ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",):
        for architecture in ARCHITECTURES:
            judge = Judge(build_network(architecture), Calibration(architecture, LIMITS), device)
            for size in (64, 128):
                n = 256 if device == "cpu" else 8192
                plain, cropped = (pictures_per_second(judge, size, n, crop) for crop in (False, True))
                name = f"{device:4} {architecture:8} {size:3} pixels"
                print(f"{name}: {plain:6.0f} pictures/s, {cropped:6.0f} with the crop")


if __name__ == "__main__":
    main()
