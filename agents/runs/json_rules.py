"""Rules for the values in a JSON file, each with its words for the message."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, get_args, get_origin

from vae.files import DamagedError

Rule = tuple[str, Callable[[Any], bool]]


def _is_number(value: Any) -> bool:
    """Whether a value is a number that a float can hold."""
    try:
        return type(value) is float or (type(value) is int and math.isfinite(value))
    except OverflowError:  # of an integer
        return False


TEXT: Rule = ("a text", lambda value: isinstance(value, str))
NUMBER: Rule = ("a finite number", lambda value: _is_number(value) and math.isfinite(value))
OBJECT: Rule = ("an object", lambda value: isinstance(value, dict))
LIST: Rule = ("a list", lambda value: isinstance(value, list))
OBJECTS: Rule = (
    "a list of objects",
    lambda value: isinstance(value, list) and all(isinstance(item, dict) for item in value),
)
NUMBERS: Rule = (
    "an object of numbers",
    lambda value: isinstance(value, dict) and all(_is_number(item) for item in value.values()),
)


def whole(low: int, high: int) -> Rule:
    """Allow the integers from `low` to `high`."""
    return f"an integer in {low}..{high}", lambda value: type(value) is int and low <= value <= high


def one_of(*choices: object) -> Rule:
    """Allow these values, each of its own type."""
    return f"one of {', '.join(map(repr, choices))}", lambda value: any(
        type(value) is type(choice) and value == choice for choice in choices
    )


_OF_TYPES: dict[Any, Rule] = {
    int: whole(-(2**63), 2**63 - 1),
    float: NUMBER,
    str: TEXT,
    Path: TEXT,
    NoneType: ("null", lambda value: value is None),
}


def of_type(hint: Any) -> Rule:
    """Allow what JSON holds for a value of this type: a field of a dataclass of arguments."""
    if get_origin(hint) is Literal:
        return one_of(*get_args(hint))
    if get_origin(hint) is UnionType:
        rules = [of_type(part) for part in get_args(hint)]
        return " or ".join(text for text, _ in rules), lambda value: any(holds(value) for _, holds in rules)
    return _OF_TYPES[hint]


def check_rules(path: Path, content: Any, rules: Mapping[str, Rule]) -> None:
    """Check values of a JSON file.

    Args:
        path: The file, for the message.
        content: What it holds.
        rules: The rule for each value, by its keys with dots between them.

    Raises:
        DamagedError: If a value is missing or breaks its rule.
    """
    for name, (text, holds) in rules.items():
        value = content
        for key in name.split("."):
            if not isinstance(value, dict) or key not in value:
                raise DamagedError(f"'{path}' is damaged: {name} must be {text}, and it is missing")
            value = value[key]
        if not holds(value):
            raise DamagedError(f"'{path}' is damaged: {name} must be {text}, got {value!r:.80}")
