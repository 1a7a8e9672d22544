"""Shares, medians and means with their 95 % intervals, and how a table shows them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hand_env.anatomy import Rate, wilson
from vae.distribution.half_samples import Estimate, estimate_over_halves, halves

Figures = dict[str, Estimate]
RESAMPLES = 10_000  # of a bootstrap interval


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

    def number(self, value: float) -> str:
        """Write one number of the figure."""
        return f"{self.times * value:.{self.digits}f}"

    def text(self, found: Estimate) -> str:
        """Write the figure with its interval: '50.0 (25.0 to 75.0)'."""
        return f"{self.number(found.value)} ({self.number(found.low)} to {self.number(found.high)})"

    def clip(self, found: Estimate) -> Estimate:
        """Limit the interval to the values that the figure can have."""
        if self.highest == float("inf"):
            return found
        low, high = (float(np.clip(end, 0, self.highest)) for end in (found.low, found.high))
        return Estimate(found.value, low, high)


def share(of: Sequence[bool]) -> Estimate:
    """Return the share of pictures that something holds for, with Wilson's interval."""
    rate: Rate = wilson(sum(of), len(of))
    return Estimate(rate.share, rate.low, rate.high)


def median(rows: NDArray[np.floating]) -> Estimate:
    """Return the median of at least 4 rows; the interval comes from halves of them."""
    return estimate_over_halves(float(np.median(rows)), [float(np.median(rows[half])) for half in halves(len(rows))])


def student(values: Sequence[float]) -> Estimate:
    """Return the mean of two or more values with its 95 % interval by Student's t."""
    from scipy import stats  # here: importing it takes half a second

    mean, n = float(np.mean(values)), len(values)
    half_width = float(stats.t.ppf(0.975, n - 1) * np.std(values, ddof=1) / n**0.5)
    return Estimate(mean, mean - half_width, mean + half_width)


def interquartile(values: Sequence[float]) -> Estimate:
    """Return the interquartile mean of a few runs with its 95 % bootstrap interval.

    The lowest and the highest quarter of the runs are left out, rounded down: of five, one on each side. Fewer than two
    runs have no interval. A bootstrap of five runs is a little too narrow.

    Source: Agarwal et al. 2021, "Deep Reinforcement Learning at the Edge of the Statistical Precipice".
    """
    from scipy import stats  # as above

    mean = float(stats.trim_mean(values, 0.25))
    if len(values) < 2:
        return Estimate(mean, mean, mean)
    found = stats.bootstrap(
        (np.asarray(values),),
        lambda rows, axis: stats.trim_mean(rows, 0.25, axis=axis),
        n_resamples=RESAMPLES,
        method="percentile",
        random_state=np.random.default_rng(0),
    ).confidence_interval
    return Estimate(mean, float(found.low), float(found.high))
