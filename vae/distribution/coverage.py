"""How much of the photographs' variety pictures reach, and how near they keep to it."""

import contextlib
import io

import joblib
import numpy as np
from numpy.typing import NDArray

from vae.distribution.estimate import Estimate, estimate_over_halves, halves
from vae.distribution.features import check_extra

Array = NDArray[np.floating]
NEIGHBOURS = 5


def coverage_and_density(pictures: Array, photographs: Array, k: int = NEIGHBOURS) -> tuple[Estimate, Estimate]:
    """Measure coverage and density, by the authors' own code.

    Around each photograph lies a ball that reaches to its k-th nearest fellow photograph. Coverage is the share of
    balls that hold a picture; density is how many balls hold a picture on average, over k. A mode of the photographs
    that no picture shows lowers coverage and leaves density as it is; pictures unlike any photograph lower density.
    Coverage grows with the number of pictures: compare it at one number only.

    Args:
        pictures: (n, feature), n >= 2 (k + 2).
        photographs: (m, feature), m >= k + 2; taken as given.
        k: >= 1.

    Returns:
        Coverage in [0, 1] and density, >= 0, about 1 where both distributions are the same; their intervals over
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
    of_halves = [_of(pictures[half], photographs, k) for half in parts]
    return (
        estimate_over_halves(coverage, [each[0] for each in of_halves]),
        estimate_over_halves(density, [each[1] for each in of_halves]),
    )


def _of(pictures: Array, photographs: Array, k: int) -> tuple[float, float]:
    from prdc import compute_prdc

    # It prints how many there are, and starts eight threads, which costs more than the distances do.
    with contextlib.redirect_stdout(io.StringIO()), joblib.parallel_config(backend="sequential"):
        found = compute_prdc(real_features=photographs, fake_features=pictures, nearest_k=k)
    return float(found["coverage"]), float(found["density"])
