"""Shared parts of all trainings: optimiser, cosine decay, moving averages of weights and variance."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

VARIANCE_DECAY = 0.95  # per step, of the running mean squared error, which is used as the pixels' variance
SMALLEST_VARIANCE = 1e-6


def adamw(parameters: Sequence[Tensor], rate: float | Tensor) -> torch.optim.AdamW:
    """Return the optimiser that all VAEs are trained with.

    Args:
        parameters: The weights.
        rate: The learning rate. A tensor on the weights' GPU can change between the replays of a CUDA graph.
    """
    # fused: one pass over the weights; on two cores it takes a third as long as torch's loop over them
    on_gpu = isinstance(rate, Tensor) and rate.is_cuda
    return torch.optim.AdamW(parameters, rate, (0.9, 0.99), fused=True, capturable=on_gpu)


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate of all parameters. A tensor keeps its place in memory, as CUDA graphs need it."""
    for group in optimizer.param_groups:
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate


def cosine_decay(share: float, floor: float = 0.0) -> float:
    """Return half a cosine wave that falls from 1 to a floor.

    Args:
        share: In [0, 1], share of the training that is done.
        floor: In [0, 1], the value at the end of the training.

    Returns:
        A factor of the learning rate, in [floor, 1].

    Source: SGDR (Loshchilov & Hutter 2017), without restarts.
    """
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * share))


def ema_decay(limit: float, done: int, head_start: int = 1) -> float:
    """Return the decay of an exponential moving average of the weights after some steps.

    The decay is smaller at first, as in TensorFlow. So the average of a short run does not stay near its random initial
    weights.

    Args:
        limit: In [0, 1), the decay after many steps.
        done: Number of steps averaged so far, >= 0.
        head_start: 0 or 1, added to `done`; with 0, the first step has decay 0.

    Returns:
        The decay, in [0, limit].
    """
    return min(limit, (head_start + done) / (10 + done))


@torch.no_grad()
def update_ema(averaged: Iterable[Tensor], current: Iterable[Tensor], decay: float) -> None:
    """Move averaged weights towards the current ones, in place: averaged = decay * averaged + (1 - decay) * current."""
    torch._foreach_lerp_(list(averaged), list(current), 1 - decay)


@torch.no_grad()
def follow_variance(
    log_variance: Tensor, squared_error: Tensor, decay: float = VARIANCE_DECAY, smallest: float = SMALLEST_VARIANCE
) -> None:
    """Move the pixels' log-variance, in place, towards the mean squared error of a minibatch.

    Args:
        log_variance: Any shape, float32.
        squared_error: The same shape.
        decay: In [0, 1], how much of the variance stays; with 0 it becomes the error.
        smallest: > 0, the smallest variance.
    """
    variance = torch.lerp(squared_error, log_variance.exp(), decay)
    log_variance.copy_(variance.clamp_min(smallest).log())


def with_rates(own: list[dict[str, Any]], given: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return an optimiser's own groups of parameters with the learning rates of a saved state.

    Args:
        own: "param_groups" of the optimiser's state.
        given: Those of the saved state.

    Raises:
        ValueError: If a setting other than the rate differs, or a rate is not finite.
    """
    for mine, theirs in zip(own, given, strict=True):
        for name in ("params", "betas", "eps", "weight_decay", "amsgrad", "maximize"):
            if list(np.ravel(theirs[name])) != list(np.ravel(mine[name])):
                raise ValueError(f"the optimiser's {name!r} must be {mine[name]!r}, got {theirs[name]!r:.80}.")
        if not isinstance(theirs["lr"], int | float | Tensor) or not math.isfinite(theirs["lr"]):
            raise ValueError(f"the optimiser's 'lr' must be a finite number, got {theirs['lr']!r:.80}.")
    return [{**mine, "lr": theirs["lr"]} for mine, theirs in zip(own, given, strict=True)]


def without_buffers(state: dict[str, Any], module: nn.Module) -> dict[str, Any]:
    """Leave out the buffers of a VAE's networks, which may hold anything, such as an attention mask of -inf.

    Args:
        state: The module's `state_dict`, or a saved one.
        module: A VAE, or its averaged weights.
    """
    kept = ("log_variance", "module.log_variance", "n_averaged")
    left_out = {name for name, _ in module.named_buffers(remove_duplicate=False)}.difference(kept)
    return {name: tensor for name, tensor in state.items() if name not in left_out}
