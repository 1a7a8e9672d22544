"""The cells of the table: for each sampler and agent a function from latents to latents, and what it costs."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from agents.baselines import RandomAction
from agents.compare.args import CompareArgs
from agents.compare.climb import climb_within
from agents.compare.pieces import Corrections, Pieces
from hand_env import LogitScore, keep_better, refine
from hand_env.refinement import Scores, score_latents
from vae.images import to_uint8
from vae.prior import Sampler

TOGETHER = {"cpu": 32, "cuda": 512}  # pictures decoded and judged at a time
Correct = Callable[[Tensor], Tensor]
Score = Callable[[Tensor], Tensor]
EVERY = "all agents"  # of a sampler that is missing


@dataclass(frozen=True)
class Cost:
    """Count the work behind one picture.

    Attributes:
        decodings: Latents decoded, at most: an agent's rounds end where a latent scores enough.
        judgings: Pictures judged by the rewarding judge; the reporting judge's are no part of drawing a picture.
        gradients: Passes backward through both.
    """

    decodings: int = 1
    judgings: int = 0
    gradients: int = 0

    def __str__(self) -> str:
        """Write it as '2 + 2', or '21 + 21 + 20' where there are gradients."""
        return " + ".join(map(str, (self.decodings, self.judgings, *([self.gradients] if self.gradients else []))))


@dataclass(frozen=True, eq=False)
class Cell:
    """One sampler with one agent.

    Attributes:
        sampler: Its name.
        agent: Its name.
        cost: Of one picture.
        correct: From (n, D) latents on the CPU to (n, D) latents on the CPU; None if the cell is missing.
        missing: Why, or "".
    """

    sampler: str
    agent: str
    cost: Cost
    correct: Correct | None
    missing: str = ""


def make_cells(pieces: Pieces, score: Score, args: CompareArgs) -> Iterator[Cell]:
    """Make the cells of one run, in the order of the table.

    Args:
        pieces: The run's.
        score: The rewarding judge's, differentiable: from (n, 3, S, S) float pictures in [0, 1] to (n,) in [0, 1].
        args: Settings.

    Yields:
        Cells, those that the run has no sampler or agent for among them.
    """
    for name in args.samplers:
        if name not in pieces.samplers:
            yield Cell(name, EVERY, Cost(), None, f"no sampler '{name}'")
            continue
        for agent in args.agents:
            yield from _cells_of(agent, name, pieces, score, args)


def _cells_of(agent: str, sampler: str, pieces: Pieces, score: Score, args: CompareArgs) -> Iterator[Cell]:
    if agent == "none":
        yield Cell(sampler, agent, Cost(), lambda latents: latents)
    elif agent == "gradient":
        for steps in args.gradient_steps:
            cost = Cost(steps + 1, steps + 1, steps)
            yield Cell(sampler, f"gradient-{steps}", cost, climbed(pieces, score, steps, args))
    elif agent == "best-of":
        for k in args.best_of:
            best = best_of(k, pieces.samplers[sampler], args.seed, pieces, score)
            yield Cell(sampler, f"best-of-{k}", Cost(k, k), best)
    else:
        acting = _acting(agent, pieces, args)
        missing = "" if acting else f"no agent '{agent}'"
        for rounds in args.rounds:
            looks = acting.looks if acting else 0
            cost = Cost(rounds * (1 + looks) + 1, rounds + 1)  # as drawn, and after each round: the worse is dropped
            correct = refined(acting, pieces, score, rounds, args.enough) if acting else None
            yield Cell(sampler, f"{agent}-{rounds}", cost, correct, missing)


def _acting(agent: str, pieces: Pieces, args: CompareArgs) -> Corrections | None:
    """Return an agent of its name with a kappa that is not above the table's; None if the run has none."""
    kappa = bound_of(pieces, args)
    if agent == "random":
        space = spaces.Box(-1.0, 1.0, (pieces.vae.latent_dim,), np.float32)
        return Corrections(RandomAction(space, args.seed), kappa)
    found = pieces.agents.get(agent)
    return None if found is None else replace(found, delta_scale=min(found.delta_scale, kappa / found.steps))


def bound_of(pieces: Pieces, args: CompareArgs) -> float:
    """Return how far a round may move a latent in each dimension: as far as the refining agent's, or as asked."""
    agent = pieces.agents.get("sac-refine")
    if args.delta_scale is not None:
        return args.delta_scale
    return 1.0 if agent is None else agent.delta_scale * agent.steps


def refined(acting: Corrections, pieces: Pieces, score: Score, rounds: int, enough: float) -> Correct:
    """Let an agent correct latents; `hand_env.refine` drops each correction that does not raise the score."""
    judge = LogitScore(score)

    def correct(latents: Tensor) -> Tensor:
        done = [
            refine(
                acting.agent,
                chunk,
                pieces.vae,
                judge,
                delta_scale=acting.delta_scale,
                steps=acting.steps,
                rounds=rounds,
                enough=enough,
            ).latents
            for chunk in _chunks(latents, pieces)
        ]
        return torch.cat(done)

    return correct


def climbed(pieces: Pieces, score: Score, steps: int, args: CompareArgs) -> Correct:
    """Climb the score's gradient, as `climb_within` does, no further than an agent gets in its most rounds."""
    reach = bound_of(pieces, args) * max(args.rounds)
    how: dict[str, Any] = {"steps": steps, "rate": args.gradient_rate, "bound": reach, "enough": args.enough}

    def correct(latents: Tensor) -> Tensor:
        device = pieces.vae.log_variance.device
        chunks = _chunks(latents, pieces)
        return torch.cat([climb_within(pieces.vae.decode, score, chunk.to(device), **how).cpu() for chunk in chunks])

    return correct


def best_of(k: int, sampler: Sampler, seed: int, pieces: Pieces, score: Score) -> Correct:
    """Hold k - 1 further draws against the latents and keep the best; `hand_env.best_of` draws all k anew."""
    judge = LogitScore(score)

    def rate(latents: Tensor) -> Scores:
        return np.concatenate([score_latents(pieces.vae, judge, chunk.numpy()) for chunk in _chunks(latents, pieces)])

    def correct(latents: Tensor) -> Tensor:
        best, reached = latents, rate(latents)
        for further in range(1, k):
            other = sampler.sample(len(latents), seed + further)
            best, reached = keep_better(best, other, reached, rate(other))
        return best

    return correct


@torch.no_grad()
def decode_all(pieces: Pieces, latents: Tensor) -> Tensor:
    """Decode (n, D) latents to (n, 3, S, S) uint8 pictures on the CPU."""
    device = pieces.vae.log_variance.device
    return torch.cat(
        [to_uint8(pieces.vae.decode(chunk.to(device)).float()).cpu() for chunk in _chunks(latents, pieces)]
    )


def _chunks(latents: Tensor, pieces: Pieces) -> tuple[Tensor, ...]:
    return torch.split(latents, TOGETHER[pieces.vae.log_variance.device.type])
