"""Where the episodes of a refiner's training begin."""

from collections import deque
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from agents.rl.row_agent import ROUNDS
from vae.sampling.sampler import Sampler


class Starts:
    """Latents of a sampler, and before them what earlier episodes have raised, but not enough.

    As in generation (`hand_env.refine`), where a round begins with what the one before has kept: an agent that never
    saw that in training was of little use from the second round on. A correction that did not help is dropped
    there, so what comes of it is not seen again here.

    It is the sampler of a vector environment whose rows all begin and end together, and of that alone: unlike others
    it does not draw the same for the same seed while there is something to be tried again.
    """

    def __init__(self, sampler: Sampler, rows: int, refine_below: float, rounds: int = ROUNDS) -> None:
        """Begin with nothing to try again.

        Args:
            sampler: Where first rounds begin.
            rows: Of the environment.
            refine_below: A score that needs no further round; infinity: all do.
            rounds: Most rounds that a latent goes through.
        """
        self.sampler, self.refine_below, self.rounds = sampler, refine_below, rounds
        self._again: deque[tuple[Tensor, int]] = deque()  # latents, and the round that comes next
        self._begun: deque[int] = deque(maxlen=rows)  # the rounds that were begun last, one a row
        self._running: NDArray[np.int64] = np.ones(rows, np.int64)  # the rounds whose ends are to be told
        self._gained = np.zeros(rows)  # in them, so far

    def sample(self, n: int, seed: int) -> Tensor:
        """Return what is to be tried again, oldest first, and draw the rest.

        Args:
            n: How many, >= 1.
            seed: >= 0; of what is drawn.

        Returns:
            (n, D) float32.
        """
        again = [self._again.popleft() for _ in range(min(n, len(self._again)))]
        latents, rounds = [latent for latent, _ in again], [number for _, number in again]
        if len(again) < n:
            latents += list(self.sampler.sample(n - len(again), seed))
        self._begun.extend(rounds + [1] * (n - len(again)))
        return torch.stack(latents)

    def after_step(self, rewards: NDArray[Any], scores: NDArray[np.float64], ends: NDArray[np.float32] | None) -> None:
        """Take in a step of all rows, once the next episodes, if these have ended, have begun.

        Args:
            rewards: (row,) of this step.
            scores: (row,) float64, after it.
            ends: (row, D) float32 latents, as corrected, where the episodes have ended; else None.
        """
        self._gained += rewards
        if ends is None:
            return
        once_more = (self._gained > 0) & (scores < self.refine_below) & (self._running < self.rounds)
        for row in np.flatnonzero(once_more):
            self._again.append((torch.from_numpy(ends[row].copy()), int(self._running[row]) + 1))
        self._running, self._gained = np.array(self._begun), np.zeros(len(self._running))

    @property
    def later(self) -> float:
        """Share of the rows whose running episode is not a latent's first round."""
        return float(np.mean(self._running > 1))

    def state_dict(self) -> dict[str, Any]:
        """Copy into arrays what `load_state_dict` needs to go on."""
        latents = [latent.numpy() for latent, _ in self._again]
        return {
            "again": np.stack(latents) if latents else np.zeros((0, 0), np.float32),
            "next_rounds": np.array([number for _, number in self._again], np.int64),
            "running": self._running.copy(),
            "gained": self._gained.copy(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` returned."""
        again = (torch.from_numpy(np.array(latent)) for latent in state["again"])
        self._again = deque(zip(again, (int(number) for number in state["next_rounds"]), strict=True))
        self._running, self._gained = np.array(state["running"]), np.array(state["gained"])
