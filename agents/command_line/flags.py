"""Checks and descriptions of flags, which all commands share.

This module does not use simple_parsing's own `field` and `flag`. Importing simple_parsing changes how PyYAML writes an
OrderedDict in the whole process. Then rl_zoo3, which imports `RowPolicy` from `agents`, could not read its own
settings. simple_parsing takes a flag's help from the string below it, so write no comment above the flag.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any, get_args, get_origin, get_type_hints

from hand_env.checks import check_scale
from vae.checks import check_above_zero as above_zero
from vae.checks import check_at_least as at_least
from vae.checks import check_between, check_memory, check_one_of
from vae.checks import check_not_nan as not_nan
from vae.model import IMAGE_SIZES, MAX_LATENT_DIM

RUN = {"positional": True, "custom_args": {"metavar": "RUN"}}
OPTIONAL_RUN = {"positional": True, "custom_args": {"metavar": "[RUN]", "nargs": "?"}}
SWITCH = {"custom_args": {"negative_prefix": "--no-"}}
LARGEST_RATE = 1e6
PREFIXES = ("--", "--no-")  # of a switch
_TYPED = "_typed"  # attribute of settings, no field of theirs


def check_words(words: Sequence[str], commands: Mapping[str, type]) -> None:
    """Refuse a flag or a path whose value is empty: it would be the current folder.

    Args:
        words: The command line, a command's name first.
        commands: The dataclass of each command.

    Raises:
        ValueError: If a value is empty, or is "--", which argparse drops.
    """
    for place, word in enumerate(words):
        name, _, value = word.partition("=")
        if word == "" or (name.startswith("--") and "=" in word and value in ("", "--")):
            behind = name or _taker(words[:place], commands.get(words[0]))
            raise ValueError(f"{behind} must have a value, got {value!r}. Leave it out, or give one.")


def _taker(before: Sequence[str], settings: type | None) -> str:
    """Return what takes the next word: a flag, or what the help calls the words behind no flag, such as "RUN"."""
    items = fields(settings) if settings is not None else ()
    hints = get_type_hints(settings) if settings is not None else {}
    lists = {flag(name) for name, hint in hints.items() if list in (get_origin(hint), *map(get_origin, get_args(hint)))}
    switches = {prefix + name.replace("_", "-") for name, hint in hints.items() if hint is bool for prefix in PREFIXES}
    flags = [(word, place == len(before)) for place, word in enumerate(before, 1) if re.match("--?[a-z]|--$", word)]
    last, adjacent = flags[-1] if flags else ("--", False)
    if last not in switches | {"--"} and "=" not in last and (adjacent or last in lists):
        return last
    named = [item.metadata["custom_args"]["metavar"] for item in items if item.metadata.get("positional")]
    return " or ".join(name.strip("[.] ") for name in named) or "A word"


def check_sizes(args: Any) -> None:
    """Refuse integers that no library can hold.

    Raises:
        ValueError: If an integer has more than 64 bits.
    """
    for item in fields(args):
        value = getattr(args, item.name)
        for one in value if isinstance(value, list | tuple) else [value]:
            if isinstance(one, int) and not -(2**63) <= one < 2**63:
                raise ValueError(f"{flag(item.name)} must lie between -2**63 and 2**63, got {one!r}.")


def flag(name: str) -> str:
    """Return the flag of a field: "--batch-size" for "batch_size"."""
    return "--" + name.replace("_", "-")


def note_typed(args: Any, names: Iterable[str]) -> None:
    """Keep with the settings which of their flags were typed: a value alone does not tell, if it is the default."""
    object.__setattr__(args, _TYPED, frozenset(names))


def was_given(args: Any, name: str) -> bool:
    """Whether a setting was given: typed as a flag, or in Python with another value than its default."""
    default = next(item.default for item in fields(args) if item.name == name)
    return name in getattr(args, _TYPED, ()) or getattr(args, name) != default


def check_at_least(low: int, args: Any, *names: str) -> None:
    """Reject settings below a bound.

    Raises:
        ValueError: If a setting is below the bound.
    """
    at_least(low, **{flag(name): getattr(args, name) for name in names})


def check_above_zero(args: Any, *names: str) -> None:
    """Reject settings that are not finite and above 0.

    Raises:
        ValueError: If a setting is not finite or not above 0.
    """
    above_zero(**{flag(name): getattr(args, name) for name in names})


def check_scales(args: Any, *names: str) -> None:
    """Reject factors of latents or rewards that are not above 0, or that float32 cannot hold.

    Raises:
        ValueError: If a setting is out of its range.
    """
    check_scale(**{flag(name): getattr(args, name) for name in names})


def check_rates(args: Any, *names: str) -> None:
    """Reject learning rates of Adam that are not above 0, or so large that its steps overflow.

    Raises:
        ValueError: If a setting is out of its range.
    """
    check_above_zero(args, *names)
    for name in names:
        check_between(flag(name), getattr(args, name), 0.0, LARGEST_RATE, without="low", advice="Choose a lower one.")


def check_not_nan(args: Any, *names: str) -> None:
    """Reject settings that are NaN.

    Raises:
        ValueError: If a setting is NaN.
    """
    not_nan(**{flag(name): getattr(args, name) for name in names})


def check_vae(args: Any) -> None:
    """Reject a size of pictures or a number of latent dimensions that no VAE has.

    Raises:
        ValueError: If --size or --latent-dim is out of its range.
    """
    check_one_of("--size", args.size, IMAGE_SIZES)
    check_between("--latent-dim", args.latent_dim, 1, MAX_LATENT_DIM, advice="The paper uses 300.")


def check_hands(name: str, n: int, size: int, latent_dim: int, latents: int = 1) -> None:
    """Reject more drawn hands than the memory holds: each has its picture and some latents, at least.

    Args:
        name: The flag of their number.
        n: Their number.
        size: Pixels a side.
        latent_dim: Numbers of a latent.
        latents: Latents of each hand.

    Raises:
        ValueError: If there are too many.
    """
    of = f", each of {latents} draws" if latents > 1 else ""
    check_memory(name, n, 3 * size**2 + 4 * latent_dim * latents, f"hands of {size} pixels{of}")


def check_list(name: str, given: Sequence[object]) -> None:
    """Reject a list that is empty or names a value twice.

    Args:
        name: The flag, without its dashes.
        given: The values.

    Raises:
        ValueError: If there is no value, or one stands twice.
    """
    if not given or len(set(given)) < len(given):
        raise ValueError(f"{flag(name)} must list at least one value, none twice, got {list(given)!r}.")


def check_seed(seed: int, name: str = "--seed") -> None:
    """Reject a seed that some library would not accept.

    Args:
        seed: The seed.
        name: Its flag.

    Raises:
        ValueError: If the seed is not in 0..2**32 - 1.
    """
    check_between(name, seed, 0, 2**32 - 1)
