"""Measure what CUDA graphs and training side by side save: a step of a VAE alone, and through the environments.

    python benchmarks/side_by_side.py --device cuda
    python benchmarks/side_by_side.py --device cuda --size 64 --batch 40 --vaes 16
    python benchmarks/side_by_side.py --vaes 4 --steps 4 --blocks 5          # two CPU cores: 2 minutes

All train VAEs of one architecture, in turns, in blocks of `--steps` steps, so that a noisy machine slows all equally.
Prints the median block's time a step and a VAE. Also prints how many times as many VAE steps/s as the eager form a way
takes: the median of the blocks' ratios, with its quartiles. Goals on one H100:

- the graphed step: at least 5 times at 32 pixels, B = 16, and 3 times at 64 pixels, B = 40
- the rows of HandSchedule-v0: at least 25 times at 32 pixels, B = 16, 32 VAEs

On the CPU there are no graphs, and `SideBySide` lets VAEs train in turn, each as fast as the eager step. There,
"side by side" measures stacked weights. A block of HandSchedule-v0 is one decision, with its measurement of W on 8
hands. Their brightness is the judge, so the training is timed and no judge's network.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from step import timed

from hand_env import HandLatentEnv, HandScheduleEnv, HandScheduleVectorEnv
from vae.acceleration.cuda_graphs import EAGER_STEPS
from vae.device import resolve_device
from vae.model import VAEConfig, build_vae, count_parameters
from vae.side_by_side import SideBySide
from vae.training import Trainer
from vae.training_config import TrainingConfig

EPOCHS = 100_000  # no episode ends
WARM = 2  # blocks that are not counted: in the first, graphs are captured


@dataclass(frozen=True)
class Way:
    """Say how VAEs are trained.

    Attributes:
        block: Trains for a block of steps.
        vaes: How many VAEs it trains.
        eager: The name of the way that it is compared with.
    """

    block: Callable[[], object]
    vaes: int
    eager: str


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--vaes", type=int, default=32, help="VAEs side by side")
    parser.add_argument("--steps", type=int, default=60, help="in a block, an even number: N is two minibatches")
    parser.add_argument("--blocks", type=int, default=15)
    args = parser.parse_args()
    if args.steps % 2 or args.steps <= EAGER_STEPS:
        parser.error(f"--steps must be an even number above {EAGER_STEPS}, got {args.steps}.")
    args.device = resolve_device(args.device)
    images = torch.randint(0, 256, (2 * args.batch, 3, args.size, args.size), dtype=torch.uint8).to(args.device)
    ways = {**trainers(images, args), **environments(images, args)}
    parameters = count_parameters(build_vae(VAEConfig(args.size), 0)) / 1e6
    machine = torch.cuda.get_device_name(args.device) if args.device != "cpu" else f"{torch.get_num_threads()} threads"
    print(f"{machine}: {args.size} pixels, {parameters:.2f} M parameters, batch {args.batch}")
    report(ways, measure(ways, args.blocks, args.device), args.steps)


def trainers(images: torch.Tensor, args: argparse.Namespace) -> dict[str, Way]:
    """Build the ways without an environment."""

    def make(seed: int, graphed: bool) -> Trainer:
        config = TrainingConfig(EPOCHS, args.batch, graphed=graphed)
        return Trainer(build_vae(VAEConfig(args.size), seed), images, config, seed, args.device)

    eager, name = make(0, False), "VAE, eager"
    ways = {name: Way(repeated(eager.step, args.steps), 1, name)}
    if args.device != "cpu":
        ways["VAE, graphed"] = Way(repeated(make(0, True).step, args.steps), 1, name)
    rows = SideBySide([make(seed, True) for seed in range(args.vaes)], stacked=True)
    return ways | {f"{args.vaes} VAEs side by side": Way(repeated(rows.step, args.steps), args.vaes, name)}


def environments(images: torch.Tensor, args: argparse.Namespace) -> dict[str, Way]:
    """Build the ways through the environments."""
    common = {"images": images, "batch_size": args.batch, "epochs_per_episode": EPOCHS, "device": args.device}

    def make_latent(graphed: bool) -> Callable[[], object]:
        env = HandLatentEnv(**common, training={"graphed": graphed})
        env.reset(seed=0)
        action = env.action_space.sample()
        return repeated(lambda: env.step(action), args.steps)

    latent = "HandLatent-v0, eager"
    ways = {latent: Way(make_latent(False), 1, latent)}
    if args.device != "cpu":
        ways["HandLatent-v0, graphed"] = Way(make_latent(True), 1, latent)
    common |= {"epochs_per_step": args.steps // 2, "judge": brightness, "n_drawn": 8}
    single, rows = HandScheduleEnv(**common, training={"graphed": False}), HandScheduleVectorEnv(args.vaes, **common)
    schedule = "HandSchedule-v0, eager"
    ways[schedule] = Way(acting(single), 1, schedule)
    ways[f"HandSchedule-v0, {args.vaes} rows"] = Way(acting(rows), args.vaes, schedule)
    return ways


def acting(env: Any) -> Callable[[], object]:
    """Reset an environment, and return what takes a step in it with the same action each time."""
    env.reset(seed=0)
    action = np.zeros(env.action_space.shape, np.float32)
    return lambda: env.step(action)


def repeated(step: Callable[[], object], times: int) -> Callable[[], object]:
    """Return what takes some steps."""
    return lambda: [step() for _ in range(times)]


def brightness(pictures: torch.Tensor) -> torch.Tensor:
    """Judge (n, 3, S, S) pictures by their brightness, (n,) in [0, 1]."""
    return pictures.mean((1, 2, 3))


def measure(ways: dict[str, Way], blocks: int, device: str) -> dict[str, list[float]]:
    """Time blocks of all ways in turns; return the seconds of each."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for block in range(blocks + WARM):
        turns = list(ways)
        first = block % len(turns)
        for name in turns[first:] + turns[:first]:
            times[name].append(timed(ways[name].block, 1, device))
    return {name: seconds[WARM:] for name, seconds in times.items()}


def report(ways: dict[str, Way], times: dict[str, list[float]], steps: int) -> None:
    """Print a line for each way."""
    for name, way in ways.items():
        per_step = 1000 * float(np.median(times[name])) / steps
        ratios = way.vaes * np.array(times[way.eager]) / np.array(times[name])
        low, middle, high = np.quantile(ratios, [0.25, 0.5, 0.75])
        print(
            f"{name:>26}: {per_step:8.2f} ms a step, {per_step / way.vaes:8.3f} ms a VAE, "
            f"{1000 * way.vaes / per_step:7.0f} VAE steps/s, ratio {middle:6.2f} "
            f"(quartiles {low:.2f} to {high:.2f}, {len(ratios)} blocks of {steps})"
        )


if __name__ == "__main__":
    main()
