"""Check the arguments, actions and states of all environments, with the same error messages."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from typing import Any

import numpy as np
import torch
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray
from torch import Tensor, nn

from vae.checks import check_above_zero, check_one_of, integer
from vae.model import VAE
from vae.training_config import TrainingConfig

MINIBATCH = 4  # B of HandLatent-v0, if neither of its names has a value
MOST = 2**31 - 1  # of anything that is counted
SMALLEST, LARGEST = float(np.finfo(np.float32).tiny), float(np.finfo(np.float32).max)  # 1.2e-38 and 3.4e38


def minibatch(batch_size: int | None, minibatch_size: int | None, n_images: int) -> int:
    """Return B, which has two names: libraries such as TorchRL take `batch_size` for themselves.

    Args:
        batch_size: B or None.
        minibatch_size: B or None.
        n_images: N, the largest B.

    Raises:
        TypeError: If it is no integer.
        ValueError: If both names have a value, or it is not in 1..N.
    """
    if batch_size is not None and minibatch_size is not None:
        raise ValueError(
            f"batch_size and minibatch_size mean the same, got {batch_size!r} and {minibatch_size!r}. Leave one out."
        )
    name, given = ("batch_size", batch_size) if minibatch_size is None else ("minibatch_size", minibatch_size)
    size = integer(name, MINIBATCH if given is None else given, 1)
    if size > n_images:
        raise ValueError(
            f"{name} must be at most the number of training images, {n_images}, got {size}. Lower it (num_envs in the "
            "vector form) or give more images."
        )
    return size


def check_scale(**values: float) -> None:
    """Refuse factors of latents or rewards that are not above 0, or that float32 cannot hold.

    Raises:
        TypeError: If a value is no number.
        ValueError: If a value is out of its range.
    """
    check_above_zero(**values)
    for name, value in values.items():
        if not SMALLEST <= value <= LARGEST:
            raise ValueError(
                f"{name} must lie in {SMALLEST:.1e}..{LARGEST:.1e}, the range of float32, got {value!r}. Choose one "
                "nearer to 1."
            )


def check_render_mode(render_mode: str | None) -> None:
    """Refuse all render modes but None and "rgb_array".

    Raises:
        ValueError: If it is another mode.
    """
    if render_mode is not None and not (isinstance(render_mode, str) and render_mode == "rgb_array"):
        raise ValueError(f"render_mode must be None or 'rgb_array', got {render_mode!r}.")


def check_vae(vae: Any) -> None:
    """Refuse anything but a VAE or a function.

    Raises:
        TypeError: If it is something else, such as another module.
    """
    if not callable(vae) or (isinstance(vae, nn.Module) and not isinstance(vae, VAE)):
        raise TypeError(f"vae must be a vae.VAE or a function from a seed to one, got {type(vae).__name__}.")


def check_judge(judge: Any) -> None:
    """Refuse anything but a function, or None.

    Raises:
        TypeError: If it is something else.
    """
    if judge is not None and not callable(judge):
        raise TypeError(f"judge must be a function from pictures to scores, got {type(judge).__name__}.")


def built(vae: Any) -> VAE:
    """Refuse what a user's function returns, if it is no VAE.

    Raises:
        TypeError: If it is something else.
    """
    if not isinstance(vae, VAE):
        raise TypeError(f"vae must be a function from a seed to a vae.VAE, but it returned {type(vae).__name__}.")
    return vae


def check_trainable(vae: VAE, training: TrainingConfig) -> None:
    """Refuse a VAE that is to be trained and has no weight that can be.

    Raises:
        ValueError: If no weight requires a gradient, and the learning rate is not 0.
    """
    if training.learning_rate != 0 and not any(weight.requires_grad for weight in vae.parameters()):
        raise ValueError(
            "vae must have a weight that requires a gradient, and all are frozen. Call vae.requires_grad_(True), or "
            "set training={'learning_rate': 0}."
        )


def check_size(needed: int, size: int | None) -> None:
    """Refuse a size of synthetic hands that the VAE does not take.

    Args:
        needed: Pixels a side of the VAE's pictures.
        size: The argument of that name; None if there are pictures.

    Raises:
        ValueError: If they differ.
    """
    if size is not None and size != needed:
        raise ValueError(
            f"size must be that of vae's pictures, {needed}, got {size!r}. Set size={needed} or give images."
        )


def copied(name: str, images: Any) -> Tensor:
    """Copy pictures that the caller may change later, to a tensor on the same device.

    Args:
        name: Name of the argument, for the message.
        images: Should be a tensor or an array, (image, 3, S, S).

    Raises:
        TypeError: If it is neither.
        ValueError: If the shape is wrong, or there is no picture.
    """
    try:
        is_tensor = isinstance(images, Tensor)
        copy = images.detach().clone() if is_tensor else torch.from_numpy(np.array(images, order="C"))
    except (RuntimeError, TypeError, ValueError) as error:
        kind = type(images).__name__
        raise TypeError(
            f"{name} must be a tensor or an array, such as load_images(...).pixels, got {kind}: {error}"
        ) from error
    shape = tuple(copy.shape)
    if len(shape) != 4 or shape[1] != 3 or shape[2] != shape[3] or not len(copy):
        raise ValueError(
            f"{name} must have the shape (image, 3, S, S), got {shape}. If the channels come last, permute them."
        )
    return copy


def further_training(training: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return further fields of `vae.TrainingConfig` by name.

    Raises:
        TypeError: If they are no dict, or a name is no field.
        ValueError: If they set what an environment has arguments of its own for.
    """
    if training is not None and not isinstance(training, Mapping):
        raise TypeError(f"training must be a dict of fields of vae.TrainingConfig, got {type(training).__name__}.")
    further = dict(training or {})
    if {"epochs", "batch_size"} & set(further):
        raise ValueError(f"training must not set epochs or batch_size (separate arguments), got {further!r}.")
    if unknown := [name for name in further if name not in {field.name for field in fields(TrainingConfig)}]:
        raise TypeError(f"training must have fields of vae.TrainingConfig as names, got {unknown[0]!r}.")
    return further


def check_action(action: Any, shape: tuple[int, ...], acting: NDArray[np.bool_] | None = None) -> NDArray[np.float32]:
    """Refuse a wrong action before it is used.

    Args:
        action: Array of this shape, in [-1, 1], or anything that NumPy takes for one; a tensor may lie on any device.
        shape: The shape that the action must have.
        acting: (shape[0],) bool, the rows whose values count; None: all.

    Returns:
        The action, float32.

    Raises:
        TypeError: If the action does not consist of real numbers.
        ValueError: If the action has another shape, or a value that is not finite or not in [-1, 1].
    """
    action = _real_numbers(action)
    _check_shape(action.shape, shape)
    own = action if acting is None else action[acting]
    if own.size and not (own.min() >= -1 and own.max() <= 1):  # NaN is neither
        raise _out_of_range(own.flat[np.argmax(~(np.abs(own) <= 1))], "np.clip")
    checked: NDArray[np.float32] = action.astype(np.float32)
    return checked


def check_action_tensor(action: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Refuse a wrong action as `check_action` does, on its own device; return it as float32, without its graph."""
    if action.is_complex():
        raise TypeError(f"action must be an array of numbers, got {action.dtype}. Sample one from env.action_space.")
    _check_shape(tuple(action.shape), shape)
    action = action.detach() if action.is_floating_point() else action.detach().float()
    is_right = action.abs() <= 1  # False for NaN
    if not is_right.all():
        raise _out_of_range(action[~is_right][0].item(), "torch.clamp")
    return action.float()


def _check_shape(got: tuple[int, ...], wanted: tuple[int, ...]) -> None:
    if got != wanted:
        raise ValueError(f"action must have shape {wanted}, got {got}. Sample one from env.action_space.")


def _out_of_range(worst: Any, remedy: str) -> ValueError:
    return ValueError(f"action must be finite and lie in [-1, 1], got {worst!r}. Clip it with {remedy}.")


def check_finite(
    name: str, values: Any, shape: tuple[int, ...], dtype: type[np.floating[Any]] = np.float32
) -> NDArray[Any]:
    """Refuse anything but finite numbers of a shape, and return a copy of another type.

    Raises:
        ValueError: If the shape is wrong, or a value is not a real number that is finite in float32.
    """
    given = np.asarray(values)
    if given.dtype.kind not in "biuf":
        raise ValueError(f"{name} must be finite numbers of shape {shape}, got {given.dtype}.")
    copy = given.astype(dtype)
    if copy.shape != shape:
        raise ValueError(f"{name} must be finite numbers of shape {shape}, got shape {copy.shape}.")
    if not fits_float32(copy):  # whatever its type here: observations and rewards hold it
        raise ValueError(f"{name} must be finite in float32, got {copy[~(np.abs(copy) <= LARGEST)][0]!r}.")
    return copy


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
    given = np.asarray(values)
    if given.dtype.kind not in "biuf" or given.shape != shape or not np.isfinite(given).all():
        raise ValueError(f"{name} must give finite numbers of shape {shape}, one for each row, got {values!r}.")
    return given.astype(np.float64)


def fits_float32(values: Any) -> bool:
    """Whether all values, such as rewards, are finite in float32, in which agents store them."""
    with np.errstate(over="ignore"):
        return bool(np.isfinite(np.asarray(values, np.float64).astype(np.float32)).all())


def state_in(options: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """Return the state that `reset(options={"state": state})` is to continue; None if there is none.

    Raises:
        TypeError: If the options or the state are no dict.
    """
    if options is not None and not isinstance(options, Mapping):
        raise TypeError(f"options must be a dict or None, got {type(options).__name__}.")
    state = None if options is None else options.get("state")
    if state is not None and not isinstance(state, Mapping):
        raise TypeError(f"options['state'] must be what state_dict() returned, got {type(state).__name__}.")
    return state


def row_seeds(seed: Any, num_envs: int) -> list[int | None]:
    """Return a seed for each row: s + i from one number s, or those of a list.

    Raises:
        TypeError: If a seed is no integer.
        ValueError: If a seed is below 0, or there is not one for each row.
    """
    if not isinstance(seed, Sequence | np.ndarray) or np.ndim(seed) == 0:
        first = None if seed is None else integer("seed", seed, 0)
        return [None if first is None else first + row for row in range(num_envs)]
    if len(seed) != num_envs:
        raise ValueError(f"seed must be one number or one for each of {num_envs} rows, got {seed!r}.")
    return [None if own is None else integer("seed", own, 0) for own in seed]


def rows_to_reset(mask: Any, num_envs: int, is_open: bool) -> NDArray[np.bool_]:
    """Return which rows a `reset_mask` means; all without one.

    Args:
        mask: Should be None or (num_envs,) bool.
        num_envs: Number of rows.
        is_open: Whether every row has an episode.

    Raises:
        gymnasium.error.ResetNeeded: If the first reset leaves out a row.
        ValueError: If the mask is not one bool for each row, or none is true.
    """
    if mask is None:
        return np.ones(num_envs, np.bool_)
    if np.shape(mask) != (num_envs,) or np.asarray(mask).dtype != np.bool_ or not np.any(mask):
        raise ValueError(f"reset_mask must be {num_envs} bool, one per row and at least one true, got {mask!r}.")
    if not (is_open or np.all(mask)):
        raise ResetNeeded("Call reset() without a reset_mask first: every row needs an episode.")
    return np.array(mask)


def rows_to_step(has_ended: NDArray[np.bool_], mode: AutoresetMode) -> NDArray[np.bool_]:
    """Return which rows' actions count, (num_envs,) bool; the other rows are due for a reset.

    Raises:
        gymnasium.error.ResetNeeded: If a row has ended and autoreset is disabled.
    """
    if mode is AutoresetMode.DISABLED and has_ended.any():
        rows = np.flatnonzero(has_ended).tolist()
        raise ResetNeeded(
            f"The episodes of rows {rows} have ended: call reset(options={{'reset_mask': ...}}) for them."
        )
    acting: NDArray[np.bool_] = ~has_ended
    return acting


@contextmanager
def reading_state() -> Iterator[None]:
    """Turn each failure to read a state into one sentence.

    Raises:
        ValueError: If reading the state raised.
    """
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        reason = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
        raise ValueError(
            "options['state'] must be what state_dict() of an environment with the same arguments returned, but "
            f"{reason}"
        ) from error


def generator_in_state(random: np.random.Generator, state: Any) -> np.random.Generator:
    """Return a generator of the same kind in another state; the generator itself stays as it is."""
    other = np.random.Generator(type(random.bit_generator)())
    other.bit_generator.state = state
    return other


def _real_numbers(values: Any) -> NDArray[Any]:
    """Convert to float64, or leave floating-point numbers as they are.

    Raises:
        TypeError: If the values are text, dates, complex numbers or other objects, or rows of different lengths.
    """
    try:
        if isinstance(values, Tensor):
            values = values.detach().cpu()
            values = (values if values.is_complex() else values.double()).numpy()
        array = np.asarray(values)
    except (RuntimeError, TypeError, ValueError) as error:
        raise TypeError(f"action must be an array of numbers, got {type(values).__name__}: {error}") from error
    if array.dtype.kind not in "biuf":
        raise TypeError(f"action must be an array of numbers, got {array.dtype}. Sample one from env.action_space.")
    return array if array.dtype.kind == "f" else array.astype(np.float64)


def resolve_autoreset_mode(mode: str | AutoresetMode) -> AutoresetMode:
    """Find an autoreset mode by its name, or return it unchanged.

    Raises:
        ValueError: If there is no mode of that name.
    """
    if not isinstance(mode, AutoresetMode):
        check_one_of("autoreset_mode", mode, [known.value for known in AutoresetMode])
    return AutoresetMode(mode)
