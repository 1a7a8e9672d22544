"""Write the table: one row per sampler and agent, in three parts that fit the width of a page."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from agents.commands.compare.figures import COLUMNS, over_runs
from agents.commands.compare.methods import Cost
from agents.commands.compare.store import MethodRecord
from agents.figures.intervals import Figures, student
from agents.figures.markdown import markdown_table

HANDS, FAILURES = "Right hands, by the reporting judge", "Failures by criterion, by the reporting judge"
PARTS = {
    HANDS: (
        "correct",
        "gain",
        "anatomical",
        "batches_15",
        "batches_19",
        "correct_by_parser",
    ),
    "Against photographs": ("new", "new_by_features", "coverage", "density", "kernel_distance", "sharpness"),
    FAILURES: tuple(name for name in COLUMNS if name.startswith("fails_")),
}
ABSENT = "-"


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        sampler: Name of the sampler.
        agent: Name of the agent.
        runs: Number of runs in which it was measured.
        cost: Cost of one picture; None for photographs.
        figures: Means over runs.
    """

    sampler: str
    agent: str
    runs: int
    cost: Cost | None
    figures: Figures

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return asdict(self)


def make_rows(records: Sequence[MethodRecord]) -> list[Row]:
    """Combine the records of each method over all runs, in the order in which the methods first appear.

    With several runs, the gain over no agent is computed run by run, on the same latents. Its interval is therefore
    narrower than the intervals of the two rates suggest.
    """
    methods: dict[tuple[str, str], list[MethodRecord]] = {}
    for record in records:
        methods.setdefault((record.sampler, record.agent), []).append(record)
    alone = {(r.run_sha256, r.sampler): r.figures for r in records if r.agent == "none" and not r.missing}
    return [_row(found, alone) for found in methods.values()]


def write_table(rows: Sequence[Row], records: Sequence[MethodRecord], above: str) -> str:
    """Write the table in Markdown that is readable as plain text.

    Args:
        rows: The rows from `make_rows`.
        records: The records from which the rows were made.
        above: Text above the table.
    """
    parts = [above]
    for title, names in PARTS.items():
        heads = ["sampler", "agent", "runs", *(COLUMNS[name].heading for name in names)]
        lines = [_labels(row) + [_cell(row, name) for name in names] for row in rows]
        if title == HANDS:
            heads.append("decoded + judged (+ gradients)")
            lines = [[*line, _cost(row)] for line, row in zip(lines, rows, strict=True)]
        parts.append(f"{title}\n\n" + markdown_table(heads, lines))
    return "\n\n".join([*parts, *_notes(rows, records)])


def _row(found: Sequence[MethodRecord], alone: dict[tuple[str, str], Figures]) -> Row:
    first, there = found[0], [record for record in found if not record.missing]
    figures = over_runs([record.figures for record in there]) if there else {}
    pairs = [(record.figures, alone.get((record.run_sha256, record.sampler))) for record in there]
    gains = [mine["correct"].value - other["correct"].value for mine, other in pairs if other]
    if first.agent != "none" and len(gains) == len(there) > 1:
        figures = {**figures, "gain": student(gains)}
    return Row(first.sampler, first.agent, len(there), first.cost, figures)


def _labels(row: Row) -> list[str]:
    return [row.sampler, row.agent, str(row.runs)]


def _cell(row: Row, name: str) -> str:
    if name not in row.figures:
        return ABSENT
    found, column = row.figures[name], COLUMNS[name]
    if name in PARTS[FAILURES]:  # eleven intervals would fill two pages
        return column.number(found.value)
    return column.text(found)


def _cost(row: Row) -> str:
    return str(row.cost) if row.cost and row.runs else ABSENT


def _notes(rows: Sequence[Row], records: Sequence[MethodRecord]) -> list[str]:
    """Return notes on the intervals and on what is left out."""
    notes = []
    counts = {row.runs for row in rows if row.runs}
    if max(counts, default=0) > 1:
        notes.append("Mean over runs (95 % interval by Student's t over runs).")
    if 1 in counts:
        notes.append(
            "Rows of one run: (95 % interval over its pictures: Wilson's for shares, else 1.96 standard deviations "
            "over halves of the pictures)."
        )
    left_out: dict[str, list[str]] = {}
    for record in records:
        if record.missing and record.run not in left_out.setdefault(record.missing, []):
            left_out[record.missing].append(record.run)
    notes += [f"Left out: {why} in {', '.join(runs)}." for why, runs in left_out.items()]
    return notes
