"""Write the pages that repeat what the code says: `python docs/make_pages.py`.

It makes docs/Hand*-v0.md from the environments' docstrings, and the second half of docs/cli.md from the dataclasses of
arguments and the columns of the training log.
"""

import inspect
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from simple_parsing.docstring import get_attribute_docstring

from agents.cli import COMMANDS
from agents.runs.training_log import METRICS
from hand_env import (
    HandLatentEnv,
    HandLatentVectorEnv,
    HandRefineEnv,
    HandRefineVectorEnv,
    HandScheduleEnv,
    HandScheduleVectorEnv,
)

FORMS: dict[str, tuple[type[Any], type[Any]]] = {
    "HandLatent-v0": (HandLatentEnv, HandLatentVectorEnv),
    "HandRefine-v0": (HandRefineEnv, HandRefineVectorEnv),
    "HandSchedule-v0": (HandScheduleEnv, HandScheduleVectorEnv),
}
CLI = "cli"
PAGES = {  # the page on a command, where it has one
    "recipe": "recipe.md",
    "compare": "compare.md",
    "blind": "compare.md#by-eye-on-blind-sheets",
    "curriculum": "learning.md",
    "schedule": "learning.md#how-the-agent-was-trained",
    "sweep": "sweep.md",
    "hub": "hub.md",
    "demo": "demo.md",
    "judge": "judge.md",
}
MARK = "<!-- From here on made from the arguments by docs/make_pages.py: change them, not this. -->\n"


def path(name: str) -> Path:
    """Return where a page lies."""
    return Path(__file__).parent / f"{name}.md"


def page(name: str) -> str:
    """Return a page as Markdown: an environment's manual, in both its forms, or the command line's."""
    if name == CLI:
        written, _, _ = path(CLI).read_text(encoding="utf-8").partition(MARK)
        return written + MARK + "\n" + "\n".join([*map(command_section, COMMANDS), log_section()])
    single, rows = (inspect.getdoc(env) or "" for env in FORMS[name])
    vector = rows.replace("\n## ", "\n### ")
    return (
        "<!-- Made from the docstrings by docs/make_pages.py: change them, not this. -->\n\n"
        f"# {name}\n\n{single}\n\n## Vector form\n\n{vector}\n"
    )


def command_section(name: str) -> str:
    """Return a command's summary and the table of its flags."""
    settings = COMMANDS[name][0]
    kinds = get_type_hints(settings)
    rows = [_row(settings, field, kinds[field.name]) for field in fields(settings)]
    usage = " ".join(["handlatent", name, *(row[0].strip("`") for row in rows if not row[0].startswith("`-"))])
    lines = [("argument", "meaning", "default"), ("---",) * 3, *rows]
    table = "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
    more = PAGES.get(name.split()[0].split("-")[0])
    link = f" See [its page]({more})." if more else ""
    return f"### {name}\n\n`{usage}`\n\n{inspect.getdoc(settings)}{link}\n\n{table}\n"


def log_section() -> str:
    """Return the table of the columns of metrics.csv."""
    rows = [("column", "unit", "good"), ("---",) * 3]
    rows += [(f"`{name}`", unit, "" if good == "-" else good) for name, (unit, good) in METRICS.items()]
    table = "\n".join("| " + " | ".join(cells) + " |" for cells in rows)
    return (
        "## Columns of metrics.csv\n\n`handlatent train` writes a row for each epoch. TensorBoard shows the same "
        f"figures without the ends of intervals. A cell that was not measured is empty.\n\n{table}\n"
    )


def _row(settings: type[Any], field: Field[Any], kind: Any) -> tuple[str, str, str]:
    found = get_attribute_docstring(settings, field.name)
    meaning = " ".join(found.docstring_below.split()).replace("|", "\\|")
    if choices := _choices(kind):
        meaning += " Choices: " + ", ".join(f"`{choice}`" for choice in choices) + "."
    return f"`{_name(field)}`", meaning, _default(field)


def _name(field: Field[Any]) -> str:
    if field.metadata.get("positional"):
        return str(field.metadata["custom_args"]["metavar"])
    words = field.name.replace("_", "-")
    name = f"--{words}" if len(words) > 1 else f"-{words}, --{words}"
    return f"{name}, --no-{words}" if "negative_prefix" in field.metadata.get("custom_args", {}) else name


def _choices(kind: Any) -> tuple[Any, ...]:
    """Return the values that a type allows, where it names them."""
    return get_args(kind) if get_origin(kind) is Literal else ()


def _default(field: Field[Any]) -> str:
    if field.default_factory is not MISSING:
        listed = " ".join(map(str, field.default_factory()))
        return f"`{listed}`" if listed else "none"
    if field.default is MISSING:
        return "required"
    if field.default is None:
        return ""
    if isinstance(field.default, bool):
        return "yes" if field.default else "no"
    return f"`{field.default}`"


if __name__ == "__main__":
    for each in [*FORMS, CLI]:
        path(each).write_text(page(each), encoding="utf-8")
