"""The columns of the table: figures of a method's pictures, and their means over runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from torch import Tensor

from agents.commands.compare.args import BATCH
from agents.commands.compare.photographs import Photographs
from hand_env.anatomy import CRITERIA, Judge, Judgement, Known, Rate, wilson
from hand_env.anatomy.measures import sharpness
from vae.distribution import (
    Estimate,
    PictureFeatures,
    coverage_and_density,
    estimate_over_halves,
    halves,
    kernel_distance,
)
from vae.images import to_float

Figures = dict[str, Estimate]


@dataclass(frozen=True)
class Column:
    """How a figure is shown.

    Attributes:
        heading: The column's heading.
        times: Factor of the figure.
        digits: Digits after the decimal point.
        highest: Upper bound of the values. The lower bound is 0; if `highest` is infinite, there is none.
    """

    heading: str
    times: float
    digits: int
    highest: float = 1.0


COLUMNS = {
    "correct": Column("correct %", 100, 1),
    "gain": Column("more than 'none'", 100, 1, float("inf")),
    "anatomical": Column("anatomical %", 100, 1),
    "batches_15": Column("batches >= 15 %", 100, 0),
    "batches_19": Column("batches >= 19 %", 100, 0),
    "correct_by_parser": Column("correct by the rewarding judge %", 100, 1),
    "new": Column("new %", 100, 1),
    "coverage": Column("coverage", 1, 2),
    "density": Column("density", 1, 2, 1e9),
    "kernel_distance": Column("kernel distance x 1,000", 1000, 1, float("inf")),
    "sharpness": Column("sharpness", 1, 2, 1e9),
    **{f"fails_{name}": Column(f"{name} %", 100, 1) for name in CRITERIA},
}


@dataclass(frozen=True, eq=False)
class Instruments:
    """Hold the networks that measure, on one device."""

    parser: Judge
    reporter: Judge
    features: PictureFeatures


class Gauge:
    """Measure pictures against the photographs of one run."""

    def __init__(self, instruments: Instruments, photographs: Photographs) -> None:
        """Store both; the photographs are measured when they are first needed."""
        self.instruments, self.photographs = instruments, photographs

    @cached_property
    def known(self) -> Known:
        """Tells copies of the training people's photographs from new pictures."""
        training, held_out = to_float(self.photographs.training), to_float(self.photographs.held_out)
        return Known(self.instruments.reporter, training, held_out)

    @cached_property
    def features(self) -> NDArray[np.float32]:
        """Features of the held-out photographs, (m, feature)."""
        return self._describe(to_float(self.photographs.held_out))

    @cached_property
    def usual_sharpness(self) -> float:
        """Median sharpness of the held-out photographs; the judges have their own median, of other people."""
        return float(sharpness(to_float(self.photographs.held_out)).median())

    def measure(self, pictures: Tensor, *, drawn: bool = True) -> Figures:
        """Measure pictures.

        Args:
            pictures: (n, 3, S, S) uint8, n >= 20, of the photographs' size.
            drawn: Whether a model drew them; only then "new" is measured.

        Returns:
            Figures by column name, with 95 % intervals: Wilson's for shares, else over halves of the pictures.
        """
        images = to_float(pictures)
        figures = rates(self.instruments.reporter.judge(images))
        figures["correct_by_parser"] = _share([each.correct for each in self.instruments.parser.judge(images)])
        if drawn:
            figures["new"] = _share(self.known.novelty(images).new.tolist())
        features = self._describe(images)
        figures["coverage"], figures["density"] = coverage_and_density(features, self.features)
        figures["kernel_distance"] = kernel_distance(features, self.features)
        steepness = sharpness(images.to(self.instruments.features.device)).cpu().numpy()
        figures["sharpness"] = _median(steepness / self.usual_sharpness)
        return {name: _clipped(figures[name], column) for name, column in COLUMNS.items() if name in figures}

    def _describe(self, images: Tensor) -> NDArray[np.float32]:
        features: NDArray[np.float32] = self.instruments.features(images).numpy()
        return features


def rates(judgements: Sequence[Judgement]) -> Figures:
    """Count the reporting judge's verdicts on at least 20 pictures; only whole batches count, in order."""
    correct = [judgement.correct for judgement in judgements]
    batches = [sum(correct[start : start + BATCH]) for start in range(0, len(correct) - BATCH + 1, BATCH)]
    return {
        "correct": _share(correct),
        "anatomical": _share([judgement.anatomical for judgement in judgements]),
        "batches_15": _share([count >= 15 for count in batches]),
        "batches_19": _share([count >= 19 for count in batches]),
        **{f"fails_{name}": _share([name in judgement.failures for judgement in judgements]) for name in CRITERIA},
    }


def over_runs(of_runs: Sequence[Figures]) -> Figures:
    """Average figures over runs.

    Args:
        of_runs: Figures of one or more runs.

    Returns:
        Means with their 95 % intervals by Student's t over runs; for a single run, its figures unchanged.
    """
    if len(of_runs) == 1:
        return of_runs[0]
    names = [name for name in COLUMNS if all(name in figures for figures in of_runs)]
    return {name: _clipped(student([figures[name].value for figures in of_runs]), COLUMNS[name]) for name in names}


def student(values: Sequence[float]) -> Estimate:
    """Return the mean of two or more values with its 95 % interval by Student's t."""
    mean, n = float(np.mean(values)), len(values)
    half_width = float(stats.t.ppf(0.975, n - 1) * np.std(values, ddof=1) / n**0.5)
    return Estimate(mean, mean - half_width, mean + half_width)


def _share(of: Sequence[bool]) -> Estimate:
    rate: Rate = wilson(sum(of), len(of))
    return Estimate(rate.share, rate.low, rate.high)


def _median(rows: NDArray[np.floating]) -> Estimate:
    return estimate_over_halves(float(np.median(rows)), [float(np.median(rows[half])) for half in halves(len(rows))])


def _clipped(estimate: Estimate, column: Column) -> Estimate:
    if column.highest == float("inf"):
        return estimate
    low, high = (float(np.clip(end, 0, column.highest)) for end in (estimate.low, estimate.high))
    return Estimate(estimate.value, low, high)
