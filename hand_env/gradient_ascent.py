"""Raise a score of latents by gradient ascent: a baseline for agents, and the attack on a judge."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from vae.progress import progress_bar

LOWEST, HIGHEST = 1e-30, 1 - 1e-6  # bounds of a score before its log-odds are taken

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
    """Raise the score of latents by gradient ascent with Adam; with a bound, clip each step to it.

    Args:
        score: Maps (n, D) latents to (n,) scores; differentiable. It decides which step of each latent is best.
        latents: (n, D) float32, the starting points.
        steps: >= 0, number of Adam steps.
        rate: Learning rate of Adam; in units of the bound, if there is one.
        bound: Kappa, the largest change of a latent in any dimension; None for no bound.
        objective: Maps scores to the values to maximise, such as their logarithms; None for the scores themselves.
        stop_at: A latent whose score reaches this value is not moved further.

    Returns:
        (n, D) float32: for each latent, the step with the highest score. The start counts as a step; the earliest step
        wins a tie.
    """
    start = latents.detach()
    origin, unit = (torch.zeros_like(start), 1.0) if bound is None else (start, bound)
    position = (start - origin).clone().requires_grad_()  # latents are origin + unit * position
    optimizer = torch.optim.Adam([position], rate)
    best, reached = start.clone(), torch.full_like(start[:, 0], -torch.inf)
    for step in progress_bar(range(steps + 1), "Gradient ascent", unit="steps at most"):
        rows = torch.nonzero(reached < stop_at)[:, 0]  # do not decode and judge the others again
        if not len(rows):
            break
        with torch.set_grad_enabled(step < steps):
            moved = origin[rows] + unit * position[rows]
            scores = score(moved).to(start.device)
        better = scores.detach() > reached[rows]
        best[rows[better]], reached[rows[better]] = moved.detach()[better], scores.detach()[better]
        if step < steps:
            raised = scores if objective is None else objective(scores)
            (position.grad,) = torch.autograd.grad(-raised.sum(), position)
            optimizer.step()
            if bound is not None:
                with torch.no_grad():
                    position.clamp_(-1, 1)
    return best


def log_odds(scores: Tensor) -> Tensor:
    """Return ln(s / (1 - s)) of (n,) scores in [0, 1]; finite."""
    scores = scores.clamp(LOWEST, HIGHEST)
    return scores.log() - torch.log1p(-scores)
