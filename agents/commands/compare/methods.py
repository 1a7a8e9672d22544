"""The methods of the table: for each sampler and agent, a function from latents to latents, and its cost."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from agents.commands.compare.args import CompareArgs
from agents.commands.compare.loaded_run import Corrections, LoadedRun
from agents.rl.baselines import RandomAction
from agents.rl.row_agent import RETRY_SEED
from hand_env import LogitScore, refine
from hand_env.gradient_ascent import gradient_ascent, log_odds
from hand_env.refinement import Scores, keep_best, score_latents
from vae.evaluation import decode_all
from vae.progress import in_chunks
from vae.sampling.sampler import Sampler

CHUNK = {"cpu": 32, "cuda": 512}  # pictures decoded and judged at a time
Correct = Callable[[Tensor], Tensor]
Score = Callable[[Tensor], Tensor]
MEASURING = 4  # passes through networks that a picture takes to be measured
EVERY = "all agents"  # if the sampler is missing


@dataclass(frozen=True)
class Cost:
    """Count the work behind one picture.

    Attributes:
        decodings: Largest number of latents decoded; an agent stops when a latent's score reaches `refine_below`.
        judgings: Pictures judged by the rewarding judge; the reporting judge does not take part in drawing.
        gradients: Backward passes through VAE and judge.
    """

    decodings: int = 1
    judgings: int = 0
    gradients: int = 0

    @property
    def work(self) -> int:
        """About how many passes through networks a picture takes until it is measured, to tell the time left.

        A gradient goes back through the VAE and the judge, which costs about two passes each. The picture itself is
        measured by both judges and, twice, by the network that gives features.
        """
        return self.decodings + self.judgings + 4 * self.gradients + MEASURING

    def __str__(self) -> str:
        """Return '2 + 2', or '21 + 21 + 20' with gradients."""
        return " + ".join(map(str, (self.decodings, self.judgings, *([self.gradients] if self.gradients else []))))


@dataclass(frozen=True, eq=False)
class Method:
    """One sampler with one agent.

    Attributes:
        sampler: Name of the sampler.
        agent: Name of the agent.
        cost: Cost of one picture.
        correct: Function from (n, D) latents on the CPU to (n, D) latents on the CPU; None if the method is missing.
        missing: Why it is missing, or "".
    """

    sampler: str
    agent: str
    cost: Cost
    correct: Correct | None
    missing: str = ""


def make_methods(loaded: LoadedRun, score: Score, args: CompareArgs) -> Iterator[Method]:
    """Make the methods of one run, in the order of the table.

    Args:
        loaded: The loaded run.
        score: The rewarding judge's score, differentiable: (n, 3, S, S) float pictures in [0, 1] to (n,) in [0, 1].
        args: Settings.

    Yields:
        The methods, including those for which the run has no sampler or agent.
    """
    for name in args.samplers:
        if name not in loaded.samplers:
            yield Method(name, EVERY, Cost(), None, f"no sampler '{name}'")
            continue
        for agent in args.agents:
            yield from _methods_of(agent, name, loaded, score, args)


def _methods_of(agent: str, sampler: str, loaded: LoadedRun, score: Score, args: CompareArgs) -> Iterator[Method]:
    if agent == "none":
        yield Method(sampler, agent, Cost(), lambda latents: latents)
    elif agent == "gradient":
        for steps in args.gradient_steps:
            cost = Cost(steps + 1, steps + 1, steps)
            yield Method(sampler, f"gradient-{steps}", cost, ascended(loaded, score, steps, args))
    elif agent == "best-of":
        for k in args.best_of:
            best = best_drawn(k, loaded.samplers[sampler], args.seed, loaded, score)
            yield Method(sampler, f"best-of-{k}", Cost(k, k), best)
    else:
        acting = _acting(agent, loaded, args)
        missing = "" if acting else f"no agent '{agent}'"
        for rounds in args.rounds:
            looks = acting.looks if acting else 0
            cost = Cost(rounds * (1 + looks) + 1, rounds + 1)  # at the start and after each round
            correct = refined(acting, loaded, score, rounds, args.refine_below) if acting else None
            yield Method(sampler, f"{agent}-{rounds}", cost, correct, missing)


def _acting(agent: str, loaded: LoadedRun, args: CompareArgs) -> Corrections | None:
    """Return the named agent, with kappa at most that of the table; None if the run does not have it."""
    kappa = bound_of(loaded, args)
    if agent == "random":
        space = spaces.Box(-1.0, 1.0, (loaded.vae.latent_dim,), np.float32)
        return Corrections(RandomAction(space, args.seed), kappa, seed=RETRY_SEED)
    found = loaded.agents.get(agent)
    return None if found is None else replace(found, delta_scale=min(found.delta_scale, kappa / found.steps))


def bound_of(loaded: LoadedRun, args: CompareArgs) -> float:
    """Return the largest move per round in each dimension: --delta-scale, or that of the run's refiner, or 1."""
    agent = loaded.agents.get("sac-refine")
    if args.delta_scale is not None:
        return args.delta_scale
    return 1.0 if agent is None else agent.delta_scale * agent.steps


def refined(acting: Corrections, loaded: LoadedRun, score: Score, rounds: int, refine_below: float) -> Correct:
    """Let an agent correct latents, as drawing does; each correction that does not raise the score is dropped."""
    judge = LogitScore(score)

    def correct(latents: Tensor) -> Tensor:
        return refine(
            acting.agent,
            latents,
            loaded.vae,
            judge,
            delta_scale=acting.delta_scale,
            steps=acting.steps,
            rounds=rounds,
            refine_below=refine_below,
            seed=acting.seed,
        ).latents

    return correct


def ascended(loaded: LoadedRun, score: Score, steps: int, args: CompareArgs) -> Correct:
    """Take gradient steps on the score's log-odds, no further than an agent can move in its largest number of rounds.

    The log-odds are those of `LogitScore` without its limits: beyond them there would be no gradient.
    """
    reach = bound_of(loaded, args) * max(args.rounds)
    how: dict[str, Any] = {"steps": steps, "rate": args.gradient_rate, "bound": reach, "stop_at": args.refine_below}

    def odds(latents: Tensor) -> Tensor:
        return log_odds(score(loaded.vae.decode(latents).float().clamp(0, 1)).float())

    def correct(latents: Tensor) -> Tensor:
        device = loaded.vae.log_variance.device
        return torch.cat(
            [gradient_ascent(odds, chunk.to(device), **how).cpu() for chunk in _chunks(latents, loaded, "Ascending")]
        )

    return correct


def best_drawn(k: int, sampler: Sampler, seed: int, loaded: LoadedRun, score: Score) -> Correct:
    """Compare the latents with k - 1 further draws and keep the best; `hand_env.best_of` draws all k itself."""
    judge = LogitScore(score)

    def rate(latents: Tensor) -> Scores:
        return np.concatenate(
            [score_latents(loaded.vae, judge, chunk.numpy()) for chunk in _chunks(latents, loaded, "Scoring")]
        )

    def correct(latents: Tensor) -> Tensor:
        others = (sampler.sample(len(latents), seed + further) for further in range(1, k))
        return keep_best(latents, others, rate)[0]

    return correct


def decoded(loaded: LoadedRun, latents: Tensor) -> Tensor:
    """Decode (n, D) latents to (n, 3, S, S) uint8 pictures on the CPU."""
    return decode_all(loaded.vae, latents, CHUNK[loaded.vae.log_variance.device.type])


def _chunks(latents: Tensor, loaded: LoadedRun, title: str) -> Iterator[Tensor]:
    return in_chunks(latents, CHUNK[loaded.vae.log_variance.device.type], title, "latents")
