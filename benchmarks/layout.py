"""Measure how much faster VAEs encode and decode in the channels-last format, which `build_vae` chooses.

Run `python benchmarks/layout.py`, on a GPU with `--device cuda`; there it uses bfloat16, as in training. Both formats
take turns. Prints the median over turns of the ratio of their times, with the smallest and the largest.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from vae import VAE, VAEConfig, build_vae
from vae.device import reduced_precision

TURNS, PICTURES = 5, 64
BUILDS = (VAEConfig(64, 300, "small"), VAEConfig(64, 300, "large"), VAEConfig(128, 300, "large"))


def seconds(work: Callable[[Tensor], Any], given: Tensor) -> float:
    """Time a call."""
    start = time.perf_counter()
    with torch.no_grad(), reduced_precision(given.device):
        work(given)
    if given.is_cuda:
        torch.cuda.synchronize()
    return time.perf_counter() - start


def ratios(plain: VAE, last: VAE, half: str, given: Tensor) -> list[float]:
    """Time encoder or decoder of both VAEs in turns, after a warm-up; a ratio above 1 means the second is faster."""
    turns = [[seconds(getattr(vae, half), given) for vae in (plain, last)] for _ in range(TURNS + 1)]
    return [first / second for first, second in turns[1:]]


def main() -> None:
    """Print a line for each VAE."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    device = parser.parse_args().device
    where = torch.cuda.get_device_name(0) if device != "cpu" else f"{torch.get_num_threads()} CPU threads"
    print(f"{where}, {PICTURES} pictures, median of {TURNS} turns")
    for config in BUILDS:
        last, plain = (build_vae(config, seed=0).to(device).eval() for _ in range(2))
        plain.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]  # not in torch's types
        found = []
        for half, shape in (("decoder", (300,)), ("encoder", (3, config.size, config.size))):
            times = ratios(plain, last, half, torch.rand(PICTURES, *shape, device=device))
            found.append(f"{half} {statistics.median(times):.2f} ({min(times):.2f} to {max(times):.2f})")
        print(f"{config.size:3} pixels, {config.width:5}: {', '.join(found)} times as fast", flush=True)


if __name__ == "__main__":
    main()
