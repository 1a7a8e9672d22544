"""Read the file in which a command keeps its figures, so that it resumes where it was stopped."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from agents.runs.renamed import with_new_keys
from agents.runs.run_folder import claim_folder
from vae.files import DamagedError, load_hashed_json

Kept = TypeVar("Kept")


def claim_store(path: Path) -> None:
    """Make the folder of a file of figures; it may exist if it holds that file.

    Raises:
        ValueError: If it is not a folder, or holds other files only.
    """
    claim_folder(path.parent, is_own=path.__eq__)


def read_store(
    path: Path,
    settings: dict[str, Any],
    take: Callable[[dict[str, Any]], list[Kept]],
    unsaid: Mapping[str, Any] = {},
    flag: str = "--out",
) -> list[Kept]:
    """Read a file of figures.

    Args:
        path: The JSON file; its "settings" say what the figures depend on.
        settings: The settings of today, as plain values.
        take: Makes the records from the file's content.
        unsaid: Values of settings that files of earlier versions do not name.
        flag: The flag that names the folder, for the errors.

    Returns:
        What `take` returned; nothing if there is no file.

    Raises:
        ValueError: If the file is damaged, or holds figures of other settings.
    """
    if not path.is_file():
        return []
    advice = f"Choose another {flag}; the other files stay in this folder."
    try:
        content = with_new_keys(load_hashed_json(path), path)
        there, records = content["settings"], take(content)
        if not isinstance(there, dict):
            raise TypeError(f"its settings are {there!r}")
    except DamagedError as error:
        raise ValueError(f"{error}. {advice}") from error
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"'{path}' is damaged: {error!r}. {advice}") from error
    for name, value in settings.items() if records else ():
        found = there.get(name, unsaid.get(name))
        if found != value:
            raise ValueError(
                f"{flag} '{path.parent}' holds figures with {name} {found!r}, not {value!r}. Choose another {flag}."
            )
    return records
