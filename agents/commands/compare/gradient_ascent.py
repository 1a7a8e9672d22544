"""Gradient ascent on the rewarding judge's score, within the same bound as for an agent."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

LOWEST, HIGHEST = 1e-30, 1 - 1e-6  # bounds of a score, before its log-odds


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
    """Raise the log-odds of a score by gradient ascent on latents, with projected Adam.

    The log-odds are those of `LogitScore` without its limits, because beyond them there would be no gradient.

    Args:
        decode: Maps (n, latent) to pictures (n, 3, S, S); differentiable.
        score: Maps pictures in [0, 1] to (n,) scores in [0, 1]; differentiable.
        latents: (n, latent) float32, the start.
        steps: >= 0.
        rate: Adam's learning rate, in units of the bound.
        bound: Kappa: the largest distance from the start in any dimension.
        enough: Only latents with log-odds below this are moved, as in `hand_env.refine`.

    Returns:
        (n, latent) float32: for each latent, the step with the best score; the start counts too and wins a tie.
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
    """Return ln(s / (1 - s)) of (n,) scores in [0, 1], always finite."""
    scores = scores.clamp(LOWEST, HIGHEST)
    return scores.log() - torch.log1p(-scores)
