"""Write the pages that repeat what docstrings say: `python docs/make_pages.py` makes docs/HandLatent-v0.md."""

import inspect
from pathlib import Path

from hand_env import HandLatentEnv, HandLatentVectorEnv

PAGE = Path(__file__).parent / "HandLatent-v0.md"


def page() -> str:
    """Return the environment's manual, in both its forms, as Markdown."""
    single, rows = (inspect.getdoc(env) or "" for env in (HandLatentEnv, HandLatentVectorEnv))
    vector = rows.replace("\n## ", "\n### ")
    return (
        "<!-- Made from the docstrings by docs/make_pages.py: change them, not this. -->\n\n"
        f"# HandLatent-v0\n\n{single}\n\n## Vector form\n\n{vector}\n"
    )


if __name__ == "__main__":
    PAGE.write_text(page())
