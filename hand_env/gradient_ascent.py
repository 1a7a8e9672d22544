"""Gradient ascent on a score of latents: the baseline that an agent is compared with, and the attack on a judge."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

LOWEST, HIGHEST = 1e-30, 1 - 1e-6  # of a score, before its log-odds

ScoreLatents = Callable[[Tensor], Tensor]


def gradient_ascent(
    score: ScoreLatents,
    latents: Tensor,
    *,
    steps: int,
    rate: float,
    bound: float | None = None,
    objective: ScoreLatents | None = None,
    stop_at: float = math.inf,
) -> Tensor:
    """Move latents uphill on a score by Adam, projected where there is a bound.

    Args:
        score: Maps (n, D) latents to (n,) scores; differentiable. The best step of each latent is kept by it.
        latents: (n, D) float32, where to start.
        steps: >= 0, of Adam.
        rate: Adam's, in units of the bound where there is one.
        bound: Kappa: no latent moves further than this in any dimension; None: no bound.
        objective: Maps scores to what is differentiated, such as their logarithm; None: the scores themselves.
        stop_at: A latent whose score is at least this stays where it is.

    Returns:
        (n, D) float32: the best of each latent's steps by the score; the start counts, and wins a tie.
    """
    start = latents.detach()
    origin, unit = (torch.zeros_like(start), 1.0) if bound is None else (start, bound)
    position = (start - origin).clone().requires_grad_()  # latents are origin + unit * position
    optimizer = torch.optim.Adam([position], rate)
    best, reached = start.clone(), torch.full_like(start[:, 0], -torch.inf)
    for step in range(steps + 1):
        rows = torch.nonzero(reached < stop_at)[:, 0]  # the others are neither decoded nor judged again
        if not len(rows):
            break
        with torch.set_grad_enabled(step < steps):
            moved = origin[rows] + unit * position[rows]
            scores = score(moved).to(start.device)
        better = scores.detach() > reached[rows]
        best[rows[better]], reached[rows[better]] = moved.detach()[better], scores.detach()[better]
        if step < steps:
            climbed = scores if objective is None else objective(scores)
            (position.grad,) = torch.autograd.grad(-climbed.sum(), position)
            optimizer.step()
            if bound is not None:
                with torch.no_grad():
                    position.clamp_(-1, 1)
    return best


def log_odds(scores: Tensor) -> Tensor:
    """Return ln(s / (1 - s)) of (n,) scores in [0, 1]; finite."""
    scores = scores.clamp(LOWEST, HIGHEST)
    return scores.log() - torch.log1p(-scores)
