"""Shared parts of all trainings: optimiser, cosine decay, moving averages of weights and variance, random streams."""

import math
from collections.abc import Iterable, Sequence
from enum import IntEnum
from typing import Any

import numpy as np
import torch
from torch import Tensor

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


class Purpose(IntEnum):
    """What random numbers are for: one stream each, so that one use of a seed does not repeat another.

    A new purpose takes a new value. A changed value would change results.
    """

    ORDER = 0
    AUGMENT = 1
    LATENT = 2
    EVALUATE = 3
    DRAWN_SCORE = 4
    SCHEDULE = 5
    RECIPE_HANDS = 10
    RECIPE_VARIED = 11
    RECIPE_POOL = 12
    RECIPE_SELECTION = 13
    RECIPE_REJECTION = 14
    FIGURES_VARIED = 16
    FIGURES_HELD_OUT = 17
    TASK_HANDS = 18
    # `AdversarialTrainer` shares the values of `Trainer`: these are other names of the same streams. No command gives
    # both trainers the same seed. Other values would change the VAEs that it trains.
    ADVERSARIAL_BATCH = 0
    ADVERSARIAL_LATENT = 1
    ADVERSARIAL_DELTAS = 2


def stream_seed(*entropy: int) -> int:
    """Combine a seed, the purpose of random numbers and a step into the seed of an independent stream.

    Args:
        entropy: The seed, the `Purpose`, the step; each >= 0.

    Returns:
        A seed for `torch.Generator`, in 0..2**63 - 1.
    """
    return int(np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0] >> np.uint64(1))


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
