"""What every training here shares: the learning rate's cosine, an average of the weights, streams of random numbers."""

import math
from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor


def cosine_decay(share: float, floor: float = 0.0) -> float:
    """Return half a cosine that falls from 1 to a floor.

    Args:
        share: In [0, 1], how much of the training is done.
        floor: In [0, 1], the value at its end.

    Returns:
        A factor of the learning rate, in [floor, 1].

    Source: SGDR (Loshchilov & Hutter 2017), without restarts.
    """
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * share))


def ema_decay(limit: float, done: int, head_start: int = 1) -> float:
    """Return the decay of an exponential moving average of the weights after some steps.

    A young average follows closely, so that the average of a short run is not its random start (as in TensorFlow's).

    Args:
        limit: In [0, 1), the decay of a long run.
        done: Steps that the average has seen, >= 0.
        head_start: 0 or 1: what the first step counts as.

    Returns:
        In [0, limit].
    """
    return min(limit, (head_start + done) / (10 + done))


@torch.no_grad()
def update_ema(averaged: Iterable[Tensor], current: Iterable[Tensor], decay: float) -> None:
    """Move averaged weights towards the current ones, in place: averaged = decay * averaged + (1 - decay) * current."""
    torch._foreach_lerp_(list(averaged), list(current), 1 - decay)


def stream_seed(*entropy: int) -> int:
    """Mix a seed with the purpose of random numbers and a step: one independent stream for each.

    Args:
        entropy: The seed, the purpose, the step; each >= 0.

    Returns:
        A seed for `torch.Generator`, in 0..2**63 - 1.
    """
    return int(np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0] >> np.uint64(1))
