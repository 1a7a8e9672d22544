"""Measure the judge on labelled pictures from other cameras, scenes and generators."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hand_env.anatomy.report.table import area_under_curve
from hand_env.anatomy.result import Judgement
from hand_env.anatomy.summary import Rate, wilson
from vae.images.labels import read_labels

CLUTTERED = ("dalle3-desk", "palmy")
SMALL = ("fingercount", "palmistry")
"""Sources with small hands; those not listed show one large hand on a plain background. A column `scene` in
`labels.csv` ("plain", "cluttered" or "small") overrides both lists."""

SCENES = ("plain", "cluttered", "small")

GENERATED = ("dalle3-desk", "dalle3-palm", "vae-own", "edited", "handbench")
"""Sources that are not unedited photographs; a source that is listed nowhere counts as photographs."""


@dataclass(frozen=True)
class OutsidePicture:
    """A labelled picture.

    Attributes:
        file: Its path.
        right: Whether the hand is anatomical by its label.
        source: Its source in `labels.csv`.
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
        name: The kind of pictures.
        accepted: Share of the correct hands that the judge calls anatomical; None if there are no correct hands.
        rejected: Share of the wrong hands that the judge calls not anatomical; None if there are no wrong hands.
        trusted: Share of all pictures with a trusted verdict.
        area: Area under the ROC curve of the score, which also falls with rotation, strange skin and blur; NaN if there
            are no correct or no wrong hands.
    """

    name: str
    accepted: Rate | None
    rejected: Rate | None
    trusted: Rate
    area: float

    @property
    def balanced(self) -> float:
        """Mean of `accepted` and `rejected`; NaN if one of them is None."""
        if self.accepted is None or self.rejected is None:
            return float("nan")
        return (self.accepted.share + self.rejected.share) / 2


def outside_pictures(root: Path) -> list[OutsidePicture]:
    """List the labelled pictures, without those labelled doubtful (d).

    Args:
        root: Folder with `labels.csv` (columns image, source and label: 1, 0 or d) and the folder `pictures`.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is malformed, or names a picture in another folder.
    """
    table = root / "labels.csv"
    if not table.is_file():
        raise FileNotFoundError(f"--outside must name a folder that holds labels.csv, got {str(root)!r}.")
    rows = [row for row in read_labels(table, ("image", "source", "label")) if row["label"] in ("0", "1")]
    if not rows:
        raise ValueError(f"{str(table)!r} must have a label 0 or 1 in a row, and has none.")
    if odd := [row["scene"] for row in rows if row.get("scene") not in (None, "", *SCENES)]:
        raise ValueError(f"{str(table)!r}: scene must be one of {', '.join(SCENES)} or empty, got {odd[0]!r}.")
    return [
        OutsidePicture(root / "pictures" / row["image"], row["label"] == "1", row["source"], _scene(row))
        for row in rows
    ]


def outside_table(pictures: Sequence[OutsidePicture], judgements: Sequence[Judgement]) -> list[OutsideRow]:
    """Compare verdicts with labels, for all pictures and for each kind."""
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
    return [compare(name, [(one.right, said) for one, said in some]) for name, some in kinds.items() if some]


def write_outside(rows: Sequence[OutsideRow]) -> str:
    """Write the rows as a text table."""
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


def compare(name: str, pairs: Sequence[tuple[bool, Judgement]]) -> OutsideRow:
    """Compare verdicts with the truth, for at least one picture: whether the hand is right, and its judgement."""
    said = {right: [judgement for truth, judgement in pairs if truth is right] for right in (True, False)}
    accepted, rejected = (
        wilson(sum(judgement.anatomical is right for judgement in some), len(some)) if some else None
        for right, some in said.items()
    )
    scores = [[judgement.score for judgement in said[right]] for right in (True, False)]
    area = area_under_curve(*scores) if all(scores) else float("nan")
    return OutsideRow(name, accepted, rejected, wilson(sum(pair[1].trusted for pair in pairs), len(pairs)), area)
