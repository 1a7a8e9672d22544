"""Check numbers and pictures that a caller gave; `hand_env.checks` checks what environments are given beyond these."""

import math
import operator
import os
from collections.abc import Iterable
from numbers import Real
from typing import Any, Literal

import torch
from torch import Tensor

LARGEST_SEED = 2**63 - 1


def integer(name: str, value: Any, low: int | None = None, high: int | None = None) -> int:
    """Return an integer of any kind, such as NumPy's, as Python's own.

    Args:
        name: Name of the value, for the message.
        value: Should be an integer.
        low: The smallest value allowed; None for no bound.
        high: The largest value allowed; None for no bound.

    Raises:
        TypeError: If it is no integer.
        ValueError: If it is out of its range.
    """
    try:
        found = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an integer, got {value!r}.") from None
    if low is not None and found < low:
        raise ValueError(f"{name} must be at least {low}, got {value!r}.")
    if high is not None and found > high:
        raise ValueError(f"{name} must be at most {high}, got {value!r}.")
    return found


def check_bool(**values: bool) -> None:
    """Refuse anything but True and False.

    Raises:
        TypeError: If a value is something else.
    """
    for name, value in values.items():
        if not isinstance(value, bool):
            raise TypeError(f"{name} must be True or False, got {value!r}.")


def check_between(
    name: str, value: float, low: float, high: float, *, without: Literal["", "low", "high"] = "", advice: str = ""
) -> None:
    """Refuse a number out of its range, and NaN.

    Args:
        name: Name of the value, for the message.
        value: The number.
        low: The smallest value allowed. Integers are written as 0..9, other numbers as [0, 9].
        high: The largest value allowed.
        without: The bound that is not allowed itself.
        advice: What the message says at its end.

    Raises:
        ValueError: If the number is out of its range.
    """
    inside = low <= value <= high and value != {"low": low, "high": high}.get(without)
    if not inside:
        ends = "[]" if not without else "(]" if without == "low" else "[)"
        allowed = f"{low}..{high}" if isinstance(low, int) else f"{ends[0]}{low:g}, {high:g}{ends[1]}"
        raise ValueError(f"{name} must lie in {allowed}, got {value!r}.{advice and ' ' + advice}")


def check_above_zero(**values: float) -> None:
    """Refuse numbers that are not finite and above 0.

    Raises:
        TypeError: If a value is no number.
        ValueError: If a value is not finite or not above 0.
    """
    for name, value in values.items():
        if not isinstance(value, Real):
            raise TypeError(f"{name} must be a finite number above 0, got {value!r}.")
        if not 0 < value < math.inf:
            raise ValueError(f"{name} must be a finite number above 0, got {value!r}.")


def check_at_least(low: int, **values: float) -> None:
    """Refuse numbers below a bound, or not finite.

    Raises:
        ValueError: If a value is.
    """
    for name, value in values.items():
        if not math.isfinite(value):
            raise ValueError(f"{name} must be a finite number, got {value!r}.")
        if value < low:
            raise ValueError(f"{name} must be at least {low}, got {value!r}.")


def check_not_nan(**values: float) -> None:
    """Refuse NaN, which passes every check of a bound.

    Raises:
        ValueError: If a value is NaN.
    """
    for name, value in values.items():
        if math.isnan(value):
            raise ValueError(f"{name} must be a number, or 'inf', got {value!r}.")


def check_one_of(name: str, value: object, choices: Iterable[object], *, advice: str = "") -> None:
    """Refuse anything but one of some values, each of its own type.

    Args:
        name: Name of the value, for the message.
        value: The value.
        choices: The values allowed.
        advice: What the message says at its end.

    Raises:
        ValueError: If it is none of them.
    """
    allowed = list(choices)
    if not any(isinstance(value, type(choice)) and value == choice for choice in allowed):
        listed = ", ".join(map(repr, allowed))
        raise ValueError(f"{name} must be one of {listed}, got {value!r:.80}.{advice and ' ' + advice}")


def check_memory(name: str, n: int, bytes_each: int, things: str) -> None:
    """Refuse more things than the computer's memory can hold.

    Args:
        name: Name of their number, for the message.
        n: Their number.
        bytes_each: What each takes, at least.
        things: What the message calls them.

    Raises:
        ValueError: If there are too many. On Windows, which does not say how much memory it has, there never are.
    """
    if not hasattr(os, "sysconf"):
        return
    most = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // bytes_each
    if n > most:
        raise ValueError(f"{name} must be at most {most}: this computer's memory holds no more {things}; got {n!r}.")


def check_numbers(name: str, state: Any) -> None:
    """Refuse tensors in nested dicts and lists that hold anything but finite real numbers.

    Args:
        name: What the state is called, for the message.
        state: Dicts and lists of anything; other parts than tensors are not looked at.

    Raises:
        ValueError: If a tensor is complex, or a number is not finite.
    """
    if isinstance(state, Tensor) and (state.is_complex() or not state.isfinite().all()):
        raise ValueError(f"{name!r} must hold finite real numbers.")
    items = state.items() if isinstance(state, dict) else enumerate(state) if isinstance(state, list) else ()
    for key, value in items:
        check_numbers(f"{name}.{key}", value)


def check_images(images: Tensor, size: int, batch_size: int, name: str = "images") -> None:
    """Reject pictures that a `Trainer` cannot use.

    Args:
        images: Should be (image, 3, size, size) uint8.
        size: Pixels a side.
        batch_size: B, the smallest number of pictures allowed.
        name: What the message calls them.

    Raises:
        TypeError: If they are no tensor.
        ValueError: If the shape or type is wrong, or the pictures are too few.
    """
    if not isinstance(images, Tensor):
        raise TypeError(
            f"{name} must be a torch.Tensor, got {type(images).__name__}. Turn an array into one with "
            "torch.from_numpy, and take the pixels of an ImageSet."
        )
    if images.dtype != torch.uint8 or images.shape[1:] != (3, size, size):
        raise ValueError(
            f"{name} must be uint8 of shape (image, 3, {size}, {size}), got {images.dtype} {tuple(images.shape)}. "
            "Read them with vae.images.load_images(root, size).pixels."
        )
    if len(images) < batch_size:
        raise ValueError(
            f"batch_size must be at most the number of training images, {len(images)}, got {batch_size}. "
            "Lower batch_size or read more images."
        )
