"""Lay out the tables of recipe.md and learning.md: `python docs/make_tables.py docs/recipe/*.json`.

A compare.json becomes a table of the recipe, and a curriculum.json the tables of what acting on the latents does.
"""

import json
import sys
from pathlib import Path
from typing import Any

from agents.commands.compare import Cost
from agents.commands.compare.figures import COLUMNS
from agents.commands.curriculum.store import read_records
from agents.commands.curriculum.table import make_tables

OF_CURRICULUM = ("correct", "new", "sharpness")  # the command itself prints more
Figures = dict[str, dict[str, float]]  # value, low and high of each
BY_FEATURES = "new by features %"  # a column that records of earlier versions lack
HEADS = (
    "sampler",
    "agent",
    "correct %",
    "more than none, points",
    "anatomical %",
    "batches with >= 15, >= 19 of 20 right, %",
    "decoded + judged (+ gradients)",
    "new %",
    BY_FEATURES,
    "coverage",
    "density",
    "kernel distance",
    "sharpness",
    "fails by criterion, the three most frequent, %",
)


def table(content: dict[str, Any]) -> str:
    """Return a file's tables as Markdown; those of the recipe have intervals for shares of right hands alone."""
    if "table" not in content:
        return make_tables(read_records(content), OF_CURRICULUM)
    rows = [row for row in content["table"] if row["figures"]]
    alone = {row["sampler"]: row["figures"] for row in rows if row["agent"] == "none"}
    lines = [HEADS, ("---",) * len(HEADS), *(_cells(row, alone.get(row["sampler"])) for row in rows)]
    if not any("new_by_features" in row["figures"] for row in rows):  # of an earlier version
        lines = [[cell for head, cell in zip(HEADS, line, strict=True) if head != BY_FEATURES] for line in lines]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def _cells(row: dict[str, Any], alone: Figures | None) -> list[str]:
    figures = row["figures"]

    return [
        row["sampler"],
        row["agent"],
        _with_interval(figures, "correct"),
        _gain(figures, alone, row["agent"]),
        _with_interval(figures, "anatomical"),
        f"{_value(figures, 'batches_15')}, {_value(figures, 'batches_19')}",
        str(Cost(**row["cost"])) if row["cost"] else "",
        *(
            _value(figures, name)
            for name in ("new", "new_by_features", "coverage", "density", "kernel_distance", "sharpness")
        ),
        _failures(figures),
    ]


def _value(figures: Figures, name: str, of: str = "value") -> str:
    column = COLUMNS[name]
    return f"{column.times * figures[name][of]:.{column.digits}f}" if name in figures else ""


def _with_interval(figures: Figures, name: str) -> str:
    return f"{_value(figures, name)} ({_value(figures, name, 'low')} to {_value(figures, name, 'high')})"


def _gain(figures: Figures, alone: Figures | None, agent: str) -> str:
    """Say how much more is right than as drawn: over several runs with its interval."""
    if alone is None or agent == "none":
        return ""
    if "gain" in figures:
        return _with_interval(figures, "gain")
    return _value({"gain": {"value": figures["correct"]["value"] - alone["correct"]["value"]}}, "gain")


def _failures(figures: Figures) -> str:
    """Name the criteria that most pictures fail, but none that fewer than one in 1,000 do."""
    shares = {name: found["value"] for name, found in figures.items() if name.startswith("fails_")}
    most = sorted(shares, key=lambda name: -shares[name])[:3]
    return ", ".join(f"{name.removeprefix('fails_')} {_value(figures, name)}" for name in most if shares[name] >= 0.001)


if __name__ == "__main__":
    for name in sys.argv[1:]:
        print(table(json.loads(Path(name).read_text())), end="\n\n")
