"""Hand latents to an agent and take its actions: as NumPy arrays, or as tensors on the environment's device."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hand_env.checks import check_action, check_action_tensor
from vae.device import host_memory, to_host


def observing(latents: Tensor, tensors: bool) -> Callable[[], Any]:
    """Begin to copy latents, and return a function that waits for the copy.

    Args:
        latents: Float32, of any shape.
        tensors: Whether the copy is a tensor on the same device; else it is a NumPy array.
    """
    if tensors:
        copy = latents.clone()
        return lambda: copy
    waiting = to_host(latents)
    return lambda: waiting().numpy().copy()


def all_finite(observation: Any) -> bool:
    """Return whether an observation, array or tensor, has no NaN and no infinity."""
    finite = observation.isfinite() if isinstance(observation, Tensor) else np.isfinite(observation)
    return bool(finite.all())


def shift_of(action: Any, shape: tuple[int, ...], scale: float, device: torch.device) -> Tensor:
    """Refuse a wrong action, as `check_action` does, and return it times the scale.

    Args:
        action: Array in [-1, 1], or a tensor on any device; one on `device`, if that is a GPU, stays there.
        shape: The shape that it must have.
        scale: Kappa.
        device: The environment's.

    Returns:
        Float32 of that shape, on the device.
    """
    if isinstance(action, Tensor) and device.type != "cpu" and action.device == device:
        return check_action_tensor(action, shape) * scale
    shift = host_memory(shape, device)
    np.multiply(check_action(action, shape), scale, out=shift.numpy())
    return shift.to(device, non_blocking=True)
