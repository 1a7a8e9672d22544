"""The latents from which the episodes of a refiner's training start."""

from collections import deque
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from agents.rl.row_agent import ROUNDS
from vae.sampling.sampler import Sampler


class Starts:
    """A sampler that first returns latents from earlier episodes whose score rose but is still below `refine_below`.

    Generation (`hand_env.refine`) works the same way: a round starts from what the last round kept. An agent that never
    saw such latents in training was of little use from the second round on. Generation drops a correction that does not
    help, so its result is not used again here either.

    It knows the scores of the latents that it returns (`hand_env.refine_env.KnowsScores`), so the environment need not
    decode and judge them again.

    Use it only in a vector environment whose rows all start and end together. Unlike other samplers, it may draw
    different latents for the same seed, as long as latents are waiting for another round.
    """

    def __init__(
        self,
        sampler: Sampler,
        rows: int,
        refine_below: float,
        rounds: int = ROUNDS,
        known: Mapping[bytes, float] | None = None,
    ) -> None:
        """Start with no latents that wait for another round.

        Args:
            sampler: Draws the latents of first rounds.
            rows: Number of rows of the environment.
            refine_below: Latents that score at least this get no further round; infinity: all do.
            rounds: Largest number of rounds per latent.
            known: Scores of latents that the sampler draws, by their bytes.
        """
        self.sampler, self.refine_below, self.rounds = sampler, refine_below, rounds
        self.known: Mapping[bytes, float] = {} if known is None else known
        self._again: deque[tuple[Tensor, int, float]] = deque()  # latents, their next round, and their score
        self._scores: dict[bytes, float] = {}  # of those returned since the last step
        self._begun: deque[int] = deque(maxlen=rows)  # the rounds that started last, one per row
        self._running: NDArray[np.int64] = np.ones(rows, np.int64)  # the rounds whose ends `after_step` waits for
        self._gained = np.zeros(rows)  # their rewards so far

    def sample(self, n: int, seed: int) -> Tensor:
        """Return the latents that wait for another round, oldest first, and draw the rest.

        Args:
            n: Number of latents, >= 1.
            seed: >= 0, seed of the latents that are drawn.

        Returns:
            (n, D) float32.
        """
        again = [self._again.popleft() for _ in range(min(n, len(self._again)))]
        latents, rounds = [latent for latent, _, _ in again], [number for _, number, _ in again]
        self._scores |= {latent.numpy().tobytes(): score for latent, _, score in again}
        if len(again) < n:
            latents += list(self.sampler.sample(n - len(again), seed))
        self._begun.extend(rounds + [1] * (n - len(again)))
        return torch.stack(latents)

    def scores(self, latents: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return (n,) float64 scores of (n, D) latents that it has returned since the last step; NaN if it has none."""
        keys = (latent.tobytes() for latent in latents)
        return np.array([self._scores.get(key, self.known.get(key, np.nan)) for key in keys])

    def after_step(self, rewards: NDArray[Any], scores: NDArray[np.float64], ends: NDArray[np.float32] | None) -> None:
        """Record a step of all rows; if their episodes have ended, call this after the next ones have started.

        Args:
            rewards: (row,) rewards of this step.
            scores: (row,) float64, scores after the step.
            ends: (row, D) float32 corrected latents if the episodes have ended, else None.
        """
        self._gained += rewards
        if ends is None:
            return
        once_more = (self._gained > 0) & (scores < self.refine_below) & (self._running < self.rounds)
        for row in np.flatnonzero(once_more):
            self._again.append((torch.from_numpy(ends[row].copy()), int(self._running[row]) + 1, float(scores[row])))
        self._scores.clear()
        self._running, self._gained = np.array(self._begun), np.zeros(len(self._running))

    @property
    def later(self) -> float:
        """Fraction of the rows whose current episode is not a latent's first round."""
        return float(np.mean(self._running > 1))

    def state_dict(self) -> dict[str, Any]:
        """Copy into arrays what `load_state_dict` needs to resume."""
        latents = [latent.numpy() for latent, _, _ in self._again]
        return {
            "again": np.stack(latents) if latents else np.zeros((0, 0), np.float32),
            "next_rounds": np.array([number for _, number, _ in self._again], np.int64),
            "scores": np.array([score for _, _, score in self._again]),
            "running": self._running.copy(),
            "gained": self._gained.copy(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        again = (torch.from_numpy(np.array(latent)) for latent in state["again"])
        rounds, scores = (state[name].tolist() for name in ("next_rounds", "scores"))
        self._again = deque(zip(again, rounds, scores, strict=True))
        self._running, self._gained = np.array(state["running"]), np.array(state["gained"])
