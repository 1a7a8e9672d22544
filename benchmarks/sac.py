"""Measure SAC's updates/s on latents: the flat policy, `RowPolicy`, and rows as separate transitions.

    python benchmarks/sac.py [--rows 64] [--dimensions 300] [--latents 1024 4096 16384] [--threads 1]

All three are Stable-Baselines3's SAC with its defaults, on a replay buffer of random numbers, so no VAE is needed.
"flat" is "MlpPolicy" and "rows alike" is `RowPolicy`. Both act on Box (B, D), where an update of n latents is a batch
of n / B. "row form" is "MlpPolicy" on Box (D,), where it is a batch of n.

They take turns, so that a noisy machine slows all equally. Prints updates/s (the median turn) and the ratio to the flat
policy in the same turn (the median over turns, with its quartiles). At B = 64, "rows alike" should reach a ratio of at
least 10.
"""

import argparse
import time
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3 import SAC
from stable_baselines3.common.logger import Logger
from stable_baselines3.sac.policies import SACPolicy

from agents.rl.row_policy import RowPolicy

CAPACITY = 512  # batches of B latents in the buffer: beyond any cache, within a laptop's memory


class Spaces(gym.Env[Any, Any]):
    """An environment that only has spaces, because SAC needs one."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        """Make both spaces of one shape."""
        self.observation_space = spaces.Box(-np.inf, np.inf, shape, np.float32)
        self.action_space = spaces.Box(-1.0, 1.0, shape, np.float32)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=64)
    parser.add_argument("--dimensions", type=int, default=300)
    parser.add_argument("--latents", type=int, nargs="+", default=[1024, 4096, 16384])
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--width", type=int, help="of all layers of RowPolicy, instead of its defaults")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    batch, row = (args.rows, args.dimensions), (args.dimensions,)
    wide: dict[str, Any] = {"net_arch": [args.width], "features_extractor_kwargs": {"features_dim": args.width}}
    models = {
        "flat": filled_sac("MlpPolicy", batch, CAPACITY, args.device),
        "rows alike": filled_sac(RowPolicy, batch, CAPACITY, args.device, **(wide if args.width else {})),
        "row form": filled_sac("MlpPolicy", row, CAPACITY * args.rows, args.device),
    }
    name = torch.cuda.get_device_name(0) if args.device != "cpu" else f"{args.threads} CPU threads"
    print(f"{name}: B = {args.rows}, D = {args.dimensions}, median of {args.turns} turns")
    print(f"{'latents':>8} {'policy':>12} {'parameters':>12} {'updates/s':>10} {'ratio':>7}  quartiles")
    for latents in args.latents:
        sizes = {name: latents if name == "row form" else latents // args.rows for name in models}
        for name, model in models.items():
            seconds_an_update(model, sizes[name])  # warms up
        turns = [
            {name: seconds_an_update(model, sizes[name]) for name, model in models.items()} for _ in range(args.turns)
        ]
        for name, model in models.items():
            low, middle, high = np.quantile([turn["flat"] / turn[name] for turn in turns], [0.25, 0.5, 0.75])
            rate = 1 / np.median([turn[name] for turn in turns])
            count = sum(parameter.numel() for parameter in model.policy.parameters())
            print(
                f"{latents:8,} {name:>12} {count:12,} {rate:10.2f} {middle:7.2f}  {low:.2f} to {high:.2f}", flush=True
            )


def filled_sac(policy: str | type[SACPolicy], shape: tuple[int, ...], capacity: int, device: str, **kwargs: Any) -> SAC:
    """Build SAC with a replay buffer full of random numbers."""
    model = SAC(policy, Spaces(shape), buffer_size=capacity, policy_kwargs=kwargs, device=device, seed=0)
    model.set_logger(Logger(None, []))
    buffer, generator = model.replay_buffer, np.random.default_rng(0)
    assert buffer is not None, "SAC makes one"
    for array in (buffer.observations, buffer.next_observations, buffer.rewards):
        array[:] = generator.standard_normal(array.shape, np.float32)
    buffer.actions[:] = generator.uniform(-1, 1, buffer.actions.shape)
    buffer.full = True
    return model


def seconds_an_update(model: SAC, batch_size: int) -> float:
    """Return the seconds per update, over at least a second, after one update that warms the caches."""
    model.train(gradient_steps=1, batch_size=batch_size)
    start, updates = time.perf_counter(), 0
    while updates == 0 or time.perf_counter() - start < 1.0:
        model.train(gradient_steps=1, batch_size=batch_size)
        updates += 1
        if model.device.type == "cuda":
            torch.cuda.synchronize()
    return (time.perf_counter() - start) / updates


if __name__ == "__main__":
    main()
