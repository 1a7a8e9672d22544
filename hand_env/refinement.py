"""Correct latents of a frozen VAE and keep only the corrections that help; or select the best of k latents."""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hand_env.anatomy.judge import default_judge
from hand_env.checks import check_action, check_judge, check_scale
from hand_env.scoring import ScoreFn, judge_pictures
from vae.checks import check_above_zero, check_not_nan, integer
from vae.evaluation import decode_chunks
from vae.model import VAE
from vae.progress import in_chunks
from vae.sampling.sampler import Sampler

Array = NDArray[np.float32]
Scores = NDArray[np.float64]

CHUNK = {"cpu": 64, "cuda": 1024}  # pictures at a time, so that memory does not grow with their number


class LogitScore:
    """Turn scores in [0, 1] into their log-odds, ln(s / (1 - s)), limited on both sides.

    Most latents start with a score near 0, where the score hardly changes but its log-odds do. The packaged judge gives
    log-odds of 3 to 4 to correctly drawn hands, and -12 to -8 to wrongly drawn hands.
    """

    def __init__(self, judge: ScoreFn | None = None, *, limit: float = 12.0) -> None:
        """Store the judge and the limit.

        Args:
            judge: A function from pictures to (batch,) scores in [0, 1]; None: the packaged judge "parser", on the
                pictures' device.
            limit: Above 0; log-odds are clipped to [-limit, limit].

        Raises:
            TypeError: If the judge is no function, or the limit is no number.
            ValueError: If the limit is not above 0.
        """
        check_judge(judge)
        check_above_zero(limit=limit)
        self.judge, self.limit = judge, limit

    def __call__(self, pictures: Tensor) -> Scores:
        """Judge pictures.

        Args:
            pictures: (batch, 3, S, S) float32 in [0, 1].

        Returns:
            (batch,) float64 log-odds in [-limit, limit], natural logarithm.

        Raises:
            ValueError: If a score is not in [0, 1].
        """
        judge = default_judge("parser", str(pictures.device)).score if self.judge is None else self.judge
        scores = judge_pictures(judge, pictures)
        if scores.min() < 0 or scores.max() > 1:
            worst = float(scores[np.argmax(np.abs(scores - 0.5))])
            raise ValueError(
                f"LogitScore needs a judge whose scores lie in [0, 1], got {worst!r}. Use the judge without it."
            )
        with np.errstate(divide="ignore"):
            odds: Scores = np.log(scores) - np.log1p(-scores)
        return odds.clip(-self.limit, self.limit)


class Agent(Protocol):
    """Choose actions, as any agent of Stable-Baselines3 does."""

    def predict(self, observation: Any, *, deterministic: bool) -> tuple[Any, Any]:
        """Return (n, D) actions in [-1, 1] for (n, ...) observations, and a state that is ignored."""
        ...


@runtime_checkable
class SeesPictures(Protocol):
    """An agent, or the `policy` of one, that decodes latents to look at their pictures, unless it is shown them."""

    def show(self, latents: Tensor, pictures: Tensor) -> None:
        """Take (n, 3, S, S) float32 pictures in [0, 1] of (n, D) latents, for the next time that it is asked."""
        ...


@dataclass(frozen=True, eq=False)
class Refined:
    """Hold the result of corrections.

    Attributes:
        latents: (n, D) float32 on the CPU: corrected where that raised the score, else unchanged.
        score_before: (n,) float64, scores of the unchanged latents.
        score: (n,) float64, scores of `latents`; never below `score_before`.
        corrected: (n,) bool, true where a correction was kept.
    """

    latents: Tensor
    score_before: Scores
    score: Scores
    corrected: NDArray[np.bool_]


def refine(
    agent: Agent,
    latents: Tensor,
    vae: VAE,
    judge: ScoreFn,
    *,
    delta_scale: float = 1.0,
    steps: int = 1,
    rounds: int = 1,
    refine_below: float = math.inf,
    seed: int | None = None,
) -> Refined:
    """Let an agent correct latents, and drop each correction that does not raise the score.

    Asked again about latents whose correction was dropped, an agent would answer the same. With a `seed`, the opposite
    of that correction is tried in the next round: where a small move lowers a score, its opposite often raises it. If
    that is dropped as well, a random correction follows, uniform within the same bound, then its opposite, and so on.
    Evolution strategies call this mirrored sampling with sequential selection (Brockhoff et al. 2010).

    Args:
        agent: Any object with Stable-Baselines3's `predict`, trained in `HandRefine-v0`. Its actions are deterministic.
        latents: (n, D) float32, for example from a sampler.
        vae: Decodes the latents; set it to evaluation mode first.
        judge: Decides which corrections are kept; see `HandRefineEnv`. Report the result with another judge.
        delta_scale: Kappa, as in the environment.
        steps: `steps_per_episode`, as in the environment.
        rounds: Number of episodes, at least 1. Each round starts from the latents that the last round kept, and keeps
            or drops its own corrections. Each row is decoded and judged once at the start and once per round. Agents
            that look at pictures are shown these. With several steps an episode, such an agent decodes for itself from
            the second step on.
        refine_below: Rows that score at least this are not corrected. Above some score, a correction raises the score
            without improving the picture.
        seed: Seed of random corrections, >= 0; None: only the agent corrects, and nothing is mirrored.

    Returns:
        The latents to use and their scores; this judge never scores them lower than without the agent.

    Raises:
        TypeError: If `rounds` or `steps` is no integer.
        ValueError: If `rounds` or `steps` is below 1, `refine_below` is NaN, or an action or a score is not valid.
    """
    check_not_nan(refine_below=refine_below)
    check_scale(delta_scale=delta_scale)
    rounds, steps = integer("rounds", rounds, 1), integer("steps", steps, 1)
    random = None if seed is None else np.random.default_rng(integer("seed", seed, 0))
    act = _Acting(agent, steps, delta_scale, random)
    start, chunk = latents.detach().float().cpu(), CHUNK[vae.log_variance.device.type]
    parts = [
        _refine_some(act, some.numpy(), vae, judge, rounds, refine_below)
        for some in in_chunks(start, chunk, "Correcting latents", "latents")
    ]
    kept, before, after = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Refined(torch.from_numpy(kept), before, after, after > before)


@dataclass(frozen=True, eq=False)
class _Acting:
    """An agent's corrections, their opposites, or random ones."""

    agent: Agent
    steps: int
    delta_scale: float
    random: np.random.Generator | None

    def __call__(self, latents: Array, pictures: Tensor, dropped: Array, failed: NDArray[np.int64]) -> Array:
        """Correct latents in an episode.

        Args:
            latents: (n, D).
            pictures: (n, 3, S, S), what they are decoded to.
            dropped: (n, D), the last correction of each row, which was dropped if `failed` is above 0.
            failed: (n,), how many corrections of a row were dropped, one after the other.

        Returns:
            (n, D).
        """
        for holder in (self.agent, getattr(self.agent, "policy", None)):
            if isinstance(holder, SeesPictures):
                holder.show(torch.from_numpy(latents), pictures)
        moved = latents
        for left in range(self.steps, 0, -1):
            seen = observe(moved, np.full(len(latents), left), self.steps)
            action, _ = self.agent.predict(seen, deterministic=True)
            action = check_action(action, latents.shape)
            if self.random is not None:
                drawn = self.random.uniform(-1, 1, latents.shape).astype(np.float32)
                action = np.where(failed[:, None] > 0, drawn, action)
            moved = correct(moved, action, self.delta_scale)
        if self.random is None:
            return moved
        return np.where(failed[:, None] % 2 == 1, latents - dropped, moved)


def _refine_some(
    act: _Acting, latents: Array, vae: VAE, judge: ScoreFn, rounds: int, refine_below: float
) -> tuple[Array, Scores, Scores]:
    """Correct (n, D) latents, few enough to keep their pictures; return what is kept, and scores before and after."""
    kept, pictures = latents.copy(), decode(vae, latents)
    before = judge_pictures(judge, pictures.clone())  # a judge may write into what it gets; the agent sees these
    score, dropped, failed = before.copy(), np.zeros_like(latents), np.zeros(len(latents), np.int64)
    for _ in range(rounds):
        rows = np.flatnonzero(score < refine_below)
        if not len(rows):
            break
        after = act(kept[rows], pictures[rows], dropped[rows], failed[rows])
        drawn = decode(vae, after)
        reached = judge_pictures(judge, drawn.clone())
        better = reached > score[rows]  # False for equal
        dropped[rows], failed[rows] = after - kept[rows], np.where(better, 0, failed[rows] + 1)
        better_rows = rows[better]
        kept[better_rows], score[better_rows], pictures[better_rows] = after[better], reached[better], drawn[better]
    return kept, before, score


def best_of(sampler: Sampler, k: int, n: int, seed: int, vae: VAE, judge: ScoreFn) -> tuple[Tensor, Scores]:
    """Draw k latents for each latent wanted and return the best one, without an agent.

    It decodes and judges k times as many pictures. This is selection, not correction: say so wherever you show the
    pictures.

    Args:
        sampler: Where latents are drawn from.
        k: Draws for each latent, at least 1.
        n: Number of latents wanted, at least 1.
        seed: >= 0.
        vae: Decodes the latents.
        judge: Decides which latent is best; see `HandRefineEnv`.

    Returns:
        (n, D) float32 latents on the CPU, and their (n,) scores.

    Raises:
        TypeError: If k or n is no integer.
        ValueError: If k or n is below 1.
    """
    k, n = integer("k", k, 1), integer("n", n, 1)
    best, *others = sampler.sample(k * n, seed).reshape(k, n, -1)  # k of (n, D)
    return keep_best(best, others, lambda latents: score_latents(vae, judge, latents.numpy()))


def keep_best(latents: Tensor, others: Iterable[Tensor], score: Callable[[Tensor], Scores]) -> tuple[Tensor, Scores]:
    """Take each row from the candidate whose score is highest there; the first wins a tie.

    Args:
        latents: (n, D), the first candidate.
        others: Further candidates, (n, D) each.
        score: Maps (n, D) latents to (n,) scores, higher is better.

    Returns:
        (n, D) rows and their (n,) scores.
    """
    best, reached = latents, score(latents)
    for other in others:
        best, reached = keep_better(best, other, reached, score(other))
    return best, reached


def keep_better(before: Tensor, after: Tensor, score_before: Scores, score_after: Scores) -> tuple[Tensor, Scores]:
    """Take each row from `after` if its score is higher there, else from `before`.

    Args:
        before: (n, D).
        after: (n, D).
        score_before: (n,), higher is better.
        score_after: (n,).

    Returns:
        (n, D) rows and their (n,) scores.
    """
    better = score_after > score_before  # False for equal
    rows = torch.where(torch.from_numpy(better).unsqueeze(1), after, before)
    return rows, np.where(better, score_after, score_before)


def correct(latents: Array, action: Array, delta_scale: float) -> Array:
    """Return latents + kappa * action, float32 of the same shape.

    Raises:
        ValueError: If float32 cannot hold the result.
    """
    with np.errstate(over="ignore"):
        corrected: Array = latents + np.float32(delta_scale) * action
    if not np.isfinite(corrected).all():
        raise ValueError(f"Corrected latents must be finite in float32; lower delta_scale, now {delta_scale!r}.")
    return corrected


def observe(latents: Array, left: NDArray[np.int64], steps: int) -> Array:
    """Return latents and, if an episode has several steps, the fraction of the steps that is left.

    Args:
        latents: (n, D) float32.
        left: (n,) int, steps left.
        steps: Steps per episode.

    Returns:
        A copy, (n, D) float32, or (n, D + 1) if `steps` is above 1.
    """
    if steps == 1:
        return latents.copy()
    return np.column_stack([latents, left / steps]).astype(np.float32)


def decode(vae: VAE, latents: Array) -> Tensor:
    """Decode (n, D) float32 latents to (n, 3, S, S) float32 pictures in [0, 1] on the VAE's device."""
    return torch.cat(list(_decoded(vae, latents)))


def score_latents(vae: VAE, judge: ScoreFn, latents: Array) -> Scores:
    """Decode (n, D) float32 latents and judge the pictures, at most `CHUNK` of them at a time: (n,) float64."""
    return np.concatenate([judge_pictures(judge, pictures) for pictures in _decoded(vae, latents)])


def _decoded(vae: VAE, latents: Array) -> Iterator[Tensor]:
    return decode_chunks(vae, torch.from_numpy(latents), CHUNK[vae.log_variance.device.type], "Scoring")
