"""The steps of `handlatent compare`: measure every method of every run, and write the table."""

import hashlib
import math
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

from agents.command_line.flags import check_hands
from agents.commands.compare.args import CompareArgs, check_args
from agents.commands.compare.figures import COLUMNS, Gauge, Instruments
from agents.commands.compare.loaded_run import LoadedRun, load_compared_run, runs_in
from agents.commands.compare.methods import MEASURING, Method, bound_of, decoded, make_methods
from agents.commands.compare.pairs import draw_pairs
from agents.commands.compare.photographs import ReferencePhotographs, read_photographs
from agents.commands.compare.store import MethodRecord, MethodStore
from agents.commands.compare.table import Row, make_rows, write_table
from agents.figures.plots import save_intervals
from agents.runs.lock import held
from agents.runs.run_folder import versions
from hand_env import image_grid
from hand_env.anatomy import Judge
from hand_env.anatomy.weights import packaged_weights
from vae.device import resolve_device
from vae.distribution import NETWORKS, PictureFeatures, check_extra, feature_weights
from vae.distribution.half_samples import Estimate
from vae.images.overview import save_overview
from vae.progress import Bar, progress_bar, say

SHOWN, IN_A_ROW = 40, 10  # pictures in a grid, and in a row of it
PAIRED = "sac-refine"  # this agent has a picture of its nearest pairs, as the hands without an agent have
PLOT, PLOTTED = "compare.png", ("correct", "new", "new_by_features", "coverage", "kernel_distance", "sharpness")
PHOTOGRAPHS, NOBODY = "photographs", "-"


@dataclass(frozen=True, eq=False)
class ComparedRun:
    """One run and the photographs that it is compared with.

    Attributes:
        name: The run's name in the table and in file names.
        sha256: Hash of its weights, the photographs and kappa.
        kappa: The largest move of a correction in each dimension.
        loaded: The run's VAE, samplers and agents.
        photographs: The photographs, at the run's size.
        common: SHA-256 of what all its methods depend on: photographs, kappa, settings, VAE.
    """

    name: str
    sha256: str
    kappa: float
    loaded: LoadedRun
    photographs: ReferencePhotographs
    common: str

    def method_sha256(self, sampler: str, agent: str) -> str:
        """Return the SHA-256 of what a method's figures depend on; runs that share these files share the figures."""
        parts = (sampler, agent.rpartition("-")[0])  # without the number of rounds, which belongs to no file
        words = [self.common, *(self.loaded.sha256.get(part, "") for part in parts)]
        return hashlib.sha256(" ".join(words).encode()).hexdigest()

    def facts(self) -> dict[str, Any]:
        """Return plain values, for JSON and for the text above the table."""
        agents = {name: agent.delta_scale * agent.steps for name, agent in self.loaded.agents.items()}
        return {
            "run": self.name,
            "sha256": self.sha256,
            "pixels": self.loaded.vae.size,
            "kappa": self.kappa,
            "agents_kappa": {name: min(reach, self.kappa) for name, reach in agents.items()},
            "photographs": len(self.photographs.training),
            "held_out_photographs": len(self.photographs.held_out),
            "held_out_people": self.photographs.people,
            "split_seed": self.loaded.split_seed,
        }


def compare(args: CompareArgs) -> str:
    """Measure every sampler with every agent in every run.

    Args:
        args: Settings.

    Returns:
        The table, in Markdown.

    Raises:
        FileNotFoundError: If the photographs do not exist.
        ImportError: If the extra `compare` is not installed.
        ValueError: If there is no finished run, a setting is wrong, or the folder is in use.
    """
    check_args(args)
    check_extra()
    device = resolve_device(args.device)
    args = replace(args, runs=[run for folder in args.runs for run in runs_in(folder)])
    loaded = [load_compared_run(run) for run in args.runs]
    _check_samplers(args, loaded)
    for parts in loaded:
        draws = max(args.best_of) if "best-of" in args.agents else 1
        check_hands("--n", args.n, parts.vae.size, parts.vae.latent_dim, draws)
    with nullcontext() if args.out is None else held(args.out):
        return _compare(args, loaded, device)


def _check_samplers(args: CompareArgs, loaded: Sequence[LoadedRun]) -> None:
    """Refuse samplers that no run has; one that some runs lack is named under the table."""
    there = sorted({name for parts in loaded for name in parts.samplers})
    if not set(args.samplers) & set(there):
        raise ValueError(
            f"None of the runs has a sampler of --samplers {' '.join(args.samplers)}. They have {', '.join(there)}."
        )


def _compare(args: CompareArgs, loaded: Sequence[LoadedRun], device: str) -> str:
    instruments = Instruments(
        Judge.load(args.parser, device=device),
        Judge.load(args.reporter, architecture="reporter", device=device),
        PictureFeatures(args.features, device),
    )
    store = MethodStore(args.out, _settings(args))
    gauges: dict[str, Gauge] = {}  # runs with the same split share the measurements of their photographs
    work = [MEASURING + sum(_work(method) for method in _methods(parts, instruments, args)) for parts in loaded]
    with progress_bar(title="Comparing", unit="units of work", total=sum(work), leave=True) as bar:
        for name, parts in zip(run_names(args.runs), loaded, strict=True):
            subject = _subject(name, parts, args)
            gauge = gauges.setdefault(subject.photographs.sha256, Gauge(instruments, subject.photographs))
            compare_run(subject, gauge, store, args, bar)
    rows = make_rows(store.records)
    store.write([row.to_dict() for row in rows])
    if args.out is not None:
        _plot(rows, args.out / PLOT)
    return write_table(rows, store.records, describe(store, args))


def compare_run(subject: ComparedRun, gauge: Gauge, store: MethodStore, args: CompareArgs, bar: Bar) -> None:
    """Measure the methods of one run that the store does not have, and the photographs of its training people.

    Args:
        subject: The run.
        gauge: Measures pictures against the run's photographs.
        store: Receives the records.
        args: Settings.
        bar: Counts the work.
    """
    loaded, instruments = subject.loaded, gauge.instruments
    loaded.vae.to(instruments.features.device)
    store.runs.append(subject.facts())
    name, whole = subject.name, subject.sha256
    known = store.find(subject.common, PHOTOGRAPHS, NOBODY)
    _count(bar, MEASURING, done=known is not None)
    if known is None:
        figures = gauge.measure(subject.photographs.training[: args.n], drawn=False).figures
        known = MethodRecord(name, whole, subject.common, PHOTOGRAPHS, NOBODY, None, figures)
    store.add(replace(known, run=name, run_sha256=whole))
    for method in _methods(loaded, instruments, args):
        known = store.find(subject.method_sha256(method.sampler, method.agent), method.sampler, method.agent)
        record = replace(known, run=name, run_sha256=whole) if known else _measure(method, subject, gauge, args)
        store.add(record)
        _count(bar, _work(method), done=known is not None)
    loaded.vae.to("cpu")


def describe(store: MethodStore, args: CompareArgs) -> str:
    """Describe what the table shows, with one line for each run."""
    lines = [f"{args.n:,} pictures per row and run, from latents of seed {args.seed}, the same for all agents."]
    title = NETWORKS[args.features].title
    lines.append(f"Coverage, density, kernel distance and 'new by features' are by the features of {title}.")
    if args.refine_below < math.inf:
        lines.append(f"Agents correct latents whose log-odds by the rewarding judge are below {args.refine_below:g}.")
    for run in store.runs:
        less = [f"'{name}' by {reach:g}" for name, reach in run["agents_kappa"].items() if reach < run["kappa"]]
        lines.append(
            f"{run['run']}: {run['pixels']} pixels; corrections by at most {run['kappa']:g}{', '.join(['', *less])}; "
            f"held out: {run['held_out_photographs']} photographs of {run['held_out_people']} people."
        )
    return "\n".join(lines)


def run_names(folders: Sequence[Path]) -> list[str]:
    """Name runs by their folders' names, preceded by their paths below the common folder if names are equal.

    Names that are equal even so get numbers.

    Raises:
        ValueError: If a folder is given twice.
    """
    paths = [folder.resolve() for folder in folders]
    if len(set(paths)) < len(paths):
        twice = next(str(folder) for folder in folders if paths.count(folder.resolve()) > 1)
        raise ValueError(f"RUNS must differ, got {twice!r} twice.")
    names = [path.name for path in paths]
    if len(set(names)) == len(names):
        return names
    common = Path(os.path.commonpath(paths))
    return _numbered(["-".join(path.relative_to(common).parts) or path.name for path in paths])


def _numbered(names: Sequence[str]) -> list[str]:
    """Number the names that are equal: "run", "run-2"."""
    free: list[str] = []
    for place, name in enumerate(names):
        others = {*names[:place], *names[place + 1 :], *free}
        numbered = (f"{name}-{number}" for number in count(2))
        free.append(name if name not in names[:place] else next(new for new in numbered if new not in others))
    return free


def _methods(loaded: LoadedRun, instruments: Instruments, args: CompareArgs) -> Iterator[Method]:
    return make_methods(loaded, lambda images: instruments.parser.find(images).score, args)


def _work(method: Method) -> int:
    return 0 if method.correct is None else method.cost.work


def _count(bar: Bar, work: int, *, done: bool) -> None:
    """Count work that is done now; what an earlier comparison did is no work, and says nothing of the time left."""
    if done:
        bar.total -= work
    else:
        bar.update(work)


def _measure(method: Method, subject: ComparedRun, gauge: Gauge, args: CompareArgs) -> MethodRecord:
    name, began = f"{subject.name}: {method.sampler}, {method.agent}", time.monotonic()
    sha256 = subject.method_sha256(method.sampler, method.agent)
    record = MethodRecord(
        subject.name, subject.sha256, sha256, method.sampler, method.agent, method.cost, {}, method.missing
    )
    if method.correct is None:
        return record
    latents = subject.loaded.samplers[method.sampler].sample(args.n, args.seed)
    pictures = decoded(subject.loaded, method.correct(latents))
    measured = gauge.measure(pictures)
    if args.out is not None:
        file = f"{subject.name}-{method.sampler}-{method.agent}"
        save_overview(args.out / f"{file}.png", image_grid(pictures[:SHOWN], columns=IN_A_ROW))
        if measured.nearest is not None and method.agent in ("none", f"{PAIRED}-{max(args.rounds)}"):
            draw_pairs(args.out / f"{file}-nearest.png", pictures, subject.photographs.training, measured.nearest)
    correct = measured.figures["correct"].value
    say(f"{name}: {correct:.1%} correct, {time.monotonic() - began:.0f} s")
    return replace(record, figures=measured.figures)


def _plot(rows: Sequence[Row], path: Path) -> None:
    """Draw the figures of `PLOTTED` as the table has them, with their intervals."""
    shown = {
        f"{row.sampler}, {row.agent}".removesuffix(f", {NOBODY}"): {
            name: Estimate(*(COLUMNS[name].times * end for end in (found.value, found.low, found.high)))
            for name, found in row.figures.items()
            if name in PLOTTED
        }
        for row in rows
    }
    save_intervals(path, shown, {name: COLUMNS[name].heading for name in PLOTTED})


def _subject(name: str, loaded: LoadedRun, args: CompareArgs) -> ComparedRun:
    assert args.data is not None, "checked by check_args"
    photographs = read_photographs(args.data, loaded.vae.size, loaded.split_seed)
    kappa = bound_of(loaded, args)
    depends = f"{photographs.sha256} {kappa} {loaded.settings} {loaded.sha256['vae']}"
    common = hashlib.sha256(depends.encode()).hexdigest()
    whole = hashlib.sha256(" ".join([common, *loaded.sha256.values()]).encode()).hexdigest()
    return ComparedRun(name, whole, kappa, loaded, photographs, common)


def _settings(args: CompareArgs) -> dict[str, Any]:
    """Return what the figures depend on, apart from the run and its photographs."""
    weights = {
        "parser": args.parser or packaged_weights("parser"),
        "reporter": args.reporter or packaged_weights("reporter"),
        "features": feature_weights(args.features),
    }
    return {
        "handlatent": versions()["handlatent"],
        "features": args.features,
        "n": args.n,
        "seed": args.seed,
        "gradient_rate": args.gradient_rate,
        "most_rounds": max(args.rounds),
        "refine_below": str(args.refine_below),  # JSON has no infinity
        **{f"{name}_sha256": hashlib.sha256(path.read_bytes()).hexdigest() for name, path in weights.items()},
    }
