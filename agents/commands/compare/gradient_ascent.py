"""Gradient steps on the rewarding judge's score, within the bound that an agent has."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

LOWEST, HIGHEST = 1e-30, 1 - 1e-6  # of a score, before its log-odds


def gradient_ascent(
    decode: Callable[[Tensor], Tensor],
    score: Callable[[Tensor], Tensor],
    latents: Tensor,
    *,
    steps: int,
    rate: float,
    bound: float,
    enough: float = math.inf,
) -> Tensor:
    """Move latents uphill on the log-odds of a score by projected Adam.

    The log-odds are those of `LogitScore`, without its limits, beyond which there would be no gradient.

    Args:
        decode: Maps (n, latent) to pictures (n, 3, S, S); differentiable.
        score: Maps pictures in [0, 1] to (n,) scores in [0, 1]; differentiable.
        latents: (n, latent) float32, where to begin.
        steps: >= 0.
        rate: Adam's, in units of the bound.
        bound: Kappa: no latent ends further away than this in any dimension.
        enough: Log-odds at which a latent is left where it is, as in `hand_env.refine`.

    Returns:
        (n, latent) float32: the best of each latent's steps by the score, its start included, which wins a tie.
    """
    start = latents.detach()
    delta = torch.zeros_like(start, requires_grad=True)  # in units of the bound
    optimizer = torch.optim.Adam([delta], rate)
    best, reached = start.clone(), torch.full_like(start[:, 0], -torch.inf)
    for step in range(steps + 1):
        rows = torch.nonzero(reached < enough)[:, 0]  # the others are neither decoded nor judged again
        if not len(rows):
            break
        with torch.set_grad_enabled(step < steps):
            moved = start[rows] + bound * delta[rows]
            odds = log_odds(score(decode(moved).float().clamp(0, 1)).float())
        better = odds.detach() > reached[rows]
        best[rows[better]], reached[rows[better]] = moved.detach()[better], odds.detach()[better]
        if step < steps:
            (delta.grad,) = torch.autograd.grad(-odds.sum(), delta)
            optimizer.step()
            with torch.no_grad():
                delta.clamp_(-1, 1)
    return best


def log_odds(scores: Tensor) -> Tensor:
    """Return ln(s / (1 - s)) of (n,) scores in [0, 1]; finite."""
    scores = scores.clamp(LOWEST, HIGHEST)
    return scores.log() - torch.log1p(-scores)
