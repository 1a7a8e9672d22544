"""Measure SAC's updates/s with `RefinePolicy`, which does not decode the latents after an episode's only step.

Run `python benchmarks/refine.py`, on a GPU with `--device cuda --batch 256 --updates 48`. The weights are untrained,
which does not change the speed, and the judge is left out, because an update does not use it. "as stock" is
Stable-Baselines3's replay buffer with a target critic that is evaluated. Both use stock SAC; `fast_sac.py` measures
`FastSAC`. Both take turns, so that a noisy machine slows both equally. Prints updates/s (the median turn) and the
median over turns of the ratio, with its quartiles.

`--operations` counts the floating-point operations of an update of `FastSAC`, and measures nothing.
"""

import argparse
import time
from typing import Any, cast

import gymnasium as gym
import numpy as np
import torch
from stable_baselines3 import SAC
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.logger import Logger
from torch.utils.flop_counter import FlopCounterMode

from agents import FastSAC, RefinePolicy, make_sac
from agents.rl.picture_policy import Sight
from hand_env import HandRefineVectorEnv
from vae import VAEConfig, build_vae


def filled_sac(
    rows: int, size: int, batch: int, device: str, algorithm: type[SAC] = SAC, fused: bool = False, **settings: Any
) -> SAC:
    """Build SAC for `rows` latents of the large VAE side by side; two steps fill its replay buffer.

    With `fused`, torch.compile speeds up its updates (`agents.rl.picture_policy.Sight`).
    """
    env = gym.make_vec(
        "hand_env:HandRefine-v0",
        num_envs=rows,
        vae=build_vae(VAEConfig(size, 300, "large"), seed=0),
        judge=lambda pictures: pictures.mean((1, 2, 3)),
        delta_scale=0.5,
        device=device,
        autoreset_mode="SameStep",
    )
    if fused:
        settings["policy_kwargs"] = {"vae": Sight(cast(HandRefineVectorEnv, env.unwrapped).env.vae, fused)}
    model = make_sac(
        env, 0, device, RefinePolicy, algorithm=algorithm, batch_size=batch, learning_starts=10 * rows, **settings
    )
    model.learn(2 * rows)
    model.set_logger(Logger(None, []))
    return model


def seconds(model: SAC, updates: int) -> float:
    """Time updates."""
    start = time.perf_counter()
    model.train(updates, model.batch_size)
    if model.device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def operations(size: int, batch: int) -> str:
    """Say how many floating-point operations an update of `FastSAC` takes, counted on the CPU, on a few rows."""
    few = 4
    model = filled_sac(few, size, few, "cpu", FastSAC)
    sight = cast(RefinePolicy, model.policy).sight
    counts = []
    for gradient in (False, True):
        latents = torch.zeros(few, sight.vae.latent_dim, requires_grad=gradient)
        with FlopCounterMode(display=False) as counter, torch.set_grad_enabled(gradient):
            pictures = sight.pictures(latents)
            if gradient:
                pictures.sum().backward()
        counts.append(counter.get_total_flops())
    decoded = list[bool]()  # whether with a gradient
    sight.vae.decoder.register_forward_pre_hook(lambda _, latents: decoded.append(latents[0].requires_grad))
    with FlopCounterMode(display=False) as counter:
        model.train(1, few)
    once, there_and_back, total = (batch / few / 1e9 * each for each in (*counts, counter.get_total_flops()))
    kept, moved = decoded.count(False) * once, decoded.count(True) * there_and_back
    return (
        f"{size} pixels, batches of {batch}, GFLOP of an update: {kept:.0f} to decode pictures of the replay buffer, "
        f"{moved:.0f} to decode new actions with their gradient, {total - kept - moved:.0f} in the networks; "
        f"{total - kept:.0f} where the replay buffer keeps decoded pictures, as on a GPU."
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=128, choices=(64, 128))
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--updates", type=int, default=2, help="per turn")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--operations", action="store_true")
    args = parser.parse_args()
    if args.operations:
        print(operations(args.size, args.batch))
        return
    models = {
        "as stock": filled_sac(args.batch, args.size, args.batch, args.device, replay_buffer_class=ReplayBuffer),
        "RefinePolicy": filled_sac(args.batch, args.size, args.batch, args.device),
    }
    critic: Any = models["as stock"].critic_target
    critic.asked = True
    for model in models.values():
        seconds(model, args.updates)  # warms up
    turns = [{name: seconds(model, args.updates) for name, model in models.items()} for _ in range(args.turns)]
    device = torch.cuda.get_device_name(0) if args.device != "cpu" else f"{torch.get_num_threads()} CPU threads"
    print(f"{device}: {args.size} pixels, batches of {args.batch}, median of {args.turns} turns")
    for name in models:
        low, middle, high = np.quantile([turn["as stock"] / turn[name] for turn in turns], [0.25, 0.5, 0.75])
        rate = args.updates / np.median([turn[name] for turn in turns])
        print(f"{name:>12}: {rate:6.2f} updates/s, {middle:.2f} times as stock ({low:.2f} to {high:.2f})", flush=True)


if __name__ == "__main__":
    main()
