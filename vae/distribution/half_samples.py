"""Estimate a number and its interval, which comes from halves of the sample."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

HALVES = 50
NORMAL_95 = 1.959964


@dataclass(frozen=True)
class Estimate:
    """A number and its interval.

    Attributes:
        value: The number.
        low: Lower end of its 95 % interval.
        high: Upper end of its 95 % interval.
    """

    value: float
    low: float
    high: float


def halves(n: int) -> list[NDArray[np.int64]]:
    """Draw halves of n rows without replacement; each call returns the same halves.

    Args:
        n: At least 4, because a half needs two rows.

    Returns:
        50 arrays of row indices, (n // 2,) int64 each.

    Raises:
        ValueError: If n is below 4.
    """
    if n < 4:
        raise ValueError(f"n must be at least 4 for an interval over halves, got {n!r}. Take more pictures.")
    rng = np.random.default_rng(0)
    return [rng.permutation(n)[: n // 2] for _ in range(HALVES)]


def estimate_over_halves(value: float, of_halves: list[float]) -> Estimate:
    """Compute the interval of a number from its values on halves of the sample.

    The values on halves vary about as much as the number varies between samples. For a mean and an even n the
    variances are equal. The mean of a half, drawn without replacement, has variance s^2 / n, as the mean of the whole
    sample has. For an odd n it has (n + 1) / (n - 1) times as much.

    Args:
        value: The number on all pictures.
        of_halves: The number on each of `halves`.

    Returns:
        The value, with an interval of 1.96 standard deviations on either side.

    Source: Shao & Wu 1989, the delete-d jackknife with d = n / 2.
    """
    half_width = NORMAL_95 * float(np.std(of_halves, ddof=1))
    return Estimate(value, value - half_width, value + half_width)
