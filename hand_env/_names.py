"""Refuse somebody else's module `vae`, such as a user's own vae.py; `hand_env` imports this before all else."""

import importlib.util
import sys
from pathlib import Path

OURS = Path(__file__).resolve().parents[1]


def check_ours(name: str) -> None:
    """Refuse another module under the name of one of our packages.

    Raises:
        ImportError: If Python finds another one first. If it finds none, the import that follows says so.
    """
    place = _place(name)
    if place is not None and place != OURS / name:
        raise ImportError(
            f"hand_env needs its own package {name!r}, in '{OURS}', but '{place}' is in the way. Rename that one, or "
            "start Python in another folder."
        )


def _place(name: str) -> Path | None:
    """Return the file or the folder of a module, imported or not; None if there is none."""
    if name in sys.modules:
        file = getattr(sys.modules[name], "__file__", None)
    else:
        spec = importlib.util.find_spec(name)
        file = None if spec is None else spec.origin
    if file is None:
        return None
    path = Path(file).resolve()
    return path.parent if path.name == "__init__.py" else path


check_ours("vae")
