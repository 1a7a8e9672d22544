"""Write the pages that repeat what docstrings say: `python docs/make_pages.py` makes docs/Hand*-v0.md."""

import inspect
from pathlib import Path
from typing import Any

from hand_env import HandLatentEnv, HandLatentVectorEnv, HandRefineEnv, HandRefineVectorEnv

FORMS: dict[str, tuple[type[Any], type[Any]]] = {
    "HandLatent-v0": (HandLatentEnv, HandLatentVectorEnv),
    "HandRefine-v0": (HandRefineEnv, HandRefineVectorEnv),
}


def path(name: str) -> Path:
    """Return where an environment's page lies."""
    return Path(__file__).parent / f"{name}.md"


def page(name: str) -> str:
    """Return an environment's manual, in both its forms, as Markdown."""
    single, rows = (inspect.getdoc(env) or "" for env in FORMS[name])
    vector = rows.replace("\n## ", "\n### ")
    return (
        "<!-- Made from the docstrings by docs/make_pages.py: change them, not this. -->\n\n"
        f"# {name}\n\n{single}\n\n## Vector form\n\n{vector}\n"
    )


if __name__ == "__main__":
    for each in FORMS:
        path(each).write_text(page(each))
