"""Names that settings had in earlier versions: old flags and old JSON keys are still read.

Each is reported with a FutureWarning that says what it is called now.
"""

import warnings
from collections.abc import Sequence
from typing import Any

FLAGS = {
    "--enough": "--refine-below",
    "--make": "--architecture",
    "--passes": "--reencode-passes",
    "--settle": "--final-denoise",
}
KEYS = {
    "course": "training_log",
    "curve": "training_log",
    "enough": "refine_below",
    "journal": "training_log",
    "passes": "reencode_passes",
    "settle": "final_denoise",
}


def with_new_flags(words: Sequence[str]) -> list[str]:
    """Replace old flags of a command line by what they are called now; "--flag=value" too."""
    new = []
    for word in words:
        flag, equals, value = word.partition("=")
        if flag in FLAGS:
            warnings.warn(f"{flag} is now called {FLAGS[flag]}.", FutureWarning, stacklevel=2)
            flag = FLAGS[flag]
        new.append(flag + equals + value)
    return new


def with_new_keys(value: Any, source: object) -> Any:
    """Replace old keys by what they are called now, at any depth.

    Args:
        value: What a JSON file holds.
        source: The file, for the warning.

    Returns:
        A copy with the new keys.
    """
    found: set[str] = set()
    new = _renamed(value, found)
    if found:
        listed = ", ".join(f"{old!r} is now called {KEYS[old]!r}" for old in sorted(found))
        warnings.warn(f"'{source}' is of an earlier version: {listed}.", FutureWarning, stacklevel=2)
    return new


def _renamed(value: Any, found: set[str]) -> Any:
    if isinstance(value, list):
        return [_renamed(item, found) for item in value]
    if not isinstance(value, dict):
        return value
    found |= KEYS.keys() & value.keys()
    return {KEYS.get(key, key): _renamed(item, found) for key, item in value.items()}
