"""Compare how `FastSAC` and stock SAC learn: `python benchmarks/fast_sac.py --learn`.

There are three problems:

- pendulum: Pendulum-v1, with Stable-Baselines3's defaults
- latents: the row form of HandRefine-v0 for agents that see latents, with the defaults of `make_sac` and kappa 1
- pictures: the same for `RefinePolicy`, as `handlatent refine` trains it, with kappa 0.5 and layers of 512. "FastSAC,
  compiled" is FastSAC whose kernels torch.compile has fused

Those of HandRefine-v0 use the VAE and the prior of --run and the rewarding judge. Each point of a table is the mean
reward of a step since the last point, over all seeds, with its 95 % interval. On a CPU, all algorithms have the same
rewards and end with the same weights. There the judge takes half a second a picture, so take few --rows and samples.

With --out, each finished training is kept in that file. Repeat the command to do those that it lacks. With --jobs,
trainings run side by side in processes, spread over all GPUs, and their seconds say little.
"""

import argparse
import gc
import hashlib
import multiprocessing
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
import torch
from stable_baselines3 import SAC
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.monitor import Monitor

from agents import FastSAC, RefineArgs, RefinePolicy, Run, load_packaged, make_sac
from agents.commands.refine.training import RefinerTraining
from agents.figures.intervals import student
from agents.figures.markdown import markdown_table
from agents.figures.store import read_store
from agents.rl.picture_policy import Sight
from agents.rl.sac import reset_sac
from agents.runs.packaged import packaged_sets, read_run
from agents.runs.run_folder import versions
from hand_env import LogitScore
from vae.device import resolve_device
from vae.files import save_hashed_json
from vae.sampling.sampler import Pool

POINTS = 5
STOCK, FAST, COMPILED = "SAC", "FastSAC", "FastSAC, compiled"
Record = dict[str, Any]


@dataclass(frozen=True)
class Job:
    """One training; the first three fields tell trainings apart."""

    problem: str
    algorithm: str
    seed: int
    samples: int
    rows: int
    run: str
    device: str
    threads: int
    side_by_side: int

    @property
    def key(self) -> Record:
        """What tells trainings apart."""
        return {"problem": self.problem, "algorithm": self.algorithm, "seed": self.seed}


class Learned(NamedTuple):
    """What one training brought."""

    model: SAC
    rewards: Sequence[float]  # means over equally many samples, in their order
    seconds: float


class Problem(NamedTuple):
    """What is learned."""

    title: str
    train: Callable[[Job], Learned]
    rows: int
    algorithms: tuple[str, ...] = (STOCK, FAST)


class Paid(BaseCallback):
    """Keep the mean reward of each step."""

    def __init__(self) -> None:
        """Start empty."""
        super().__init__()
        self.rewards: list[float] = []

    def _on_step(self) -> bool:
        self.rewards.append(float(np.mean(self.locals["rewards"])))
        return True


def pendulum(job: Job) -> Learned:
    """Train SAC with Stable-Baselines3's defaults."""
    env = gym.make("Pendulum-v1")
    env.reset(seed=job.seed)
    return _learned(_algorithm(job)("MlpPolicy", Monitor(env), seed=job.seed, device=job.device), job)


def latents(job: Job) -> Learned:
    """Train SAC to correct latents without seeing them decoded."""
    run = read(job)
    env = gym.make_vec(
        "hand_env:HandRefine-v0",
        num_envs=job.rows,
        vae=run.vae,
        sampler=Pool(run.samplers["prior"], min(job.samples, 4_096), job.seed),
        judge=LogitScore(),
        delta_scale=1.0,
        device=job.device,
        autoreset_mode="SameStep",
    )
    widths = [256, 256] if job.device == "cpu" else [1024, 1024]
    model = make_sac(env, job.seed, job.device, algorithm=_algorithm(job), policy_kwargs={"net_arch": widths})
    return _learned(model, job)


def pictures(job: Job) -> Learned:
    """Train a refiner as `handlatent refine` does, but with the algorithm of this job."""
    args = RefineArgs(
        Path(job.run),
        samples=job.samples,
        rows=job.rows,
        sampler="prior",
        delta_scale=0.5,
        width=512,
        checkpoint_seconds=float("inf"),
        seed=job.seed,
        device=job.device,
    )
    with tempfile.TemporaryDirectory() as folder:
        training = RefinerTraining(read(job), args, Path(folder) / "checkpoints")
        taught = training.model.policy.state_dict()
        training.model = make_sac(
            training.env,
            args.seed,
            args.device,
            RefinePolicy,
            algorithm=_algorithm(job),
            policy_kwargs={
                "net_arch": [args.width] * 2,
                "vae": Sight(training.env.env.vae, job.algorithm == COMPILED),
            },
        )
        training.model.policy.load_state_dict(taught)
        reset_sac(training.model)
        if not training.train():
            raise KeyboardInterrupt
    return Learned(training.model, [point["reward"] for point in training.log], training.seconds)


PROBLEMS = {
    "pendulum": Problem("Pendulum-v1", pendulum, 1),
    "latents": Problem("HandRefine-v0 on latents", latents, 64),
    "pictures": Problem("HandRefine-v0 on pictures", pictures, 512, (STOCK, FAST, COMPILED)),
}


def read(job: Job) -> Run:
    """Read the run, or the packaged set of that name, to the job's device."""
    run = load_packaged(job.run) if job.run in packaged_sets() else read_run(Path(job.run))
    run.to(job.device)
    return run


def carry_out(job: Job) -> Record:
    """Do one training; return what the file keeps of it."""
    torch.set_num_threads(job.threads)
    if job.algorithm == COMPILED:
        torch.compiler.reset()  # a process compiles a function for a few sizes and models only
    gc.collect()  # the model before
    torch.cuda.empty_cache()
    learned = PROBLEMS[job.problem].train(job)
    weights = torch.cat([each.detach().cpu().flatten() for each in learned.model.policy.parameters()])
    parts = np.array_split(np.array(learned.rewards), POINTS)
    samples = learned.model.num_timesteps * np.cumsum([len(part) for part in parts]) / len(learned.rewards)
    return {
        **job.key,
        "samples": [round(each) for each in samples],
        "updates": learned.model._n_updates,
        "device": "cpu" if job.device == "cpu" else torch.cuda.get_device_name(job.device),
        "side_by_side": job.side_by_side,
        "seconds": round(learned.seconds, 2),
        "points": [float(part.mean()) for part in parts],
        "weights_sha256": hashlib.sha256(weights.numpy().tobytes()).hexdigest(),
    }


class Store:
    """Hold the records of finished trainings in memory and, if there is one, in a file."""

    def __init__(self, path: Path | None, settings: Record) -> None:
        """Read the records of an earlier call.

        Raises:
            ValueError: If the file is damaged, or its records are from other settings.
        """
        self.path, self.settings = path, settings
        self.records: list[Record] = (
            [] if path is None else read_store(path, settings, lambda content: content["trainings"])
        )

    def lacks(self, job: Job) -> bool:
        """Whether a training is not finished."""
        return not any(job.key.items() <= record.items() for record in self.records)

    def add(self, record: Record) -> None:
        """Add a record, and replace the file by one with all of them."""
        self.records.append(record)
        if self.path is not None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            content = {"settings": self.settings, "versions": versions(), "trainings": self.records}
            save_hashed_json(self.path, content)


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags of `--learn`."""
    flags = parser.add_argument_group("with --learn")
    flags.add_argument("--problems", nargs="+", choices=PROBLEMS, default=list(PROBLEMS))
    flags.add_argument("--seeds", type=int, default=5, help="trainings of each algorithm")
    flags.add_argument("--steps", type=int, default=5_000, help="of Pendulum-v1")
    flags.add_argument("--samples", type=int, default=10_240, help="corrections to learn from, on latents")
    flags.add_argument("--picture-samples", type=int, default=16_000, help="the same, on pictures")
    flags.add_argument("--rows", type=int, help="latents corrected in parallel (64; on pictures, 512)")
    flags.add_argument("--run", default="synthetic", help="folder of a run, or a packaged set")
    flags.add_argument("--jobs", type=int, default=1, help="trainings side by side")
    flags.add_argument("--out", type=Path, help="JSON file for finished trainings, which are not repeated")
    flags.add_argument("--table", type=Path, metavar="FILE", help="lay out what --out has kept, and learn nothing")


def learn(args: argparse.Namespace) -> None:
    """Do the trainings that the file lacks, and print the tables of all."""
    device = resolve_device(args.device)
    samples = {"pendulum": args.steps, "latents": args.samples, "pictures": args.picture_samples}
    settings = {"device": device.partition(":")[0], "samples": samples, "rows": args.rows, "run": args.run}
    store = Store(args.out, settings)
    threads = max(1, args.threads // args.jobs)
    jobs = [job for job in make_jobs(args, samples, device, threads) if store.lacks(job)]
    if jobs:
        do_all(jobs, store, args.jobs)
    print(tables(store.records))


def make_jobs(args: argparse.Namespace, samples: dict[str, int], device: str, threads: int) -> Iterator[Job]:
    """Yield all trainings, seed by seed, so that a stopped call leaves as many seeds of each algorithm."""
    for name in args.problems:
        rows = PROBLEMS[name].rows if args.rows is None else args.rows
        further = samples[name], rows, args.run, device, threads, -(-args.jobs // max(1, len(gpus(device))))
        for seed in range(args.seeds):
            yield from (Job(name, algorithm, seed, *further) for algorithm in PROBLEMS[name].algorithms)


def do_all(jobs: Sequence[Job], store: Store, workers: int) -> None:
    """Do trainings in processes of their own, and keep each when it is finished.

    Raises:
        ExceptionGroup: After the other trainings, if some failed.
    """
    began, failed = time.monotonic(), list[Exception]()
    context = multiprocessing.get_context("spawn")
    workers, names, given = min(workers, len(jobs)), gpus(jobs[0].device) or [""], context.SimpleQueue()
    for worker in range(workers):
        given.put(names[worker % len(names)])
    pool = ProcessPoolExecutor(workers, context, _begin, (given,))
    try:
        waiting = {pool.submit(carry_out, job): job for job in jobs}
        for future in as_completed(waiting):
            job = waiting[future]
            said = f"{job.problem}, {job.algorithm}, seed {job.seed}"
            try:
                record = future.result()
            except Exception as error:  # of one training: the others are worth keeping
                error.add_note(said)
                failed.append(error)
                continue
            store.add(record)
            print(f"{time.monotonic() - began:6.0f} s: {said}: {record['seconds']:.1f} s", file=sys.stderr, flush=True)
    finally:
        pool.shutdown(cancel_futures=True)
    if failed:
        raise ExceptionGroup(f"{len(failed)} of {len(jobs)} trainings failed", failed)


def gpus(device: str) -> list[str]:
    """Return what CUDA_VISIBLE_DEVICES calls the GPUs over which trainings are spread: all if none is named."""
    listed = os.environ.get("CUDA_VISIBLE_DEVICES")
    count = torch.cuda.device_count() if device == "cuda" else 0
    return listed.split(",")[:count] if listed else [str(number) for number in range(count)]


def _begin(given: Any) -> None:
    """Let a process of the pool see its own GPU alone, and end when the process that started it is killed."""
    if gpu := given.get():
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu
    parent = multiprocessing.parent_process()
    assert parent is not None, "this is a process of a pool"

    def wait() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def tables(records: Iterable[Record]) -> str:
    """Lay out the records of each problem."""
    records = list(records)
    found = {name: [record for record in records if record["problem"] == name] for name in PROBLEMS}
    return "\n\n".join(_table(PROBLEMS[name], own) for name, own in found.items() if own)


def _table(problem: Problem, records: list[Record]) -> str:
    runs = {name: {own["seed"]: own for own in records if own["algorithm"] == name} for name in problem.algorithms}
    runs = {name: dict(sorted(own.items())) for name, own in runs.items() if own}
    others = [name for name in runs if name != STOCK and STOCK in runs]
    rows = []
    for place in range(POINTS):
        points = {name: {seed: own["points"][place] for seed, own in runs[name].items()} for name in runs}
        own = [_interval(list(each.values())) for each in points.values()]
        against = [_difference(points[STOCK], points[name]) for name in others]
        rows.append([f"{records[0]['samples'][place]:,}", *own, *against])
    titles = ["samples", *runs, *(f"{name} - {STOCK}" for name in others)]
    seeds = ", ".join(f"{name} {len(own)}" for name, own in runs.items())
    said = [f"Seeds: {seeds}.", f"{_seconds(runs)}.", *(_same(runs[STOCK], runs[name], name) for name in others)]
    devices = ", ".join(sorted({record["device"] for record in records}))
    head = f"{problem.title}, {devices}: mean reward of a step since the last point, 95 % interval over seeds"
    return "\n".join([head, "", markdown_table(titles, rows), "", *said])


def _difference(stock: dict[int, float], other: dict[int, float]) -> str:
    """Say how far two algorithms lie apart with the same seeds, and whether their intervals overlap."""
    both = sorted(stock.keys() & other.keys())
    if min(len(stock), len(other)) < 2 or len(both) < 2:
        return "too few seeds"
    a, b = (student(list(each.values())) for each in (stock, other))
    overlap = a.low <= b.high and b.low <= a.high
    difference = _interval([other[seed] - stock[seed] for seed in both])
    return f"{difference}; intervals {'overlap' if overlap else 'do not overlap'}"


def _seconds(runs: dict[str, dict[int, Record]]) -> str:
    sides = sorted({own["side_by_side"] for each in runs.values() for own in each.values()})
    means = (f"{name} {np.mean([own['seconds'] for own in each.values()]):.1f}" for name, each in runs.items())
    return f"Seconds of a training, {' or '.join(map(str, sides))} side by side on a device: {', '.join(means)}"


def _same(stock: dict[int, Record], other: dict[int, Record], name: str) -> str:
    both = stock.keys() & other.keys()
    same = sum(stock[seed]["weights_sha256"] == other[seed]["weights_sha256"] for seed in both)
    return f"{name} ends with {STOCK}'s weights with {same} of {len(both)} seeds."


def _learned(model: SAC, job: Job) -> Learned:
    model.set_logger(Logger(None, []))
    paid, start = Paid(), time.perf_counter()
    model.learn(job.samples, callback=paid, log_interval=10**9)
    return Learned(model, paid.rewards, time.perf_counter() - start)


def _algorithm(job: Job) -> type[SAC]:
    return SAC if job.algorithm == STOCK else FastSAC


def _interval(values: list[float]) -> str:
    if len(values) < 2:
        return f"{values[0]:.3f}"
    estimate = student(values)
    return f"{estimate.value:.3f} ({estimate.low:.3f} to {estimate.high:.3f})"
