"""Measure how much of the photographs' variety the pictures cover, and how close they stay to photographs."""

import contextlib
import io

import joblib
import numpy as np
from numpy.typing import NDArray

from vae.distribution.features import check_extra
from vae.distribution.half_samples import Estimate, estimate_over_halves, halves
from vae.progress import progress_bar

Array = NDArray[np.floating]
NEIGHBOURS = 5


def coverage_and_density(pictures: Array, photographs: Array, k: int = NEIGHBOURS) -> tuple[Estimate, Estimate]:
    """Measure coverage and density with the authors' code.

    Each photograph has a ball that reaches to its k-th nearest photograph. Coverage is the share of balls that contain
    a picture. Density is the number of balls that contain a picture, averaged over pictures and divided by k. A mode of
    the photographs that no picture shows lowers coverage but not density. Pictures unlike any photograph lower density.
    Coverage grows with the number of pictures: compare it only at the same number.

    Args:
        pictures: (n, feature), n >= 2 (k + 2).
        photographs: (m, feature), m >= k + 2; treated as fixed.
        k: >= 1.

    Returns:
        Coverage in [0, 1], and density >= 0, about 1 if both distributions are the same. Their intervals come from
        halves of the pictures.

    Raises:
        ImportError: If the extra `compare` is not installed.
        ValueError: If there are too few pictures or photographs.

    Source: Naeem, Oh, Uh, Choi & Yoo 2020, section 3; their package `prdc`.
    """
    if k < 1 or len(photographs) < k + 2 or len(pictures) // 2 < k + 2:
        raise ValueError(
            "k must be at least 1, photographs at least k + 2 and pictures twice that, got "
            f"k={k!r}, {len(photographs)} photographs and {len(pictures)} pictures."
        )
    check_extra()
    parts = halves(len(pictures))
    coverage, density = _of(pictures, photographs, k)
    bar = progress_bar(parts, "Comparing features", unit="halves of the pictures")
    of_halves = [_of(pictures[half], photographs, k) for half in bar]
    return (
        estimate_over_halves(coverage, [each[0] for each in of_halves]),
        estimate_over_halves(density, [each[1] for each in of_halves]),
    )


def _of(pictures: Array, photographs: Array, k: int) -> tuple[float, float]:
    from prdc import compute_prdc

    # compute_prdc prints its counts, and starts eight threads, which costs more than the distances.
    with contextlib.redirect_stdout(io.StringIO()), joblib.parallel_config(backend="sequential"):
        found = compute_prdc(real_features=photographs, fake_features=pictures, nearest_k=k)
    return float(found["coverage"]), float(found["density"])
