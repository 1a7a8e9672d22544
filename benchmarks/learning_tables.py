"""Format the records of learning.py as tables: `python benchmarks/learning_tables.py docs/loss/study.json`."""

import argparse
import json
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from agents.figures.intervals import student


def tables(records: list[dict[str, Any]]) -> str:
    """Format the records as Markdown: a row for each run, a column for each agent, means over seeds."""
    unsteered: dict[Any, float] = {}  # the validation loss with no agent, for the same N, VAE and seed
    chosen: dict[Any, float] = {}  # the score of SAC with the chosen settings, for the same
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = defaultdict(list)
    for record in records:
        run = record["run"]
        groups[run["label"], run["n"], run["regime"]].append(record)
        where = run["n"], run["regime"], run["seed"]
        if "none" in record["result"]:
            unsteered[where] = record["result"]["none"]["validation loss"]
        if "SAC" in record["result"] and run["label"] == "chosen":
            chosen[where] = record["result"]["SAC"]["counterfactual"]
    agents = list(dict.fromkeys(agent for record in records for agent in record["result"]))
    head = ["run", "N", "VAE", "seeds", *agents]

    def lay_out(cell: Callable[[dict[str, Any], str], float | None]) -> str:
        lines = ["| " + " | ".join(head) + " |", "| --- " * len(head) + "|"]
        for (label, n, regime), group in groups.items():
            cells = [interval([cell(record, agent) for record in group]) for agent in agents]
            seeds = len({record["run"]["seed"] for record in group})
            if any(cells):
                lines.append("| " + " | ".join([label, str(n), regime, str(seeds), *cells]) + " |")
        return "\n".join(lines)

    def measure(name: str) -> Callable[[dict[str, Any], str], float | None]:
        return lambda record, agent: record["result"].get(agent, {}).get(name)

    def less(name: str, others: dict[Any, float]) -> Callable[[dict[str, Any], str], float | None]:
        def difference(record: dict[str, Any], agent: str) -> float | None:
            run, value = record["run"], measure(name)(record, agent)
            other = others.get((run["n"], run["regime"], run["seed"]))
            held_still = name == "validation loss" and run["regime"] == "frozen"
            return None if value is None or other is None or held_still else value - other

        return difference

    parts = {
        "Counterfactual, nats a picture, higher is better": measure("counterfactual"),
        "The same minus the score of the chosen SAC, on the same VAE": less("counterfactual", chosen),
        "Counterfactual on photographs of people that SAC did not learn on": measure("on other people's"),
        "Loss on other people's photographs after the episode, minus the loss with no agent; both without an action, "
        "nats a picture, lower is better": less("validation loss", unsteered),
        "Milliseconds to predict a batch of 16 rows, one thread": measure("ms to predict"),
        "Seconds to learn, one thread": measure("seconds to learn"),
    }
    laid_out = {heading: lay_out(cell) for heading, cell in parts.items()}
    return "\n\n".join(f"{heading}:\n\n{table}" for heading, table in laid_out.items() if table.count("\n") > 1) + "\n"


def interval(values: list[float | None]) -> str:
    """Format the mean over seeds and its 95 % interval, Student's t."""
    known = [value for value in values if value is not None]
    if not known:
        return ""
    if len(known) == 1:
        return f"{known[0]:.1f}"
    mean = student(known)
    return f"{mean.value + 0.0:.1f} ({mean.low + 0.0:.1f} to {mean.high + 0.0:.1f})"


def main() -> None:
    """Print the tables of a file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("records", metavar="RECORDS", type=Path, help="what learning.py wrote: docs/loss/study.json")
    args = parser.parse_args()
    if not args.records.is_file():
        parser.error(f"RECORDS must be a file that learning.py wrote, got {str(args.records)!r}.")
    print(tables(json.loads(args.records.read_text(encoding="utf-8"))))


if __name__ == "__main__":
    main()
