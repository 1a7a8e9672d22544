"""Measure the judge on labelled pictures from elsewhere: other cameras, other scenes, other generators."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hand_env.anatomy.report.table import area_under_curve
from hand_env.anatomy.result import Judgement
from hand_env.anatomy.summary import Rate, wilson

CLUTTERED = ("dalle3-desk", "palmy")
SMALL = ("fingercount", "palmistry")
"""Sources by their scenes; all others show one large hand on a plain ground. In `labels.csv` a column `scene` ("plain",
"cluttered", "small") takes the place of this list where there is one."""

GENERATED = ("dalle3-desk", "dalle3-palm", "vae-own", "edited", "handbench")
"""Sources that are no untouched photographs."""


@dataclass(frozen=True)
class OutsidePicture:
    """A labelled picture.

    Attributes:
        file: Where it lies.
        right: Whether the hand is anatomical.
        source: As in `labels.csv`.
        scene: "plain", "cluttered" or "small".
    """

    file: Path
    right: bool
    source: str
    scene: str


@dataclass(frozen=True)
class OutsideRow:
    """One line of the table.

    Attributes:
        name: Which pictures.
        accepted: Of the right ones, those found anatomical; None if there are none.
        rejected: Of the wrong ones, those found not to be; None if there are none.
        trusted: Of all, those whose verdict is trusted.
        area: Under the ROC curve of the score, NaN where one kind is missing.
    """

    name: str
    accepted: Rate | None
    rejected: Rate | None
    trusted: Rate
    area: float

    @property
    def balanced(self) -> float:
        """The mean of both rates, NaN where one kind is missing."""
        if self.accepted is None or self.rejected is None:
            return float("nan")
        return (self.accepted.share + self.rejected.share) / 2


def outside_pictures(root: Path) -> list[OutsidePicture]:
    """List the labelled pictures; doubtful ones are left out.

    Args:
        root: Holds `labels.csv`, with the columns image, source and label (1, 0 or d), and the folder `pictures`.

    Raises:
        FileNotFoundError: If there is no such file.
    """
    table = root / "labels.csv"
    if not table.is_file():
        raise FileNotFoundError(f"--outside must name a folder that holds labels.csv, got {str(root)!r}.")
    with table.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["label"] in ("0", "1")]
    return [
        OutsidePicture(root / "pictures" / row["image"], row["label"] == "1", row["source"], _scene(row))
        for row in rows
    ]


def outside_table(pictures: Sequence[OutsidePicture], judgements: Sequence[Judgement]) -> list[OutsideRow]:
    """Hold verdicts against labels, over all and by kind of picture."""
    pairs = list(zip(pictures, judgements, strict=True))
    kinds = {
        "all": pairs,
        "trusted": [pair for pair in pairs if pair[1].trusted],
        "plain ground, one large hand": [pair for pair in pairs if pair[0].scene == "plain"],
        "cluttered ground or a small hand": [pair for pair in pairs if pair[0].scene != "plain"],
        "photographs": [pair for pair in pairs if pair[0].source not in GENERATED],
    }
    for source in sorted({picture.source for picture in pictures}):
        kinds[f"  {source}"] = [pair for pair in pairs if pair[0].source == source]
    return [_row(name, some) for name, some in kinds.items() if some]


def write_outside(rows: Sequence[OutsideRow]) -> str:
    """Lay the rows out."""
    lines = [f"{'':34} {'right accepted':36} {'wrong rejected':36} {'trusted':36} balanced  area"]
    for row in rows:
        rates = " ".join(
            f"{'-' if rate is None else str(rate):36}" for rate in (row.accepted, row.rejected, row.trusted)
        )
        both = f"{row.balanced:8.1%}  {row.area:.3f}" if row.balanced == row.balanced else ""
        lines.append(f"{row.name:34} {rates} {both}".rstrip())
    return "\n".join(lines)


def _scene(row: dict[str, str]) -> str:
    if row.get("scene"):
        return row["scene"]
    if row["source"] in CLUTTERED:
        return "cluttered"
    return "small" if row["source"] in SMALL else "plain"


def _row(name: str, pairs: Sequence[tuple[OutsidePicture, Judgement]]) -> OutsideRow:
    said = {right: [judgement for picture, judgement in pairs if picture.right is right] for right in (True, False)}
    accepted, rejected = (
        wilson(sum(judgement.anatomical is right for judgement in some), len(some)) if some else None
        for right, some in said.items()
    )
    scores = [[judgement.score for judgement in said[right]] for right in (True, False)]
    area = area_under_curve(*scores) if all(scores) else float("nan")
    return OutsideRow(name, accepted, rejected, wilson(sum(pair[1].trusted for pair in pairs), len(pairs)), area)
