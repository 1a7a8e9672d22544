"""Check the arguments and actions of both environments, with the same error messages."""

import math
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray
from torch import nn

from vae.model import VAE


def check_above_zero(**values: float) -> None:
    """Refuse numbers that are not finite and above 0.

    Raises:
        ValueError: If a value is not.
    """
    for name, value in values.items():
        if not 0 < value < math.inf:
            raise ValueError(f"{name} must be a number above 0, got {value!r}.")


def check_at_least(low: int, **values: int) -> None:
    """Refuse numbers below a bound.

    Raises:
        ValueError: If a value is below the bound.
    """
    for name, value in values.items():
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


def check_render_mode(render_mode: str | None) -> None:
    """Refuse all render modes but None and "rgb_array".

    Raises:
        ValueError: If it is another mode.
    """
    if render_mode not in (None, "rgb_array"):
        raise ValueError(f"render_mode must be None or 'rgb_array', got {render_mode!r}.")


def check_vae(vae: Any) -> None:
    """Refuse anything but a VAE or a function.

    Raises:
        TypeError: If it is something else, such as another module.
    """
    if not callable(vae) or (isinstance(vae, nn.Module) and not isinstance(vae, VAE)):
        raise TypeError(f"vae must be a vae.VAE or a function from a seed to one, got {type(vae).__name__}.")


def check_action(action: Any, shape: tuple[int, ...], acting: NDArray[np.bool_] | None = None) -> NDArray[np.float32]:
    """Refuse a wrong action before it is used.

    Args:
        action: Array of this shape, in [-1, 1].
        shape: The shape that the action must have.
        acting: (shape[0],) bool, the rows whose values count; None: all.

    Returns:
        The action, float32.

    Raises:
        ValueError: If the action has another shape, or a value that is not finite or not in [-1, 1].
    """
    action = np.asarray(action)
    if action.shape != shape:
        raise ValueError(f"action must have shape {shape}, got {action.shape}. Sample one from env.action_space.")
    wrong = ~(np.abs(action) <= 1)  # True for NaN too
    if acting is not None:
        wrong[~acting] = False
    if wrong.any():
        worst = action.flat[np.argmax(wrong)]
        raise ValueError(f"action must be finite and lie in [-1, 1], got {worst!r}. Clip it with np.clip.")
    checked: NDArray[np.float32] = action.astype(np.float32)
    return checked


def check_rows(name: str, values: Any, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Refuse anything but one finite number for each row.

    Args:
        name: Name of the function that returned the values.
        values: Anything that NumPy converts to numbers.
        shape: The shape that the values must have.

    Returns:
        The values, float64.

    Raises:
        ValueError: If the shape is wrong, or a value is not finite.
    """
    rows: NDArray[np.float64] = np.asarray(values, np.float64)
    if rows.shape != shape or not np.isfinite(rows).all():
        raise ValueError(f"{name} must give finite numbers of shape {shape}, one for each row, got {values!r}.")
    return rows


def resolve_autoreset_mode(mode: str | AutoresetMode) -> AutoresetMode:
    """Find an autoreset mode by its name, or return it unchanged.

    Raises:
        ValueError: If there is no mode of that name.
    """
    names = [known.value for known in AutoresetMode]
    if not isinstance(mode, AutoresetMode) and mode not in names:
        raise ValueError(f"autoreset_mode must be one of {names}, got {mode!r}.")
    return AutoresetMode(mode)
