"""Work out what the paper's whole curriculum costs a lab, from rates that are measured here.

    python benchmarks/lab.py --device cuda        # about three minutes on one GPU
    python benchmarks/lab.py --quick              # tiny sizes, on two cores: about a minute

It measures:

- the images/s of a VAE that trains in HandLatent-v0, as N, B, D and S grow, each for itself
- the updates/s of the agent, as D grows: FastSAC with two layers of 1,024 and batches of 1,024
- the images/s of several runs on one GPU together. Each is a process of its own, as in `handlatent sweep`

Two curricula are worked out. The paper's has N of 8, 80, 800 and all photographs, and one epoch for the most part
(docs/learning/paper/). The project's has 100 epochs and more (docs/learning/). Each run costs its epochs at the rate
measured for its N, and the drawing and measuring of hands that was recorded with it. "with SAC" adds what the paper
asks for: one update of an agent that learns after each step of the VAE. Prints GPU hours, and the hours from start to
end on 1, 8 and 64 GPUs.
"""

import argparse
import heapq
import json
import multiprocessing
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import torch
from fast_sac import filled, layers

from agents import FastSAC
from agents.figures.markdown import markdown_table
from hand_env import HandLatentEnv
from vae.device import resolve_device
from vae.model import Width

LEARNING = Path(__file__).parents[1] / "docs" / "learning"
CURRICULA = {"the paper's": LEARNING / "paper" / "curriculum.json", "the project's": LEARNING / "curriculum.json"}
GPUS = (1, 8, 64)  # one GPU, one machine, eight machines
BATCH = 64  # largest B of the curricula; N = 8 has 4, as `handlatent curriculum` chooses
UPDATES = 48  # of SAC in a call
_barrier: Barrier | None = None  # of a process that measures beside others


@dataclass(frozen=True)
class Sizes:
    """What is measured.

    Attributes:
        n: Numbers of training pictures; the curricula have these.
        b: Pictures per minibatch.
        d: Latent dimensions; the last but one is the curricula's.
        s: Pixels a side; the second is the curricula's.
        side_by_side: Runs on one GPU.
        layer: Width of the agent's layers, and its batch.
    """

    n: Sequence[int] = (8, 80, 800, 1396)
    b: Sequence[int] = (8, 64, 256, 512)
    d: Sequence[int] = (30, 100, 300, 1000)
    s: Sequence[int] = (32, 64, 128, 256)
    side_by_side: Sequence[int] = (1, 2, 4, 8)
    layer: int = 1024


FULL, QUICK = Sizes(), Sizes(b=(2, 4, 8, 16), d=(4, 8, 16, 32), s=(32, 64, 128, 256), side_by_side=(1, 2), layer=32)


@dataclass(frozen=True)
class Point:
    """One way to train the VAE."""

    n: int
    b: int
    d: int
    s: int
    width: Width
    device: str
    seconds: float  # to measure for


def main() -> None:
    """Measure, work out and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--width", choices=["small", "large"], default="small", help="of the VAE's networks")
    parser.add_argument("--seconds", type=float, default=2.0, help="to measure each point for")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to try the script")
    args = parser.parse_args()
    began, sizes, device = time.monotonic(), QUICK if args.quick else FULL, resolve_device(args.device)
    place = torch.cuda.get_device_name() if device != "cpu" else f"{torch.get_num_threads()} CPU threads"
    print(f"{place}, torch {torch.__version__}, VAE of width '{args.width}'\n")
    dim, pixels = sizes.d[-2], sizes.s[0 if args.quick else 1]

    def point(**changes: int) -> Point:
        usual = {"n": max(sizes.n), "b": min(BATCH, max(sizes.b)), "d": dim, "s": pixels}
        return Point(**{**usual, **changes}, width=args.width, device=device, seconds=args.seconds)

    rates = {n: image_rate(point(n=n, b=min(n // 2, BATCH, max(sizes.b)))) for n in sizes.n}
    grows("N, pictures", "s an epoch", {n: n / rate for n, rate in rates.items()})
    grows("B, pictures a batch", "images/s", {b: image_rate(point(b=b)) for b in sizes.b})
    grows("D, latents", "images/s", {d: image_rate(point(d=d)) for d in sizes.d})
    updates = {d: update_rate(d, sizes.layer, device, args.seconds) for d in sizes.d}
    grows("D, latents", "updates/s of SAC", updates)
    grows("S, pixels a side", "images/s", {s: image_rate(point(s=s)) for s in sizes.s})
    together = {k: side_by_side(point(), k) for k in sizes.side_by_side}
    grows("seeds side by side on one GPU", "images/s in all", together)
    curricula = {name: json.loads(path.read_text(encoding="utf-8"))["cells"] for name, path in CURRICULA.items()}
    print(table(curricula, rates, updates[dim], together))
    print(f"\nMeasured in {time.monotonic() - began:.0f} s.")


def image_rate(point: Point, wait: Callable[[], object] = lambda: None) -> float:
    """Return the images/s of a VAE that trains in HandLatent-v0 under random deltas; `wait` comes before the clock."""
    images = torch.randint(0, 256, (max(point.n, point.b), 3, point.s, point.s), dtype=torch.uint8)
    settings: dict[str, Any] = {"latent_dim": point.d, "width": point.width, "epochs_per_episode": 10**6}
    env = HandLatentEnv(images, batch_size=point.b, device=point.device, **settings)
    env.reset(seed=0)
    env.action_space.seed(0)
    action = env.action_space.sample()
    for _ in range(3):
        env.step(action)
    wait()
    return point.b * per_second(lambda: env.step(action), point.device, point.seconds)


def update_rate(dim: int, layer: int, device: str, seconds: float) -> float:
    """Return the updates/s of the agent on rows of latents."""
    model = filled(FastSAC, device, (dim,), (dim,), gamma=0.0, batch_size=layer, **layers(layer, layer))
    for _ in range(2):
        model.train(UPDATES, layer)
    return UPDATES * per_second(lambda: model.train(UPDATES, layer), device, seconds)


def per_second(work: Callable[[], object], device: str, seconds: float) -> float:
    """Return how often some work is done a second."""

    def finish() -> None:
        if device != "cpu":
            torch.cuda.synchronize()

    finish()
    began, done = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        work()
        done += 1
        if done % 8 == 0:
            finish()
    finish()
    return done / (time.perf_counter() - began)


def side_by_side(point: Point, runs: int) -> float:
    """Return the images/s of several runs together, each in a process of its own."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(runs, context, _keep_barrier, (context.Barrier(runs),)) as pool:
        return sum(pool.map(_beside, [point] * runs))


def _keep_barrier(barrier: Barrier) -> None:
    global _barrier
    _barrier = barrier


def _beside(point: Point) -> float:
    torch.set_num_threads(1)
    assert _barrier is not None, "_keep_barrier was called"
    return image_rate(point, _barrier.wait)


def grows(what: str, unit: str, found: Mapping[int, float]) -> None:
    """Print how a figure grows with a size."""
    first = next(iter(found.values()))
    lines = [[f"{size:,}", f"{value:,.4g}", f"{value / first:.3g}"] for size, value in found.items()]
    print(markdown_table([what, unit, "times the first"], lines) + "\n")


def table(
    curricula: Mapping[str, Sequence[Mapping[str, Any]]],
    rates: Mapping[int, float],
    updates: float,
    together: Mapping[int, float],
) -> str:
    """Lay out what curricula cost.

    Args:
        curricula: The runs of each curriculum.
        rates: Images/s by N.
        updates: Updates/s of the agent.
        together: Images/s of several runs on one GPU in all, by their number.
    """
    best = max(together, key=lambda runs: together[runs])
    heads = ["curriculum", "runs", "side by side", "GPU hours", *(f"hours on {gpus}" for gpus in GPUS)]
    lines = []
    for name, cells in curricula.items():
        for title, rate in ((name, float("inf")), (f"{name}, with SAC", updates)):
            alone = [seconds_of(cell, rates, rate) for cell in cells]
            for runs in sorted({1, best}):
                slower = runs * together[1] / together[runs]  # each run, beside the others
                taken = [seconds * slower for seconds in alone]
                hours = [makespan(taken, gpus * runs) / 3600 for gpus in GPUS]
                figures = [sum(taken) / runs / 3600, *hours]
                lines.append([title, str(len(cells)), str(runs), *(f"{each:.3g}" for each in figures)])
    return markdown_table(heads, lines)


def seconds_of(cell: Mapping[str, Any], rates: Mapping[int, float], updates: float) -> float:
    """Return the seconds of one run of the curriculum on a GPU of its own."""
    training = cell["images"] * cell["epochs"] / rates[cell["images"]]
    learning = max(1, cell["images"] // cell["batch_size"]) * cell["epochs"] / updates
    recorded = sum(seconds for name, seconds in cell["seconds"].items() if name != "training")
    return float(training + learning + recorded)


def makespan(seconds: Sequence[float], slots: int) -> float:
    """Return when the last run ends, if each free slot takes the longest run that is left."""
    ends = [0.0] * slots
    for each in sorted(seconds, reverse=True):
        heapq.heapreplace(ends, ends[0] + each)
    return max(ends)


if __name__ == "__main__":
    main()
