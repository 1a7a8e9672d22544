"""The trials of a sweep: one command line for each setting and seed."""

import contextlib
import io
import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, get_origin, get_type_hints

from agents.command_line.flags import flag
from agents.command_line.parser import make_parser
from agents.commands.sweep.args import SweepArgs
from agents.commands.sweep.results import SWEPT

_TAKEN = {"seed": "--seeds", "out": "--out", "resume": "--resume"}  # settings that a sweep gives: (its own flag)


@dataclass(frozen=True)
class Trial:
    """One command line of a sweep.

    Attributes:
        name: Folder of its run below the sweep's: "kl-weight-2/seed-0".
        setting: Its values of the grid, by name.
        seed: Its seed.
        words: The command and its arguments, without --out.
        epochs: How many epochs it trains; 0 if the command has no such setting.
    """

    name: str
    setting: dict[str, str]
    seed: int
    words: tuple[str, ...]
    epochs: int = 0


def make_trials(args: SweepArgs) -> list[Trial]:
    """Write the command line of each setting and seed, and let the command's own parser check it.

    Raises:
        ValueError: If the grid or the command's arguments are wrong.
    """
    command, *given = args.command
    for name, own in _TAKEN.items():
        if any(re.fullmatch(rf"{flag(name)}(=.*)?", word, re.DOTALL) for word in given):
            raise ValueError(f"{flag(name)} belongs to the sweep, not to {command!r}. Use {own}.")
    kind = SWEPT[command].settings
    grid = _grid(args.grid, kind, command)
    settings = [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]
    folders = [_folder(setting) for setting in settings]
    if len(set(folders)) < len(folders):
        raise ValueError(f"--grid must give each setting a folder of its own, got {args.grid!r}. Rename the values.")
    trials = []
    for setting, folder in zip(settings, folders, strict=True):
        for seed in args.seeds:
            words = (command, *_words(kind, setting, given), "--seed", str(seed))
            found = _parsed(kind, words)
            name = "/".join(filter(None, (folder, f"seed-{seed}")))
            trials.append(Trial(name, setting, seed, words, getattr(found, "epochs", 0)))
    return trials


def _grid(given: Sequence[str], kind: type[Any], command: str) -> dict[str, list[str]]:
    """Read the values of each setting, by name."""
    known = {item.name.replace("_", "-") for item in fields(kind)} - _TAKEN.keys()
    grid: dict[str, list[str]] = {}
    for word in given:
        name, equals, listed = word.partition("=")
        name, values = name.lstrip("-").replace("_", "-"), listed.split(",")
        if not equals or name not in known or name in grid:
            raise ValueError(
                f"--grid must name each setting of {command!r} once, as NAME=VALUE,VALUE, got {word!r}. It has "
                f"{', '.join(sorted(known))}."
            )
        if "" in values or len(set(values)) < len(values):
            raise ValueError(f"--grid must list values of {name!r} between commas, none twice, got {listed!r}.")
        grid[name] = values
    return grid


def _words(kind: type[Any], setting: dict[str, str], given: Sequence[str]) -> list[str]:
    """Write the command's arguments: positional ones first, and the grid's flags last, so that they count."""
    items = {item.name.replace("_", "-"): item for item in fields(kind)}
    first, last = [], []
    for name, value in setting.items():
        values = value.split() if get_origin(get_type_hints(kind)[items[name].name]) is list else [value]
        if items[name].metadata.get("positional"):
            first += values
        else:
            last += [flag(name), *values]
    return [*first, *given, *last]


def _parsed(kind: type[Any], words: Sequence[str]) -> Any:
    """Return the settings that a command line gives."""
    parser, said = make_parser({words[0]: kind}, whole=[words[0]], prog="handlatent"), io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            return parser.parse_args(words).settings
    except SystemExit:
        raise ValueError(re.sub(r"^handlatent[^:]*: ", "", said.getvalue().strip())) from None


def _folder(setting: dict[str, str]) -> str:
    """Name a setting's folder by its values of the grid: "kl-weight-2_epochs-20"."""
    return "_".join(re.sub(r"[^\w.+-]+", "-", f"{name}-{value}") for name, value in setting.items())
