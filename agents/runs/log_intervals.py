"""The ends of 95 % intervals, as a training log holds them beside its means and shares."""

import numpy as np

from hand_env.anatomy import wilson
from vae.distribution.half_samples import NORMAL_95


def ends_of_mean(name: str, total: float, squares: float, n: int) -> dict[str, float]:
    """Return the ends of the 95 % interval of a mean, 1.96 standard errors to each side.

    Args:
        name: What the mean is called in a training log.
        total: Sum of n values.
        squares: Sum of their squares.
        n: Number of values.

    Returns:
        "NAME_low" and "NAME_high"; nothing if n is below 2, or a number is not finite or was not summed from the start.
    """
    if n < 2:
        return {}
    mean = total / n
    variance = (squares / n - mean**2) * n / (n - 1)
    if not -1e-9 * mean**2 <= variance < np.inf:  # below 0 by rounding, or since squares are missing
        return {}
    half_width = NORMAL_95 * float(np.sqrt(max(0.0, variance) / n))
    return {f"{name}_low": mean - half_width, f"{name}_high": mean + half_width}


def ends_of_share(name: str, found: float, n: int) -> dict[str, float]:
    """Return the ends of Wilson's 95 % interval of a share of n, as "NAME_low" and "NAME_high"; nothing for NaN."""
    if not np.isfinite(found):
        return {}
    rate = wilson(round(found * n), n)
    return {f"{name}_low": rate.low, f"{name}_high": rate.high}
