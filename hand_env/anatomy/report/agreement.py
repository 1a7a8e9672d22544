"""Hold two judges against each other, where one of them is being pleased."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sklearn.metrics import cohen_kappa_score

from hand_env.anatomy.result import Judgement
from hand_env.anatomy.summary import Rate, wilson


@dataclass(frozen=True)
class Agreement:
    """What two judges say of the same pictures.

    Attributes:
        first: Rate of anatomical hands by the first judge.
        second: By the second.
        alike: Rate of pictures of which they say the same.
        kappa: Cohen's: 1 where they always agree, 0 where they agree as often as chance has it, NaN where both always
            say the same word.
        scores: Mean score by either.
    """

    first: Rate
    second: Rate
    alike: Rate
    kappa: float
    scores: tuple[float, float]


def measure_agreement(first: Sequence[Judgement], second: Sequence[Judgement]) -> Agreement:
    """Compare two judges' verdicts `anatomical`.

    Args:
        first: Of n >= 1 pictures.
        second: Of the same, in the same order.

    Source: Cohen 1960, for kappa, as scikit-learn computes it.
    """
    pairs = [(a.anatomical, b.anatomical) for a, b in zip(first, second, strict=True)]
    n = len(pairs)
    rates = [wilson(sum(pair[side] for pair in pairs), n) for side in (0, 1)]
    alike = wilson(sum(a == b for a, b in pairs), n)
    one_word = len({word for pair in pairs for word in pair}) == 1
    kappa = float("nan") if one_word else float(cohen_kappa_score(*zip(*pairs, strict=True)))
    scores = tuple(sum(judgement.score for judgement in judgements) / n for judgements in (first, second))
    return Agreement(rates[0], rates[1], alike, kappa, (scores[0], scores[1]))
