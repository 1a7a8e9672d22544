"""The columns of the table: figures of a method's pictures, and their means over runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from agents.commands.compare.args import BATCH
from agents.commands.compare.photographs import ReferencePhotographs
from agents.figures.intervals import Column, Figures, median, share, student
from hand_env.anatomy import CRITERIA, Judge, Judgement, Known, KnownByFeatures, Nearest
from hand_env.anatomy.measures import sharpness
from vae.distribution import PictureFeatures, coverage_and_density, kernel_distance
from vae.images import to_float

COLUMNS = {
    "correct": Column("correct %", 100, 1),
    "gain": Column("more than 'none'", 100, 1, float("inf")),
    "anatomical": Column("anatomical %", 100, 1),
    "batches_15": Column("batches >= 15 %", 100, 0),
    "batches_19": Column("batches >= 19 %", 100, 0),
    "correct_by_parser": Column("correct by the rewarding judge %", 100, 1),
    "new": Column("new %", 100, 1),
    "new_by_features": Column("new by features %", 100, 1),
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


@dataclass(frozen=True, eq=False)
class Measured:
    """What is known of a set of pictures.

    Attributes:
        figures: By column name, with 95 % intervals.
        nearest: The training photographs nearest to them; None if no model drew them.
    """

    figures: Figures
    nearest: Nearest | None


class Gauge:
    """Measure pictures against the photographs of one run."""

    def __init__(self, instruments: Instruments, photographs: ReferencePhotographs) -> None:
        """Store both; the photographs are measured when they are first needed."""
        self.instruments, self.photographs = instruments, photographs

    @cached_property
    def known(self) -> Known:
        """Finds the pictures that are near-copies of the training people's photographs."""
        training, held_out = to_float(self.photographs.training), to_float(self.photographs.held_out)
        return Known(self.instruments.reporter, training, held_out)

    @cached_property
    def known_by_features(self) -> KnownByFeatures:
        """Does the same by the features of the network that also gives the distances."""
        training, held_out = to_float(self.photographs.training), to_float(self.photographs.held_out)
        return KnownByFeatures(self.instruments.features, training, held_out)

    @cached_property
    def features(self) -> NDArray[np.float32]:
        """Features of the held-out photographs, (m, feature)."""
        return self._describe(to_float(self.photographs.held_out))

    @cached_property
    def usual_sharpness(self) -> float:
        """Median sharpness of the held-out photographs; the judges have their own median, of other people."""
        return float(sharpness(to_float(self.photographs.held_out)).median())

    def measure(self, pictures: Tensor, *, drawn: bool = True) -> Measured:
        """Measure pictures.

        Args:
            pictures: (n, 3, S, S) uint8, n >= 20, of the photographs' size.
            drawn: Whether a model drew them. If so, "new" and "new_by_features" are measured too.

        Returns:
            Figures, with Wilson's intervals for shares, else over halves of the pictures; the nearest photographs.
        """
        images = to_float(pictures)
        judgements, described = self.instruments.reporter.judge_with_features(images)
        figures = rates(judgements)
        figures["correct_by_parser"] = share([each.correct for each in self.instruments.parser.judge(images)])
        nearest = self.known_by_features.nearest(images) if drawn else None
        if nearest is not None:
            figures["new_by_features"] = share(nearest.new.tolist())
            figures["new"] = share(self.known.novelty(images, described).new.tolist())
        features = self._describe(images)
        figures["coverage"], figures["density"] = coverage_and_density(features, self.features)
        figures["kernel_distance"] = kernel_distance(features, self.features)
        steepness = sharpness(images.to(self.instruments.features.device)).cpu().numpy()
        figures["sharpness"] = median(steepness / self.usual_sharpness)
        shown = {name: column.clip(figures[name]) for name, column in COLUMNS.items() if name in figures}
        return Measured(shown, nearest)

    def _describe(self, images: Tensor) -> NDArray[np.float32]:
        features: NDArray[np.float32] = self.instruments.features(images).numpy()
        return features


def rates(judgements: Sequence[Judgement]) -> Figures:
    """Count the reporting judge's verdicts on at least 20 pictures; only whole batches count, in order."""
    correct = [judgement.correct for judgement in judgements]
    batches = [sum(correct[start : start + BATCH]) for start in range(0, len(correct) - BATCH + 1, BATCH)]
    return {
        "correct": share(correct),
        "anatomical": share([judgement.anatomical for judgement in judgements]),
        "batches_15": share([count >= 15 for count in batches]),
        "batches_19": share([count >= 19 for count in batches]),
        **{f"fails_{name}": share([name in judgement.failures for judgement in judgements]) for name in CRITERIA},
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
    return {name: COLUMNS[name].clip(student([figures[name].value for figures in of_runs])) for name in names}
