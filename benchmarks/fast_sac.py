"""Measure the updates/s of `FastSAC` over those of Stable-Baselines3's SAC, at the sizes that the project trains.

Run `python benchmarks/fast_sac.py`, on a GPU with `--device cuda`; it takes about two minutes. With `--check`, it
compares CUDA graphs with kernels that are launched one by one. With `--learn`, it compares learning curves
(`fast_sac_learning.py`).

Both algorithms take turns, so that a noisy machine slows both equally. Replay buffers are full of random numbers. It
prints updates/s (the median turn) and the ratio in the same turn (the median over turns, with its quartiles). On a CPU,
both draw from the same seeds. There, "same" says whether all weights are equal at the end, bit for bit.
"""

import argparse
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
import torch
from fast_sac_check import check
from fast_sac_learning import add_flags, learn, tables
from gymnasium import spaces
from refine import filled_sac
from stable_baselines3 import SAC
from stable_baselines3.common.logger import Logger
from stable_baselines3.sac.policies import SACPolicy

from agents import FastSAC, RowPolicy
from vae.files import load_hashed_json

CAPACITY = 2**15  # numbers in a buffer's actions, times 300: beyond any cache


class Case(NamedTuple):
    """What is measured: how SAC is built, and how it is used."""

    name: str
    make: Callable[[type[SAC], str], SAC]
    batch_size: int
    a_call: int  # updates in a call of `train`


class Spaces(gym.Env[Any, Any]):
    """An environment that only has spaces, because SAC needs one."""

    def __init__(self, observation: tuple[int, ...], action: tuple[int, ...]) -> None:
        """Make both spaces."""
        self.observation_space = spaces.Box(-np.inf, np.inf, observation, np.float32)
        self.action_space = spaces.Box(-1.0, 1.0, action, np.float32)


def filled(
    algorithm: type[SAC],
    device: str,
    observation: tuple[int, ...],
    action: tuple[int, ...],
    policy: str | type[SACPolicy] = "MlpPolicy",
    **settings: Any,
) -> SAC:
    """Build SAC with a replay buffer full of random numbers."""
    rows = max(512, min(20_000, 300 * CAPACITY // int(np.prod(observation))))
    model = algorithm(policy, Spaces(observation, action), buffer_size=rows, device=device, seed=0, **settings)
    model.set_logger(Logger(None, []))
    buffer, generator = model.replay_buffer, np.random.default_rng(0)
    assert buffer is not None, "SAC makes one"
    for array in (buffer.observations, buffer.next_observations, buffer.rewards):
        torch.as_tensor(array).copy_(torch.from_numpy(generator.standard_normal(array.shape, np.float32)))
    actions = generator.uniform(-1, 1, buffer.actions.shape).astype(np.float32)
    torch.as_tensor(buffer.actions).copy_(torch.from_numpy(actions))
    buffer.full = True
    return model


def layers(*widths: int) -> dict[str, Any]:
    """Settings for hidden layers."""
    return {"policy_kwargs": {"net_arch": list(widths)}}


def cases(device: str) -> list[Case]:
    """Return what is measured."""
    wide = {**layers(1024, 1024), "batch_size": 1024}
    size, rows = (128, 256) if device != "cpu" else (64, 16)
    d, b = (300,), (64, 300)

    def mlp(observation: tuple[int, ...], action: tuple[int, ...], **settings: Any) -> Callable[[type[SAC], str], SAC]:
        return lambda algorithm, place: filled(algorithm, place, observation, action, **settings)

    def refine(fused: bool) -> Callable[[type[SAC], str], SAC]:
        return lambda algorithm, place: filled_sac(rows, size, rows, place, algorithm, fused and algorithm is FastSAC)

    pictures = f"RefinePolicy, {size} pixels, batches of {rows}"
    fused = [] if device == "cpu" else [Case(f"{pictures}, compiled", refine(True), rows, 48)]
    return [
        Case("HandRefine-v0, D = 300, layers of 1,024", mlp(d, d, gamma=0.0, **wide), 1024, 48),
        Case("the same with gamma 0.99", mlp(d, d, **wide), 1024, 48),
        Case("HandSchedule-v0, layers of 128", mlp((14,), (3,), gamma=1.0, **layers(128, 128)), 256, 64),
        Case("Pendulum-v1, layers of 256", mlp((3,), (1,), **layers(256, 256)), 256, 1),
        Case("RowPolicy, B = 64, D = 300", mlp(b, b, policy=RowPolicy), 16, 48),
        Case(pictures, refine(False), rows, 48),
        *fused,
    ]


def checked(device: str) -> dict[str, Callable[[type[SAC], str], SAC]]:
    """Return what `--check` builds: small networks with different settings, and the policies of this project."""
    d, b = (30,), (8, 30)

    def mlp(**settings: Any) -> Callable[[type[SAC], str], SAC]:
        return lambda algorithm, place: filled(algorithm, place, d, d, **{**layers(64, 64), **settings})

    scheduled = {"target_update_interval": 2, "learning_rate": lambda left: 1e-3 * left}
    return {
        "defaults": mlp(),
        "gamma 0": mlp(gamma=0.0),
        "a fixed temperature": mlp(ent_coef=0.1),
        "targets that move every second update": mlp(**scheduled),
        "RowPolicy": lambda algorithm, place: filled(algorithm, place, b, b, policy=RowPolicy, batch_size=16),
        "RefinePolicy": lambda algorithm, place: filled_sac(32, 64, 32, place, algorithm),
    }


def seconds(model: SAC, case: Case, updates: int, seed: int) -> float:
    """Time updates, in calls of `case.a_call`."""
    np.random.seed(seed)  # noqa: NPY002 - what Stable-Baselines3 draws from
    torch.manual_seed(seed)
    start = time.perf_counter()
    for done in range(0, updates, case.a_call):
        model.train(min(case.a_call, updates - done), case.batch_size)
    if model.device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def speed(device: str, turns: int, each: float, word: str) -> None:
    """Measure all cases whose name has a word, and print; `each` is about the seconds of a stock turn."""
    place = torch.cuda.get_device_name() if device != "cpu" else f"{torch.get_num_threads()} CPU threads"
    print(f"{place}, torch {torch.__version__}: FastSAC over stock SAC, median of {turns} turns")
    print(f"{'':42}{'batch':>6}{'a call':>7}{'stock/s':>9}{'fast/s':>9}{'ratio':>7}  quartiles     same")
    for case in (case for case in cases(device) if word in case.name):
        models = {"stock": case.make(SAC, device), "fast": case.make(FastSAC, device)}
        for model in models.values():
            seconds(model, case, 1 if device == "cpu" else 8, 0)  # warms up; on a GPU it captures, too
        once = seconds(models["stock"], case, 1, 1)
        seconds(models["fast"], case, 1, 1)
        updates = max(1, round(each / once))
        taken = [{name: seconds(model, case, updates, turn) for name, model in models.items()} for turn in range(turns)]
        rates = [updates / np.median([turn[name] for turn in taken]) for name in models]
        low, middle, high = np.quantile([turn["stock"] / turn["fast"] for turn in taken], [0.25, 0.5, 0.75])
        print(
            f"{case.name:42}{case.batch_size:6,}{min(case.a_call, updates):7}{rates[0]:9.2f}{rates[1]:9.2f}"
            f"{middle:7.2f}  {low:.2f} to {high:.2f}  {same(*models.values()) if device == 'cpu' else '':>5}",
            flush=True,
        )


def same(one: SAC, other: SAC) -> str:
    """Say whether all weights are equal."""
    pairs = zip(one.policy.state_dict().values(), other.policy.state_dict().values(), strict=True)
    return "yes" if all(torch.equal(*pair) for pair in pairs) else "no"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.5, help="of a stock turn, about")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--cases", default="", metavar="WORD", help="measure only those whose name has this word")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--learn", action="store_true")
    add_flags(parser)
    args = parser.parse_args()
    if min(args.jobs, args.seeds, args.samples, args.steps, args.picture_samples, args.rows or 1) < 1:
        parser.error("--jobs, --seeds, --samples, --steps, --picture-samples and --rows must be at least 1.")
    torch.set_num_threads(args.threads)
    if args.check:
        sys.exit(not check(args.device, checked(args.device)))
    if args.table:
        print(tables(load_hashed_json(args.table)["trainings"]))
    elif args.learn:
        learn(args)
    else:
        speed(args.device, args.turns, args.seconds, args.cases)


if __name__ == "__main__":
    main()
