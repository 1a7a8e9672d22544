"""The parser of `handlatent`, and of a command inside another one: one subcommand for each dataclass of arguments."""

import argparse
import re
from argparse import Action, Namespace
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from simple_parsing import ArgumentParser, DashVariant
from simple_parsing.helpers.custom_actions import BooleanOptionalAction

NEGATIVE = re.compile(r"-(inf|(\d+\.?\d*|\.\d+)(e[+-]?\d+)?)$", re.IGNORECASE)


class _Value(Action):
    """Store what stands behind a flag. It must be there, where simple_parsing would take a flag alone for None."""

    def __init__(self, option_strings: Sequence[str], dest: str, nargs: str | int | None = None, **given: Any) -> None:
        if option_strings and nargs == "?":
            nargs = None  # exactly one
        super().__init__(option_strings, dest, nargs, **given)

    def __call__(self, parser: Any, namespace: Namespace, values: Any, option_string: str | None = None) -> None:
        setattr(namespace, self.dest, values)
        _note(namespace, self.dest, option_string)


class _Switch(argparse.BooleanOptionalAction):
    """Turn a switch on or off. It takes no value, where simple_parsing's own takes the next word for one."""

    def __init__(self, option_strings: Sequence[str], dest: str, **given: Any) -> None:
        known = {name: given[name] for name in ("default", "required", "help") if name in given}
        super().__init__(option_strings, dest, **known)

    def __call__(self, parser: Any, namespace: Namespace, values: Any, option_string: str | None = None) -> None:
        super().__call__(parser, namespace, values, option_string)
        _note(namespace, self.dest, option_string)


def _note(namespace: Namespace, dest: str, option_string: str | None) -> None:
    """Keep the name of a setting whose flag was typed; "settings.epochs" is its destination."""
    if option_string is not None:
        namespace.typed = getattr(namespace, "typed", frozenset()) | {dest.rpartition(".")[2]}


class CommandParser(ArgumentParser):
    """An argument parser whose errors are one sentence."""

    def __init__(self, **settings: Any) -> None:
        """Take argparse's settings."""
        super().__init__(**settings)
        self._negative_number_matcher = NEGATIVE  # argparse's own takes "-1e9" and "-inf" for flags
        for name in (None, "store"):
            self.register("action", name, _Value)
        self.register("action", BooleanOptionalAction, _Switch)

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        """End the process. With a message, the status is never 0: simple_parsing has errors that it ends with 0."""
        super().exit(2 if message and not status else status, message)

    def error(self, message: str) -> NoReturn:
        """Say what is wrong in one sentence, without the usage, and exit with status 2."""
        message = re.sub(r"ignored explicit argument (.*)", r"takes no value, got \1. Leave it out.", message)
        self.exit(2, f"{self.prog}: {message}\n")


def make_parser(commands: Mapping[str, type], whole: Sequence[str] = (), **settings: Any) -> CommandParser:
    """Make a parser that gives `command`, a name, and `settings`, an instance of that command's dataclass.

    Where flags were typed it also gives `typed`, the names of their settings.

    Args:
        commands: The dataclass of each command; its docstring is the command's summary.
        whole: Commands whose flags must be written out: they pass on the flags that they do not know.
        settings: Settings of argparse.
    """
    parser = CommandParser(**settings)
    choices = parser.add_subparsers(dest="command", required=True, metavar="{" + ",".join(commands) + "}")
    for name, kind in commands.items():
        summary = (kind.__doc__ or "").strip()
        command = choices.add_parser(
            name, help=summary, add_option_string_dash_variants=DashVariant.DASH, allow_abbrev=name not in whole
        )
        command.add_arguments(kind, dest="settings")
    return parser
