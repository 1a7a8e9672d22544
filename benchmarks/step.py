"""Measure what the environment costs: a step of HandLatent-v0 against a bare VAE step on the same minibatch.

    python benchmarks/step.py [--device cuda] [--size 64] [--width large] [--batch 256]

Both train one and the same VAE, in turns, in blocks of `BLOCK` steps, so that a noisy machine slows both alike. Prints
images/s of either (the median block) and the median of the blocks' ratios with its quartiles. The ratio is to be at
most 1.10; on one H100, at 64 pixels with the large model, at least 12,000 images/s are to be reached.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch

from hand_env import HandLatentEnv
from vae.device import resolve_device
from vae.model import count_parameters

BLOCK = 10


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--width", default="small")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--blocks", type=int, default=15)
    args = parser.parse_args()
    device = resolve_device(args.device)
    images = torch.randint(0, 256, (max(1024, args.batch), 3, args.size, args.size), dtype=torch.uint8)
    env = HandLatentEnv(
        images,
        batch_size=args.batch,
        width=args.width,
        epochs_per_episode=10_000,
        device=device,
        latent_dim=300,
    )
    env.reset(seed=0)
    trainer = env.trainer
    action = env.action_space.sample()

    def bare_step() -> None:
        trainer.step()
        trainer.encode()  # of the next minibatch: not more work, but at the moment when the environment does it

    bare: list[float] = []
    stepped: list[float] = []
    for block in range(args.blocks + 2):
        turns = [(bare, bare_step), (stepped, lambda: env.step(action))]
        for times, step in turns if block % 2 else reversed(turns):
            times.append(timed(step, device))
    del bare[:2], stepped[:2]  # they warmed up: compilation, memory
    ratios = np.array(stepped) / np.array(bare)
    low, middle, high = np.quantile(ratios, [0.25, 0.5, 0.75])
    name = torch.cuda.get_device_name(0) if device != "cpu" else f"{torch.get_num_threads()} CPU threads"
    print(f"{name}: {args.size} pixels, {count_parameters(trainer.vae) / 1e6:.2f} M parameters, batch {args.batch}")
    for label, times in (("bare VAE step", bare), ("HandLatent-v0 step", stepped)):
        print(f"{label:>20}: {args.batch * BLOCK / np.median(times):8.0f} images/s")
    print(f"{'ratio':>20}: {middle:8.3f} (quartiles {low:.3f} to {high:.3f}, {args.blocks} blocks of {BLOCK})")


def timed(step: Callable[[], object], device: str) -> float:
    """Time `BLOCK` steps, in seconds."""
    start = time.perf_counter()
    for _ in range(BLOCK):
        step()
    if device != "cpu":
        torch.cuda.synchronize()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
