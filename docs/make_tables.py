"""Lay compare.json files out as the tables of recipe.md: `python docs/make_tables.py docs/recipe/*.json`."""

import json
import sys
from pathlib import Path
from typing import Any

from agents.compare import Cost

HEADS = (
    "sampler",
    "agent",
    "correct %",
    "more than none, points",
    "anatomical %",
    "batches with >= 15, >= 19 of 20 right, %",
    "decoded + judged (+ gradients)",
    "new %",
    "coverage",
    "density",
    "kernel distance",
    "sharpness",
    "fails by criterion, the three most frequent, %",
)


def table(content: dict[str, Any]) -> str:
    """Return a compare.json's table as Markdown, intervals for shares of right hands alone."""
    rows = [row for row in content["table"] if row["figures"]]
    alone = {row["sampler"]: row["figures"]["correct"] for row in rows if row["agent"] == "none"}
    lines = [HEADS, ["---"] * len(HEADS), *(_cells(row, alone.get(row["sampler"])) for row in rows)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def _cells(row: dict[str, Any], alone: dict[str, float] | None) -> list[str]:
    figures = row["figures"]

    def show(name: str, times: float = 1, digits: int = 2) -> str:
        return f"{times * figures[name]['value']:.{digits}f}" if name in figures else ""

    return [
        row["sampler"],
        row["agent"],
        _with_interval(figures["correct"]),
        _gain(row, alone),
        _with_interval(figures["anatomical"]),
        f"{show('batches_15', 100, 0)}, {show('batches_19', 100, 0)}",
        str(Cost(**row["cost"])) if row["cost"] else "",
        show("new", 100, 1),
        show("coverage"),
        show("density"),
        show("kernel_distance", 1000, 1),
        show("sharpness"),
        _failures(figures),
    ]


def _with_interval(share: dict[str, float]) -> str:
    value, low, high = (f"{100 * share[name]:.1f}" for name in ("value", "low", "high"))
    return f"{value} ({low} to {high})"


def _gain(row: dict[str, Any], alone: dict[str, float] | None) -> str:
    """Say how much more is right than as drawn: over several runs with its interval."""
    if alone is None or row["agent"] == "none":
        return ""
    if "gain" in row["figures"]:
        return _with_interval(row["figures"]["gain"])
    return f"{100 * (row['figures']['correct']['value'] - alone['value']):.1f}"


def _failures(figures: dict[str, dict[str, float]]) -> str:
    """Name the criteria that most pictures fail, but none that fewer than one in 1,000 do."""
    shares = {
        name.removeprefix("fails_"): 100 * figures[name]["value"] for name in figures if name.startswith("fails_")
    }
    most = sorted(shares, key=lambda name: -shares[name])[:3]
    return ", ".join(f"{name} {shares[name]:.1f}" for name in most if shares[name] >= 0.1)


if __name__ == "__main__":
    for name in sys.argv[1:]:
        print(table(json.loads(Path(name).read_text())), end="\n\n")
