"""The commands that a sweep can run, and the final figures that it reads from their runs."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agents.commands.compare.args import CompareArgs
from agents.commands.compare.store import FILE as COMPARED
from agents.commands.recipe.args import RecipeArgs
from agents.commands.refine.args import RefineArgs
from agents.commands.train.args import TrainArgs
from agents.runs.run_folder import REFINE_REPORT, REPORT
from vae.files import load_hashed_json


@dataclass(frozen=True)
class Swept:
    """What a sweep knows of a command.

    Attributes:
        settings: Its dataclass of arguments.
        finished: The file that shows that a run is finished; None if the command can be repeated on a finished one.
        figures: Reads the final figures from a finished run's folder.
    """

    settings: type[Any]
    finished: str | None
    figures: Callable[[Path], dict[str, float]]


def _of_train(run: Path) -> dict[str, float]:
    report = load_hashed_json(run / REPORT)
    names = ("test_loss_nats", "validation_loss_nats", "validation_kl_nats")
    return {
        **{name: report[name] for name in names if name in report},
        "loss_nats": report["last_epoch"]["loss_nats"],
        "images_per_second": report["images_per_second"],
    }


def _of_refine(run: Path) -> dict[str, float]:
    report = load_hashed_json(run / REFINE_REPORT)
    figures = {}
    for name in ("before", "after"):
        figures[f"correct_{name}"] = report["held_out"][name]["reporting_judge"]["correct"]["share"]
    for name in ("before", "after"):
        figures[f"score_{name}"] = report["held_out"][name]["rewarding_judge_score"]
    return figures


def _of_recipe(run: Path) -> dict[str, float]:
    report = load_hashed_json(run / REPORT)
    figures = {name: report[name] for name in ("validation_squared_error", "validation_kl_nats")}
    return figures | (_of_refine(run) if (run / REFINE_REPORT).is_file() else {})


def _of_compare(run: Path) -> dict[str, float]:
    rows = load_hashed_json(run / COMPARED)["table"]
    return {
        f"correct, {row['sampler']}, {row['agent']}": row["figures"]["correct"]["value"]
        for row in rows
        if "correct" in row["figures"]
    }


SWEPT: dict[str, Swept] = {
    "train": Swept(TrainArgs, REPORT, _of_train),
    "refine": Swept(RefineArgs, REFINE_REPORT, _of_refine),
    "recipe": Swept(RecipeArgs, None, _of_recipe),
    "compare": Swept(CompareArgs, None, _of_compare),
}
