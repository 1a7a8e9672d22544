"""Compare two judges on pictures that are optimised for one of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hand_env.anatomy.result import Judgement
from hand_env.anatomy.summary import Rate, cohens_kappa, wilson


@dataclass(frozen=True)
class Agreement:
    """Verdicts of two judges on the same pictures.

    Attributes:
        first: Rate of anatomical hands according to the first judge.
        second: The same according to the second judge.
        alike: Rate of pictures on which both judges give the same verdict.
        kappa: Cohen's kappa: 1 if they always agree, 0 if they agree as often as by chance, NaN if all verdicts of both
            are the same.
        scores: Mean score of each judge.
    """

    first: Rate
    second: Rate
    alike: Rate
    kappa: float
    scores: tuple[float, float]


def measure_agreement(first: Sequence[Judgement], second: Sequence[Judgement]) -> Agreement:
    """Compare the verdicts `anatomical` of two judges.

    Args:
        first: The first judge's judgements of n >= 1 pictures.
        second: The second judge's judgements of the same pictures, in the same order.
    """
    pairs = [(a.anatomical, b.anatomical) for a, b in zip(first, second, strict=True)]
    n = len(pairs)
    rates = [wilson(sum(pair[side] for pair in pairs), n) for side in (0, 1)]
    alike = wilson(sum(a == b for a, b in pairs), n)
    kappa = cohens_kappa(*zip(*pairs, strict=True))
    scores = tuple(sum(judgement.score for judgement in judgements) / n for judgements in (first, second))
    return Agreement(rates[0], rates[1], alike, kappa, (scores[0], scores[1]))
