"""Hold two judges against each other, where one of them is being pleased."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from hand_env.anatomy.judge import Judge
from hand_env.anatomy.result import Judgement
from hand_env.anatomy.summary import Rate, wilson

TOGETHER = 32  # latents climbed at a time
LEAST = 1e-6  # of a score, before its logarithm


@dataclass(frozen=True)
class Agreement:
    """What two judges say of the same pictures.

    Attributes:
        first: Rate of anatomical hands by the first judge.
        second: By the second.
        alike: Rate of pictures of which they say the same.
        kappa: Cohen's: 1 where they always agree, 0 where they agree as often as chance has it, NaN where both always
            say the same word.
        scores: Mean score by either.
    """

    first: Rate
    second: Rate
    alike: Rate
    kappa: float
    scores: tuple[float, float]


def agreement(first: Sequence[Judgement], second: Sequence[Judgement]) -> Agreement:
    """Compare two judges' verdicts `anatomical`.

    Args:
        first: Of n >= 1 pictures.
        second: Of the same, in the same order.

    Source: Cohen 1960, for kappa.
    """
    pairs = [(a.anatomical, b.anatomical) for a, b in zip(first, second, strict=True)]
    n = len(pairs)
    rates = [wilson(sum(pair[side] for pair in pairs), n) for side in (0, 1)]
    alike = wilson(sum(a == b for a, b in pairs), n)
    chance = rates[0].share * rates[1].share + (1 - rates[0].share) * (1 - rates[1].share)
    kappa = (alike.share - chance) / (1 - chance) if chance < 1 else float("nan")
    scores = tuple(sum(judgement.score for judgement in judgements) / n for judgements in (first, second))
    return Agreement(rates[0], rates[1], alike, kappa, (scores[0], scores[1]))


def climb(decode: Callable[[Tensor], Tensor], judge: Judge, latents: Tensor, steps: int, rate: float) -> Tensor:
    """Move latents uphill on a judge's log score, without bounds, by Adam.

    Args:
        decode: Maps (n, latent) to pictures (n, 3, S, S); differentiable.
        judge: Who is to be pleased.
        latents: (n, latent) float32, where to begin.
        steps: >= 0.
        rate: Of Adam: about how far a latent moves in a step.

    Returns:
        (n, latent) float32; the best of each latent's steps, by the judge's score.
    """
    return torch.cat([_climb(decode, judge, chunk, steps, rate) for chunk in torch.split(latents, TOGETHER)])


def _climb(decode: Callable[[Tensor], Tensor], judge: Judge, start: Tensor, steps: int, rate: float) -> Tensor:
    latents = start.detach().clone().requires_grad_()
    optimizer = torch.optim.Adam([latents], rate)
    best, reached = start.detach().clone(), torch.full_like(start[:, 0], -1.0)
    for step in range(steps + 1):
        score = judge.find(decode(latents).clamp(0, 1)).score.to(start.device)
        better = score.detach() > reached
        best[better], reached[better] = latents.detach()[better], score.detach()[better]
        if step < steps:
            (latents.grad,) = torch.autograd.grad(score.clamp(min=LEAST).log().sum().neg(), latents)
            optimizer.step()
    return best
