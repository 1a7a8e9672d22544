"""Summarise judgements: rates with intervals, failures by criterion, batches of 20."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from hand_env.anatomy.result import CRITERIA, Judgement
from vae.images.labelled.vocabulary import REASONS

BATCH, WANTED = 20, 15  # the paper's measure: at least 15 correct hands in a batch of 20


@dataclass(frozen=True)
class Rate:
    """A share of pictures.

    Attributes:
        count: Number of pictures counted.
        of: Number of all pictures, >= 1.
        share: count / of.
        low: Lower end of the 95 % Wilson interval.
        high: Upper end of the same interval.
    """

    count: int
    of: int
    share: float
    low: float
    high: float

    def __str__(self) -> str:
        """Write it as '95.0% (19 of 20; 76.4 to 99.1)'."""
        return f"{self.share:.1%} ({self.count} of {self.of}; {100 * self.low:.1f} to {100 * self.high:.1f})"


def wilson(count: int, of: int) -> Rate:
    """Return a share with its 95 % interval.

    Args:
        count: Number of pictures counted, 0..of.
        of: Number of all pictures, >= 1.

    Source: Wilson 1927, as SciPy computes it.
    """
    from scipy.stats import binomtest  # here: importing it takes half a second

    if not 0 <= count <= of or of < 1:
        raise ValueError(f"count must lie in 0..of and of be at least 1, got {count!r} of {of!r}.")
    low, high = binomtest(count, of).proportion_ci(method="wilson")
    return Rate(count, of, count / of, float(low), float(high))


def cohens_kappa(first: Sequence[bool], second: Sequence[bool]) -> float:
    """Return how far two verdicts on the same pictures agree beyond chance.

    Args:
        first: The first verdicts, n >= 1.
        second: The second verdicts, in the same order.

    Returns:
        1 if they always agree, 0 if they agree as often as by chance, NaN if all verdicts of both are the same.

    Source: Cohen 1960, as scikit-learn computes it.
    """
    from sklearn.metrics import cohen_kappa_score  # here: importing scikit-learn takes a second

    one_word = len({*first, *second}) == 1
    return float("nan") if one_word else float(cohen_kappa_score(first, second))


@dataclass(frozen=True)
class Summary:
    """Summary of many judgements.

    Attributes:
        anatomical: Rate of anatomical hands.
        correct: Rate of correct hands.
        failures: Number of pictures that fail each criterion; a picture may fail several.
        batches: Number of complete batches of 20, in order.
        good_batches: Number of these batches with at least 15 correct hands.
        score: Mean score.
        trusted: Rate of pictures whose verdict is trusted.
        anatomical_trusted: Rate of anatomical hands among those; None if there are none.
        correct_trusted: Rate of correct hands among those; None if there are none.
        doubts: By reason of `REASONS`, how many pictures are not trusted for it; a picture may have several.
    """

    anatomical: Rate
    correct: Rate
    failures: dict[str, int]
    batches: int
    good_batches: int
    score: float
    trusted: Rate
    anatomical_trusted: Rate | None
    correct_trusted: Rate | None
    doubts: dict[str, int]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that JSON can hold."""
        return asdict(self)


def summarise(judgements: Sequence[Judgement]) -> Summary:
    """Summarise judgements.

    Raises:
        ValueError: If there are none.
    """
    if not judgements:
        raise ValueError("judgements must hold at least one, got none. Judge some pictures first.")
    n = len(judgements)
    correct = [judgement.correct for judgement in judgements]
    sure = sum(judgement.trusted for judgement in judgements)
    anatomical = sum(judgement.anatomical and judgement.trusted for judgement in judgements)
    batches = [sum(correct[start : start + BATCH]) for start in range(0, n - BATCH + 1, BATCH)]
    return Summary(
        anatomical=wilson(sum(judgement.anatomical for judgement in judgements), n),
        correct=wilson(sum(correct), n),
        failures={name: sum(name in judgement.failures for judgement in judgements) for name in CRITERIA},
        batches=len(batches),
        good_batches=sum(count >= WANTED for count in batches),
        score=sum(judgement.score for judgement in judgements) / n,
        trusted=wilson(sure, n),
        anatomical_trusted=wilson(anatomical, sure) if sure else None,
        correct_trusted=wilson(sum(correct), sure) if sure else None,
        doubts={name: sum(name in judgement.doubts for judgement in judgements) for name in REASONS},
    )
