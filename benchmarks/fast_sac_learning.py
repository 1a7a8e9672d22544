"""Compare how `FastSAC` and stock SAC learn: `python benchmarks/fast_sac.py --learn`.

Pendulum-v1 for Stable-Baselines3's defaults, and the row form of HandRefine-v0 for those of `make_sac`, on the packaged
VAE of synthetic hands, with kappa 1 and the rewarding judge. Each point is the mean over seeds of what was paid since
the last one, with its 95 % interval. On a CPU, both have the same rewards and end with the same weights. There the
judge takes half a minute a step, so `--seeds 1 --samples 320` is enough.
"""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3 import SAC
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.monitor import Monitor

from agents import FastSAC, load_packaged, make_sac
from agents.figures.intervals import student
from hand_env import LogitScore
from vae.sampling.sampler import Pool

POINTS = 5
ROWS = 64


class Paid(BaseCallback):
    """Keep the mean reward of each step."""

    def __init__(self) -> None:
        """Start empty."""
        super().__init__()
        self.rewards: list[float] = []

    def _on_step(self) -> bool:
        self.rewards.append(float(np.mean(self.locals["rewards"])))
        return True


class Learned(NamedTuple):
    """What one training brought."""

    points: NDArray[np.floating]  # (POINTS,), mean reward of a step
    seconds: float
    weights: torch.Tensor


def pendulum(algorithm: type[SAC], seed: int, device: str, _: int) -> SAC:
    """Build SAC with Stable-Baselines3's defaults."""
    env = gym.make("Pendulum-v1")
    env.reset(seed=seed)
    return algorithm("MlpPolicy", Monitor(env), seed=seed, device=device)


def refinement(algorithm: type[SAC], seed: int, device: str, total: int) -> SAC:
    """Build SAC that corrects latents without seeing them decoded; `total` limits how many are drawn in advance."""
    run = load_packaged("synthetic")
    env = gym.make_vec(
        "hand_env:HandRefine-v0",
        num_envs=ROWS,
        vae=run.vae,
        sampler=Pool(run.samplers["prior"], min(total, 4_096), seed),
        judge=LogitScore(),
        delta_scale=1.0,
        device=device,
        autoreset_mode="SameStep",
    )
    widths = [256, 256] if device == "cpu" else [1024, 1024]
    return make_sac(env, seed, device, algorithm=algorithm, policy_kwargs={"net_arch": widths})


def learn(device: str, seeds: int, steps: int, samples: int) -> None:
    """Train both with each seed and print.

    Args:
        device: For networks, VAE and judge.
        seeds: Trainings of each.
        steps: Samples on Pendulum-v1.
        samples: Corrections on HandRefine-v0.
    """
    tasks: dict[str, tuple[Callable[[type[SAC], int, str, int], SAC], int]] = {
        "Pendulum-v1": (pendulum, steps),
        "HandRefine-v0": (refinement, samples),
    }
    for name, (make, total) in tasks.items():
        found = {
            each: [_trained(make(each, seed, device, total), total) for seed in range(seeds)] for each in (SAC, FastSAC)
        }
        print(f"{name}: {total:,} samples, {seeds} seeds; mean reward of a step, 95 % interval")
        _print(found)


def _trained(model: SAC, total: int) -> Learned:
    model.set_logger(Logger(None, []))
    paid, start = Paid(), time.perf_counter()
    model.learn(total, callback=paid, log_interval=10**9)
    seconds = time.perf_counter() - start
    points = np.array([part.mean() for part in np.array_split(np.array(paid.rewards), POINTS)])
    return Learned(points, seconds, torch.cat([each.detach().cpu().flatten() for each in model.policy.parameters()]))


def _print(found: dict[Any, list[Learned]]) -> None:
    for algorithm, runs in found.items():
        curve = [_interval([run.points[place] for run in runs]) for place in range(POINTS)]
        print(
            f"{algorithm.__name__:>8}  {'  '.join(curve)}  {np.mean([run.seconds for run in runs]):.1f} s", flush=True
        )
    pairs = list(zip(*found.values(), strict=True))
    last = [float(fast.points[-1] - stock.points[-1]) for stock, fast in pairs]
    same = sum(torch.equal(stock.weights, fast.weights) for stock, fast in pairs)
    print(f"{'':8}  FastSAC - SAC at the end: {_interval(last)}; same weights with {same} of {len(pairs)} seeds")


def _interval(values: list[float]) -> str:
    if len(values) < 2:
        return f"{values[0]:.3f}"
    estimate = student(values)
    return f"{estimate.value:.3f} ({estimate.low:.3f} to {estimate.high:.3f})"
