"""A figure with its interval, found by looking at halves of the sample."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

HALVES = 50
NORMAL_95 = 1.959964


@dataclass(frozen=True)
class Estimate:
    """A figure.

    Attributes:
        value: The figure itself.
        low: Lower end of its 95 % interval.
        high: Its upper end.
    """

    value: float
    low: float
    high: float


def halves(n: int) -> list[NDArray[np.int64]]:
    """Draw halves of n rows without replacement, always the same.

    Args:
        n: At least 4: a half needs two rows.

    Returns:
        50 arrays, (n // 2,) each.

    Raises:
        ValueError: If n is below 4.
    """
    if n < 4:
        raise ValueError(f"n must be at least 4 for an interval over halves, got {n!r}. Take more pictures.")
    rng = np.random.default_rng(0)
    return [rng.permutation(n)[: n // 2] for _ in range(HALVES)]


def estimate_over_halves(value: float, of_halves: list[float]) -> Estimate:
    """Put an interval around a figure.

    The figures of halves vary about as much as that of the whole sample would over samples: the variance of the mean
    of a half, drawn without replacement, is s^2 / n, that of the mean of all.

    Args:
        value: Of all pictures.
        of_halves: Of each of `halves`.

    Returns:
        The value, 1.96 standard deviations on either side.

    Source: Shao & Wu 1989, the delete-d jackknife with d = n / 2.
    """
    half_width = NORMAL_95 * float(np.std(of_halves, ddof=1))
    return Estimate(value, value - half_width, value + half_width)
