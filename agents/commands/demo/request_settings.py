"""Read what the page sends: JSON that must hold a job's settings, and nothing else."""

import json
from dataclasses import MISSING, fields
from typing import Any, TypeVar, get_type_hints

from agents.runs.json_rules import Rule, of_type

Settings = TypeVar("Settings")

_NUMBER = of_type(float)[1]
_IN_FORMS: dict[Any, Rule] = {
    int: ("an integer", lambda value: type(value) is int),
    list[float]: ("a list of numbers", lambda value: isinstance(value, list) and all(map(_NUMBER, value))),
}


def read_form(kind: type[Settings], content: bytes) -> Settings:
    """Build a job's settings, a dataclass, from JSON.

    Args:
        kind: The dataclass; fields without a default must be given.
        content: What the page sent.

    Returns:
        The settings.

    Raises:
        ValueError: If the content is no JSON object, a name is unknown, or a value is missing or wrong.
    """
    try:
        given = json.loads(content)
    except (ValueError, RecursionError):
        raise ValueError("The settings must be JSON, and they are not. Reload the page.") from None
    if not isinstance(given, dict):
        raise ValueError(f"The settings must be a JSON object, got {type(given).__name__}. Reload the page.")
    hints: dict[str, Any] = get_type_hints(kind)
    for name in given:
        if name not in hints:
            raise ValueError(f"There is no setting {name!r:.80}. The settings are {', '.join(hints)}.")
    for item in fields(kind):  # type: ignore[arg-type]  # typing has no name for "a dataclass"
        text, holds = _IN_FORMS.get(hints[item.name]) or of_type(hints[item.name])
        if item.name not in given:
            if item.default is MISSING and item.default_factory is MISSING:
                raise ValueError(f"{item.name} must be {text}, and it is missing.")
        elif not holds(given[item.name]):
            raise ValueError(f"{item.name} must be {text}, got {given[item.name]!r:.80}.")
    try:
        return kind(**given)
    except TypeError as error:
        raise ValueError(str(error)) from error
