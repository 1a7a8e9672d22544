"""Lay out the records of algorithms.py: `python benchmarks/algorithms_tables.py docs/algorithms/algorithms.json`.

With `--plot docs/algorithms/curves.png` it draws the learning curves too. The centre is the interquartile mean over
seeds, with its 95 % bootstrap interval, as rliable has them. Each environment is resampled alone.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from agents.figures.intervals import Column, interquartile
from agents.figures.markdown import markdown_table
from vae.distribution.half_samples import Estimate

RunRecord = dict[str, Any]
NAMES = {"none": "no agent", "sac": "SAC", "td3": "TD3", "ppo": "PPO", "tqc": "TQC", "crossq": "CrossQ"}
RIGHT, SCORE = Column("correct %", 100, 1), Column("mean score", 1, 3)


def tables(records: Sequence[RunRecord]) -> str:
    """Write a table for each environment in Markdown: right hands at the start, halfway and at the end."""
    parts = []
    for environment in _in_order(record["environment"] for record in records):
        own = [record for record in records if record["environment"] == environment]
        parts.append(f"{environment}:\n\n{_table(own)}")
    return "\n\n".join(parts)


def curves(records: Sequence[RunRecord]) -> dict[str, dict[int, Estimate]]:
    """Return each algorithm's share of right hands, in [0, 1], by the number of samples.

    Args:
        records: Those of one environment.

    Raises:
        ValueError: If the seeds of an algorithm were not measured at the same numbers of samples.
    """
    return {name: _curve(own, "correct") for name, own in _by_algorithm(records).items()}


def _by_algorithm(records: Sequence[RunRecord]) -> dict[str, list[RunRecord]]:
    there = {record["algorithm"] for record in records}
    return {name: [own for own in records if own["algorithm"] == name] for name in NAMES if name in there}


def _curve(own: Sequence[RunRecord], figure: str) -> dict[int, Estimate]:
    places = [point["samples"] for point in own[0]["points"]]
    for record in own:
        there = [point["samples"] for point in record["points"]]
        if there != places:
            raise ValueError(
                f"Seed {record['seed']} of {record['algorithm']} was measured at {there} samples, and seed "
                f"{own[0]['seed']} at {places}. Measure all seeds alike."
            )
    return {
        samples: interquartile([record["points"][place][figure] for record in own])
        for place, samples in enumerate(places)
    }


def _table(records: Sequence[RunRecord]) -> str:
    groups = _by_algorithm(records)
    places = _shown(max((list(_curve(own, "correct")) for own in groups.values()), key=len))
    heads = ["algorithm", "seeds", *(f"{RIGHT.heading} at {samples:,}" for samples in places), SCORE.heading]
    lines = []
    for name, own in groups.items():
        right, score = _curve(own, "correct"), _curve(own, "score")
        cells = [_text(RIGHT, right[samples], own) if samples in right else "" for samples in places]
        lines.append([NAMES[name], str(len(own)), *cells, _text(SCORE, score[max(score)], own)])
    return markdown_table(heads, lines)


def _shown(places: Sequence[int]) -> list[int]:
    """Choose the start, the middle and the end."""
    return _in_order(places[place] for place in (0, len(places) // 2, -1))


def _text(column: Column, found: Estimate, own: Sequence[RunRecord]) -> str:
    return column.text(column.clip(found)) if len(own) > 1 else column.number(found.value)


def _in_order(values: Any) -> list[Any]:
    return list(dict.fromkeys(values))


def plot(records: Sequence[RunRecord]) -> Any:
    """Draw the learning curves, one panel for each environment, as a figure of matplotlib."""
    environments = _in_order(record["environment"] for record in records)
    figure = Figure(figsize=(5 * len(environments), 3.6), layout="constrained")
    for axes, environment in zip(figure.subplots(1, len(environments), squeeze=False)[0], environments, strict=True):
        for name, curve in curves([own for own in records if own["environment"] == environment]).items():
            if name == "none":
                axes.axhline(100 * curve[0].value, color="grey", linestyle="dashed", label=NAMES[name])
                continue
            (line,) = axes.plot(list(curve), [100 * found.value for found in curve.values()], label=NAMES[name])
            low, high = ([100 * getattr(found, end) for found in curve.values()] for end in ("low", "high"))
            axes.fill_between(list(curve), low, high, color=line.get_color(), alpha=0.15, linewidth=0)
        axes.set(title=environment, xlabel="samples", ylabel="right hands by the reporting judge, %")
        axes.set_ylim(bottom=0)
        axes.legend(fontsize="small")
    return figure


def main() -> None:
    """Print the tables, and draw the curves if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("json", type=Path)
    parser.add_argument("--plot", type=Path, help="the picture to write, such as curves.png")
    args = parser.parse_args()
    records = json.loads(args.json.read_text(encoding="utf-8"))["runs"]
    print(tables(records))
    if args.plot is not None:
        plot(records).savefig(args.plot, dpi=110)


if __name__ == "__main__":
    main()
