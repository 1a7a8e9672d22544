"""Spell `handlatent` commands as a user can type them."""

import shlex
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any


def command(*words: object) -> str:
    """Spell a `handlatent` command as the user can type it, by the path that this one was started with."""
    program = sys.argv[0] if Path(sys.argv[0]).name == "handlatent" else "handlatent"
    return shlex.join([program, *map(str, words)])


def typed(name: str, args: Any) -> str:
    """Spell the command that settings, a dataclass, came from, as `command` does."""
    return command(name, *given(args))


def given(args: Any) -> list[str]:
    """List the words that settings, a dataclass, are typed as: their run, if they have one, and the flags given."""
    values = {item.name: getattr(args, item.name) for item in fields(args) if getattr(args, item.name) != item.default}
    run = [values.pop("run")] if "run" in values else []
    flags = [word for flag, value in values.items() for word in (f"--{flag.replace('_', '-')}", value)]
    return [str(word) for word in (*run, *flags)]
