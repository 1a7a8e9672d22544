"""Write `handlatent` commands as a user can type them."""

import shlex
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any


def command(*words: object) -> str:
    """Write a `handlatent` command as the user can type it, with the path that started this process."""
    program = sys.argv[0] if Path(sys.argv[0]).name == "handlatent" else "handlatent"
    return shlex.join([program, *map(str, words)])


def typed(name: str, args: Any) -> str:
    """Write the command that gives these settings, a dataclass, as `command` does."""
    return command(name, *given(args))


def given(args: Any) -> list[str]:
    """List the words that give these settings, a dataclass: the run, if there is one, and the flags given."""
    values = {item.name: getattr(args, item.name) for item in fields(args) if getattr(args, item.name) != item.default}
    run = [values.pop("run")] if "run" in values else []
    flags = [word for flag, value in values.items() for word in (f"--{flag.replace('_', '-')}", value)]
    return [str(word) for word in (*run, *flags)]
