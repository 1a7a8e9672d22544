"""Compare algorithms on HandRefine-v0 and HandSchedule-v0: SAC, TD3, PPO, TQC and CrossQ, over seeds.

    python benchmarks/algorithms.py --out runs/algorithms --device cuda --jobs 8
    python benchmarks/algorithms.py --out runs/quick --quick --seeds 0 --algorithms sac ppo     # a minute on a CPU

Each run is one process with one thread. All algorithms get equally many samples. Their settings are those shipped for
rl_zoo3, examples/rl_zoo3_*.yml, `n_envs` and `n_timesteps` included; nothing else is set here. Each agent is measured
before it learns, at fixed intervals, and at the end; it then acts deterministically. "none" is no agent at all.
algorithms_problems.py says what the agents learn on. algorithms_tables.py lays out the records.

Finished runs are kept in algorithms.json in the folder --out. Repeat the command to do those that it lacks.
"""

import argparse
import json
import multiprocessing
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from algorithms_problems import PROBLEMS, QUICK, Problem, Scale, read_material
from algorithms_tables import tables
from sb3_contrib import TQC, CrossQ
from stable_baselines3 import PPO, SAC, TD3
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.noise import NormalActionNoise
from stable_baselines3.common.vec_env import VecEnv

from agents import GymnasiumVecEnv
from agents.figures.store import read_store
from agents.runs.run_folder import claim_folder, sha256, versions
from hand_env.refinement import Agent, Array
from vae.device import resolve_device
from vae.files import save_text

ALGORITHMS: dict[str, type[BaseAlgorithm]] = {"sac": SAC, "td3": TD3, "ppo": PPO, "tqc": TQC, "crossq": CrossQ}
NONE = "none"
FILE, MATERIAL = "algorithms.json", "material.safetensors"
EXAMPLES = Path(__file__).parents[1] / "examples"
SEEDS_A_RUN = 1000  # rows of two runs never share a seed
Settings = dict[str, Any]
RunRecord = dict[str, Any]


@dataclass(frozen=True)
class Job:
    """One run; the first three fields tell runs apart."""

    environment: str
    algorithm: str
    seed: int
    quick: bool
    folder: Path
    device: str

    @property
    def key(self) -> tuple[str, str, int]:
        """What tells runs apart."""
        return self.environment, self.algorithm, self.seed


class Still:
    """No agent: the action that changes nothing."""

    def __init__(self, value: float, dimensions: int) -> None:
        """Make the action of one row."""
        self.action = np.full(dimensions, value, np.float32)

    def predict(self, observation: Array, *, deterministic: bool) -> tuple[Array, None]:
        """Return it for each row."""
        return np.tile(self.action, (len(observation), 1)), None


class Measure(BaseCallback):
    """Measure an agent before it learns, after every so many samples, and at the end."""

    def __init__(self, problem: Problem) -> None:
        """Begin with no points."""
        super().__init__()
        self.problem, self.points = problem, list[RunRecord]()

    def _on_rollout_start(self) -> None:  # after the updates that followed the last samples
        if self.model.num_timesteps % self.problem.every == 0:
            self._add()

    def _on_step(self) -> bool:
        return True

    def _on_training_end(self) -> None:
        self._add()

    def _add(self) -> None:
        self.points.append({"samples": self.model.num_timesteps, **self.problem.measure(self.model)})


def read_settings(algorithm: str, environment: str, quick: bool = False) -> Settings:
    """Read an algorithm's settings for an environment from the file for rl_zoo3."""
    content = yaml.safe_load((EXAMPLES / f"rl_zoo3_{algorithm}.yml").read_text(encoding="utf-8"))
    settings: Settings = content[environment]
    return _shrunk(settings) if quick else settings


def _shrunk(settings: Settings) -> Settings:
    """Return settings for `QUICK`, with the same keys."""
    small = {"n_envs": 2, "n_timesteps": 16, "learning_starts": 4, "gradient_steps": 1, "batch_size": 4, "n_steps": 4}
    nets = settings["policy_kwargs"]["net_arch"]
    tiny = {name: [8] for name in nets} if isinstance(nets, dict) else [8]
    policy = {**settings["policy_kwargs"], "net_arch": tiny}
    return {**settings, **{name: small[name] for name in small if name in settings}, "policy_kwargs": policy}


def build(algorithm: str, settings: Settings, env: VecEnv, seed: int, device: str) -> BaseAlgorithm:
    """Build an algorithm as rl_zoo3 does from the same settings."""
    further = {name: value for name, value in settings.items() if name not in ("n_envs", "n_timesteps")}
    if "noise_type" in further:
        assert further.pop("noise_type") == "normal", "the only one that the files name"
        assert env.action_space.shape is not None, "a Box has a shape"
        size = env.action_space.shape[0]
        further["action_noise"] = NormalActionNoise(np.zeros(size), further.pop("noise_std") * np.ones(size))
    model = ALGORITHMS[algorithm](env=env, seed=seed, device=device, **further)
    model.set_logger(Logger(None, []))
    return model


@lru_cache
def problem_of(environment: str, quick: bool, folder: Path, device: str) -> Problem:
    """Build a problem once in each process."""
    scale = QUICK if quick else Scale()
    return PROBLEMS[environment](read_material(folder / MATERIAL, scale, device), scale, device)


def carry_out(job: Job) -> RunRecord:
    """Do one run with one thread."""
    torch.set_num_threads(1)
    began, problem = time.monotonic(), problem_of(job.environment, job.quick, job.folder, job.device)
    points = _without(problem) if job.algorithm == NONE else _learn(job, problem)
    key = dict(zip(("environment", "algorithm", "seed"), job.key, strict=True))
    return {**key, "seconds": round(time.monotonic() - began, 1), "points": points}


def _without(problem: Problem) -> list[RunRecord]:
    space = problem.make(1, 0).single_action_space
    assert space.shape is not None, "a Box has a shape"
    still: Agent = Still(problem.nothing, space.shape[0])
    return [{"samples": 0, **problem.measure(still)}]


def _learn(job: Job, problem: Problem) -> list[RunRecord]:
    settings, seed = read_settings(job.algorithm, job.environment, job.quick), SEEDS_A_RUN * (job.seed + 1)
    env = GymnasiumVecEnv(problem.make(settings["n_envs"], seed))
    model = build(job.algorithm, settings, env, job.seed, problem.agent_device)
    env.seed(seed)  # after the model, which seeds the rows too
    measure = Measure(problem)
    model.learn(settings["n_timesteps"], callback=measure)
    env.close()
    return measure.points


class RunStore:
    """Hold the records of finished runs in memory and in the folder's algorithms.json."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        """Read the records of an earlier call.

        Raises:
            ValueError: If the file is damaged, or its records are from other settings.
        """
        self.path, self.settings = folder / FILE, settings
        self.records: list[RunRecord] = read_store(self.path, settings, lambda content: content["runs"])

    def lacks(self, job: Job) -> bool:
        """Whether a run is not finished."""
        return all((own["environment"], own["algorithm"], own["seed"]) != job.key for own in self.records)

    def add(self, record: RunRecord) -> None:
        """Add a record, and write all of them atomically, one a line."""
        self.records.append(record)
        head = json.dumps({"settings": self.settings, "versions": versions()}, indent=1)
        lines = ",\n".join(json.dumps(own, allow_nan=False) for own in self.records)
        save_text(self.path, head[:-2] + f',\n "runs": [\n{lines}\n]}}\n')


def make_jobs(args: argparse.Namespace) -> Iterator[Job]:
    """Yield all runs, seed by seed, so that a stopped call leaves as many seeds of each algorithm."""
    further = args.quick, args.out, args.device
    yield from (Job(environment, NONE, 0, *further) for environment in args.environments)
    for environment in args.environments:
        for seed in args.seeds:
            yield from (Job(environment, algorithm, seed, *further) for algorithm in args.algorithms)


def do_all(jobs: Sequence[Job], store: RunStore, workers: int, seconds: float) -> None:
    """Do runs in processes of their own, and keep each when it is finished.

    Args:
        jobs: The runs.
        store: Where the records go.
        workers: Processes.
        seconds: If above 0, unfinished runs are given up after this time.

    Raises:
        ExceptionGroup: After the other runs, if some failed.
    """
    began, failed = time.monotonic(), list[Exception]()
    with multiprocessing.get_context("spawn").Pool(min(workers, len(jobs))) as pool:
        results = pool.imap_unordered(carry_out, jobs)
        for _ in jobs:
            left = max(0.0, began + seconds - time.monotonic()) if seconds else None
            try:
                record = results.next(left)
            except multiprocessing.TimeoutError:
                print(f"Stopped after {seconds:.0f} s; repeat the command for the rest.", file=sys.stderr)
                break
            except Exception as error:  # of one run: the others are worth keeping
                failed.append(error)
                continue
            store.add(record)
            _report(record, time.monotonic() - began)
    if failed:
        raise ExceptionGroup(f"{len(failed)} of {len(jobs)} runs failed", failed)


def _report(record: RunRecord, spent: float) -> None:
    first, last = (f"{record['points'][place]['correct']:.1%}" for place in (0, -1))
    print(
        f"{spent:6.0f} s: {record['environment']}, {record['algorithm']}, seed {record['seed']}: {first} to {last} "
        f"correct, {record['seconds']:.0f} s",
        file=sys.stderr,
        flush=True,
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of algorithms.json and of the trained VAE")
    parser.add_argument("--environments", nargs="+", choices=PROBLEMS, default=list(PROBLEMS))
    parser.add_argument("--algorithms", nargs="+", choices=ALGORITHMS, default=list(ALGORITHMS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4])
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time")
    parser.add_argument("--seconds", type=float, default=0.0, help="give up unfinished runs after this time; 0: never")
    parser.add_argument("--device", default="auto", help="'auto', 'cpu', 'cuda' or 'cuda:N'")
    parser.add_argument("--quick", action="store_true", help="tiny networks and few samples, to see that all runs")
    args = parser.parse_args()
    args.device = resolve_device(args.device)
    if args.jobs < 1 or min(args.seeds) < 0:
        parser.error(f"--jobs must be at least 1 and --seeds at least 0, got {args.jobs} and {args.seeds}.")
    return args


def main() -> None:
    """Do the runs that the folder lacks, and print the tables of all."""
    args = _arguments()
    claim_folder(args.out, is_own=lambda path: path.name in (FILE, MATERIAL))
    scale = QUICK if args.quick else Scale()
    read_material(args.out / MATERIAL, scale, args.device)  # makes it, before the processes want it
    settings: Settings = {"scale": asdict(scale), "material_sha256": sha256(args.out / MATERIAL)}
    for environment in PROBLEMS:
        for algorithm in ALGORITHMS:
            settings[f"{algorithm} on {environment}"] = read_settings(algorithm, environment, args.quick)
    store = RunStore(args.out, settings)
    jobs = [job for job in make_jobs(args) if store.lacks(job)]
    if jobs:
        do_all(jobs, store, args.jobs, args.seconds)
    print(tables(store.records))


if __name__ == "__main__":
    main()
