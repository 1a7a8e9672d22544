"""Read flags, JSON keys, and names of agents and samplers of earlier versions, which had other names.

A FutureWarning gives the new name.
"""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

FLAGS = {
    "--enough": "--refine-below",
    "--make": "--architecture",
    "--passes": "--reencode-passes",
    "--settle": "--final-denoise",
}
WORDS = {("--samplers", "settled"): "denoised"}  # behind a flag
KEYS = {
    "course": "training_log",
    "curve": "training_log",
    "enough": "refine_below",
    "journal": "training_log",
    "passes": "reencode_passes",
    "settle": "final_denoise",
    "settled": "denoised",
}


def with_new_flags(words: Sequence[str]) -> list[str]:
    """Replace old flags and words in a command line by their new names, as "--flag value" and as "--flag=value".

    What stands behind "--" is no flag, and stays.
    """
    end = words.index("--") if "--" in words else len(words)
    new: list[str] = []
    last = ""
    for word in words[:end]:
        flag, equals, value = word.partition("=") if word.startswith("--") else ("", "", word)
        last = flag or last
        new.append(_new_name(flag, FLAGS) + equals + _new_name(value, _words_behind(last)))
    return [*new, *words[end:]]


def _words_behind(flag: str) -> dict[str, str]:
    return {old: new for (behind, old), new in WORDS.items() if behind == flag}


def _new_name(word: str, names: Mapping[str, str]) -> str:
    if word in names:
        warnings.warn(f"{word} is now called {names[word]}.", FutureWarning, stacklevel=3)
    return names.get(word, word)


def with_new_keys(value: Any, source: object) -> Any:
    """Replace old keys by their new names, at any depth.

    Args:
        value: The content of a JSON file.
        source: The file, for the warning.

    Returns:
        A copy with the new keys.
    """
    found: set[str] = set()
    new = _renamed(value, found)
    if found:
        listed = ", ".join(f"{old!r} is now called {KEYS[old]!r}" for old in sorted(found))
        warnings.warn(f"'{source}' is from an earlier version: {listed}.", FutureWarning, stacklevel=2)
    return new


def with_new_agent(config: dict[str, Any], source: object) -> dict[str, Any]:
    """Give SAC over the whole batch its new name, "sac-flat", in a run from before "sac" was the trained agent.

    Args:
        config: The content of a run's config.json. Only newer runs have the setting "agent_weights".
        source: The file, for the warning.

    Returns:
        The same, or a copy with the new name.
    """
    settings = config["settings"]
    if settings.get("agent") != "sac" or "agent_weights" in settings:
        return config
    warnings.warn(
        f"'{source}' is from an earlier version: its agent 'sac' is now called 'sac-flat'.", FutureWarning, stacklevel=2
    )
    return {**config, "settings": {**settings, "agent": "sac-flat"}}


def _renamed(value: Any, found: set[str]) -> Any:
    if isinstance(value, list):
        return [_renamed(item, found) for item in value]
    if not isinstance(value, dict):
        return value
    found |= KEYS.keys() & value.keys()
    return {KEYS.get(key, key): _renamed(item, found) for key, item in value.items()}
