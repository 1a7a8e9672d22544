"""Measure the kernel distance between two sets of pictures."""

import numpy as np
from numpy.typing import NDArray

from vae.distribution.half_samples import Estimate, estimate_over_halves, halves

Array = NDArray[np.floating]
DEGREE = 3


def kernel_distance(pictures: Array, photographs: Array) -> Estimate:
    """Measure the distance of two distributions: the squared maximum mean discrepancy of a cubic kernel.

    The kernel is (x y / features + 1)^3. The estimate is unbiased: its mean does not depend on the number of pictures.
    If both distributions are the same, it is below 0 about half of the time.

    Args:
        pictures: (n, feature), n >= 4.
        photographs: (m, feature), m >= 2; treated as fixed.

    Returns:
        The distance, often shown times 1,000, with its interval over halves of the pictures.

    Raises:
        ValueError: If there are too few pictures or photographs, or their numbers of features differ.

    Source: Binkowski, Sutherland, Arbel & Gretton 2018, section 4, for the kernel; Gretton et al. 2012, lemma 6, for
    the estimate from sets of different sizes.
    """
    from sklearn.metrics.pairwise import polynomial_kernel  # here: importing scikit-learn takes a second

    if len(photographs) < 2:
        raise ValueError(f"photographs must be at least 2, got {len(photographs)!r}. Hold out more people.")
    parts = halves(len(pictures))
    pictures, photographs = (np.asarray(rows, np.float64) for rows in (pictures, photographs))
    within, between = polynomial_kernel(pictures, degree=DEGREE), polynomial_kernel(pictures, photographs, DEGREE)
    theirs = _mean_of_pairs(polynomial_kernel(photographs, degree=DEGREE))

    def distance(within: Array, between: Array) -> float:
        return _mean_of_pairs(within) + theirs - 2 * float(between.mean())

    of_halves = [distance(within[np.ix_(half, half)], between[half]) for half in parts]
    return estimate_over_halves(distance(within, between), of_halves)


def _mean_of_pairs(kernel: Array) -> float:
    """Average over pairs of different rows."""
    n = len(kernel)
    return float((kernel.sum() - np.trace(kernel)) / (n * (n - 1)))
