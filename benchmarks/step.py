"""Measure what the environment costs: a step of HandLatent-v0, in both forms, compared with a bare VAE step.

    python benchmarks/step.py [--device cuda] [--size 64] [--width large] [--batch 8 64 512]

All train the same VAE, in turns, in blocks of up to ten steps, so that a noisy machine slows all equally. Prints the
images/s of each (the median block; in the vector form an image is a row). Also prints the median of the blocks' ratios
to the bare step, with its quartiles. The ratio should be at most 1.10 in the single form and 1.15 in the vector form.
One H100, at 64 pixels with the large model, should reach at least 12,000 images/s.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch

from hand_env import HandLatentVectorEnv
from vae.device import resolve_device
from vae.model import Width, count_parameters

IN_A_BLOCK = 640  # images, but at most ten steps


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--width", default="small")
    parser.add_argument("--batch", type=int, nargs="+", default=[16])
    parser.add_argument("--blocks", type=int, default=15)
    args = parser.parse_args()
    for batch in args.batch:
        measure(batch, args.size, args.width, resolve_device(args.device), args.blocks)


def measure(batch: int, size: int, width: Width, device: str, blocks: int) -> None:
    """Measure at one batch size, and print."""
    images = torch.randint(0, 256, (max(1024, batch), 3, size, size), dtype=torch.uint8)
    rows = HandLatentVectorEnv(batch, images=images, width=width, epochs_per_episode=10_000, device=device)
    rows.reset(seed=0)
    single, trainer = rows.env, rows.env.trainer
    action, steps = single.action_space.sample(), max(1, min(10, IN_A_BLOCK // batch))

    def bare_step() -> None:
        trainer.step()
        trainer.encode()  # of the next minibatch: no extra work, but at the time when the environment does it

    ways: dict[str, Callable[[], object]] = {
        "bare VAE step": bare_step,
        "single form": lambda: single.step(action),
        "vector form": lambda: rows.step(action),
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    for block in range(blocks + 2):
        turns = list(ways)
        for name in turns[block % 3 :] + turns[: block % 3]:
            times[name].append(timed(ways[name], steps, device))
    machine = torch.cuda.get_device_name(0) if device != "cpu" else f"{torch.get_num_threads()} CPU threads"
    print(f"{machine}: {size} pixels, {count_parameters(trainer.vae) / 1e6:.2f} M parameters, batch {batch}")
    for name, seconds in times.items():
        ratios = np.array(seconds[2:]) / np.array(times["bare VAE step"][2:])  # the first two warmed up
        low, middle, high = np.quantile(ratios, [0.25, 0.5, 0.75])
        print(
            f"{name:>20}: {batch * steps / np.median(seconds[2:]):8.0f} images/s, ratio {middle:.3f} "
            f"(quartiles {low:.3f} to {high:.3f}, {blocks} blocks of {steps})"
        )


def timed(step: Callable[[], object], steps: int, device: str) -> float:
    """Time some steps, in seconds."""
    start = time.perf_counter()
    for _ in range(steps):
        step()
    if device != "cpu":
        torch.cuda.synchronize()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
