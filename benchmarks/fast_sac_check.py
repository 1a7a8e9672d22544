"""Check `FastSAC` on a GPU, where the tests do not run: `python benchmarks/fast_sac.py --device cuda --check`.

"off" compares two trainings: the distance between their weights, over the distance that the weights moved. A graph
launches the kernels that would be launched one by one, so it should be 0; against stock SAC, rounding differs.
"""

import copy
import io
import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import gymnasium as gym
import torch
from stable_baselines3 import SAC
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.torch_layers import FlattenExtractor
from torch import Tensor

from agents import FastSAC
from agents.rl.device_replay import DeviceReplay
from agents.rl.sac import load_learner, sac_state
from vae.device import tensor_float_32

CALLS = (2, 8, 10)  # updates: before the capture, across it, after it
Make = Callable[[type[SAC], str], SAC]


class Reading(FlattenExtractor):
    """Read a number from the GPU, which no graph can hold."""

    def forward(self, observations: Tensor) -> Tensor:
        """Flatten."""
        assert math.isfinite(float(observations.sum())), "random numbers"
        return super().forward(observations)


def check(device: str, makes: dict[str, Make]) -> bool:
    """Run all checks and print; return whether all passed.

    Args:
        device: A GPU.
        makes: Names, and functions that build SAC with a full replay buffer.
    """
    passed = []

    def report(name: str, good: bool, found: str) -> None:
        passed.append(good)
        print(f"{'ok' if good else 'FAILED':7}{name}: {found}", flush=True)

    for name, make in makes.items():
        with _warnings() as said:
            distance, graphs = _graphs_against_kernels(make, device)
        report(f"{name}, graphs and kernels", distance < 1e-2 and graphs > 0 and not said, f"off {distance:.2g} {said}")
    make = next(iter(makes.values()))
    report(
        "stock SAC with the same minibatches", (distance := _against_stock(make, device)) < 0.1, f"off {distance:.2g}"
    )
    report("resumed", (distance := _resumed(make, device)) < 1e-2, f"off {distance:.2g}")
    report("a learning rate of 0 stops a captured model", (moved := _stopped(make, device)) == 0, f"moved {moved:.2g}")
    report("files", *_files(make, device))
    report("a policy that cannot be captured", *_uncapturable(device))
    report("learn on Pendulum-v1", *_learns(device))
    return all(passed)


def _train(model: SAC, calls: tuple[int, ...] = CALLS) -> None:
    for seed, count in enumerate(calls):
        torch.manual_seed(seed)
        model.train(count, model.batch_size)


def _weights(model: SAC) -> Tensor:
    temperature = model.ent_coef_tensor if model.log_ent_coef is None else model.log_ent_coef
    tensors = [*model.policy.parameters(), temperature]
    return torch.cat([tensor.detach().cpu().double().flatten() for tensor in tensors])


def _off(one: Tensor, other: Tensor, start: Tensor) -> float:
    return float((one - other).norm() / (one - start).norm())


def _graphs_against_kernels(make: Make, device: str) -> tuple[float, int]:
    ends, graphs, start = [], 0, torch.zeros(())
    for graphed in (True, False):
        model: Any = make(FastSAC, device)
        model.graphed = graphed
        start = _weights(model)
        _train(model)
        ends.append(_weights(model))
        graphs = max(graphs, len(model._graphs.launch._graphs))
    return _off(ends[0], ends[1], start), graphs


def _against_stock(make: Make, device: str) -> float:
    ends, start = [], torch.zeros(())
    for algorithm in (SAC, FastSAC):
        model: Any = make(algorithm, device)
        if algorithm is SAC:
            model.replay_buffer = DeviceReplay(model.replay_buffer)
        source = torch.Generator().manual_seed(0)
        model.replay_buffer.draw = lambda *size, source=source: torch.randint(100, size, generator=source).to(device)
        start = _weights(model)
        with tensor_float_32():
            _train(model, (5,))
        ends.append(_weights(model))
    return _off(ends[0], ends[1], start)


def _resumed(make: Make, device: str) -> float:
    whole, resumed = make(FastSAC, device), make(FastSAC, device)
    _train(whole)
    state = copy.deepcopy(sac_state(whole))
    start = _weights(whole)
    whole.train(10, whole.batch_size)
    load_learner(resumed, state)
    resumed.train(10, resumed.batch_size)
    return _off(_weights(whole), _weights(resumed), start)


def _stopped(make: Make, device: str) -> float:
    model = make(FastSAC, device)
    _train(model)
    before = [each.detach().clone() for each in model.actor.parameters()]
    model.lr_schedule = lambda _: 0.0
    model.train(5, model.batch_size)
    return max(float((a - b).detach().abs().max()) for a, b in zip(before, model.actor.parameters(), strict=True))


def _files(make: Make, device: str) -> tuple[bool, str]:
    model, file, replay = make(FastSAC, device), io.BytesIO(), io.BytesIO()
    _train(model)
    model.save(file)
    model.save_replay_buffer(replay)
    found = []
    for algorithm, place in ((SAC, "cpu"), (SAC, device), (FastSAC, device)):
        for each in (file, replay):
            each.seek(0)
        again = algorithm.load(file, model.get_env(), device=place)
        same = torch.equal(_weights(again), _weights(model))
        again.load_replay_buffer(replay)
        again.set_logger(Logger(None, []))
        again.train(5, again.batch_size)
        found.append(same and bool(_weights(again).isfinite().all()))
    return all(found), f"read by stock SAC on the CPU, on the GPU, and by FastSAC: {found}"


def _uncapturable(device: str) -> tuple[bool, str]:
    kwargs = {"net_arch": [64, 64], "features_extractor_class": Reading}
    ends, said, start = [], list[str](), torch.zeros(())
    for graphed in (True, False):
        model: Any = FastSAC("MlpPolicy", "Pendulum-v1", policy_kwargs=kwargs, device=device, seed=0)
        model.graphed = graphed
        model.set_logger(Logger(None, []))
        model.learn(90)  # random actions fill the buffer
        start = _weights(model)
        with _warnings() as these:
            _train(model)
        said += these
        ends.append(_weights(model))
    off = _off(ends[0], ends[1], start)
    return len(said) == 1 and off < 1e-2, f"off {off:.2g}, {said}"


def _learns(device: str) -> tuple[bool, str]:
    model = FastSAC("MlpPolicy", gym.make("Pendulum-v1"), device=device, seed=0)
    model.set_logger(Logger(None, []))
    model.learn(300, log_interval=1_000)
    log = {name: round(float(value), 3) for name, value in model.logger.name_to_value.items() if "train/" in name}
    return all(math.isfinite(value) for value in log.values()) and log["train/n_updates"] == 200, str(log)


@contextmanager
def _warnings() -> Iterator[list[str]]:
    said: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield said
    said += [str(each.message).splitlines()[0] for each in caught]
