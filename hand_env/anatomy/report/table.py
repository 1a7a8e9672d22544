"""Compare verdicts with the truth, and print the results as a table."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from hand_env.anatomy.judge import Judge
from hand_env.anatomy.report.cases import Case
from hand_env.anatomy.result import Judgement
from hand_env.anatomy.summary import Rate, wilson
from vae.images import to_float

AREA_WANTED, COUNT_WANTED = 0.97, 0.97  # required values of `Row.area` and `Row.count`


@dataclass(frozen=True, eq=False)
class Row:
    """One line of the table.

    Attributes:
        name: Name of the case.
        verdicts: Rate of right verdicts.
        value: Compared with `wanted`: the share of right verdicts, or the balanced accuracy if a case has both kinds.
        wanted: Required value.
        area: Area under the ROC curve of the score; NaN if there are no pictures to compare with.
        count: Rate of hands with exactly four fingers and a thumb found; None if the case does not check it.
        wrong: Indices of the pictures with a wrong verdict.
    """

    name: str
    verdicts: Rate
    value: float
    wanted: float
    area: float
    count: Rate | None
    wrong: tuple[int, ...]


def measure(judge: Judge, cases: Iterable[Case]) -> Iterator[tuple[Case, Row]]:
    """Judge all cases and compare the verdicts with the truth, one case after another."""
    scores: dict[str, list[float]] = {}
    for case in cases:
        judgements = judge.judge(to_float(case.images))
        scores[case.name] = [judgement.score for judgement in judgements]
        said = [getattr(judgement, case.asked) for judgement in judgements]
        hits = [answer == truth for answer, truth in zip(said, case.right, strict=True)]
        yield (
            case,
            Row(
                name=case.name,
                verdicts=wilson(sum(hits), len(hits)),
                value=_balanced(hits, case.right),
                wanted=case.wanted,
                area=_area_of(case, scores),
                count=_count(judgements) if case.counts else None,
                wrong=tuple(index for index, hit in enumerate(hits) if not hit),
            ),
        )


def area_under_curve(right: Sequence[float], wrong: Sequence[float]) -> float:
    """Return how often a right picture scores above a wrong one; a tie counts half."""
    from sklearn.metrics import roc_auc_score  # here: importing scikit-learn takes a second

    return float(roc_auc_score([True] * len(right) + [False] * len(wrong), [*right, *wrong]))


def write_table(rows: Sequence[Row]) -> str:
    """Write the rows as a table; a star marks a value below the required one."""
    lines = [f"{'':38} {'right verdicts (95 % interval)':38} {'wanted':>7} {'area':>6}"]
    for row in rows:
        star = " " if row.value >= row.wanted else "*"
        share = f"{row.value:.1%}" if row.value != row.verdicts.share else ""
        area = "" if math.isnan(row.area) else f"{row.area:.3f}" + ("" if row.area >= AREA_WANTED else "*")
        lines.append(f"{row.name:38} {row.verdicts!s:38} {row.wanted:6.0%}{star} {area:7} {share}".rstrip())
        if row.count:
            star = " " if row.count.share >= COUNT_WANTED else "*"
            lines.append(
                f"{'  four fingers and a thumb counted':38} {row.count!s:38} {COUNT_WANTED:6.0%}{star}".rstrip()
            )
    return "\n".join(lines)


def _balanced(hits: Sequence[bool], truths: Sequence[bool]) -> float:
    shares = []
    for kind in (True, False):
        some = [hit for hit, truth in zip(hits, truths, strict=True) if truth is kind]
        if some:
            shares.append(sum(some) / len(some))
    return sum(shares) / len(shares)


def _area_of(case: Case, scores: dict[str, list[float]]) -> float:
    mine = list(zip(scores[case.name], case.right, strict=True))
    right = [score for score, truth in mine if truth]
    wrong = [score for score, truth in mine if not truth]
    if case.base:
        right = scores[case.base]
    return area_under_curve(right, wrong) if right and wrong else float("nan")


def _count(judgements: Sequence[Judgement]) -> Rate:
    exact = sum((j.fingers, j.thumbs, j.unplaced) == (4, 1, 0) for j in judgements)
    return wilson(exact, len(judgements))
