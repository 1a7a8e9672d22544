"""Write `handlatent` commands as a user can type them."""

import shlex
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any


def command(*words: object) -> str:
    """Write a `handlatent` command as the user can type it, with the path that started this process."""
    program = sys.argv[0] if Path(sys.argv[0]).name == "handlatent" else "handlatent"
    return shlex.join([program, *map(_plain, words)])


def typed(name: str, args: Any) -> str:
    """Write the command that gives these settings, a dataclass, as `command` does."""
    return command(name, *given(args))


def given(args: Any) -> list[str]:
    """List the words that give these settings, a dataclass: the run, if there is one, and the flags given.

    A value that begins with a dash, and is no path, stands behind "=": the command line would take it for a flag.
    """
    values = {item.name: getattr(args, item.name) for item in fields(args) if getattr(args, item.name) != item.default}
    run = [values.pop("run")] if "run" in values else []
    words = [_plain(value) for value in run]
    for name, value in values.items():
        flag = f"--{name.replace('_', '-')}"
        word = _plain(value)
        words += [f"{flag}={word}"] if word.startswith("-") else [flag, word]
    return words


def _plain(value: object) -> str:
    """Write a value. A path that begins with a dash gets "./" before it."""
    return f"./{value}" if isinstance(value, Path) and str(value).startswith("-") else str(value)
