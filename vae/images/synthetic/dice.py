"""Random numbers that belong to one picture each."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

DRAWS = 160
"""Uniform numbers thrown for each picture: a few more than anatomy, pose, look and defects use."""

GRID = 18
"""Nodes a side of the coarse grid from which skin texture is interpolated."""


@dataclass
class Dice:
    """Hand out the random numbers of a batch of pictures, column by column.

    Attributes:
        numbers: (n, DRAWS) float64 in [0, 1); row i depends on the seed and on the index of picture i only.
        used: How many columns have been handed out.
    """

    numbers: Tensor
    used: int = 0

    def uniform(self, low: float, high: float, count: int = 1) -> Tensor:
        """Return (n, count) float64 numbers, uniform in [low, high)."""
        columns = self.numbers[:, self.used : self.used + count]
        assert columns.shape[1] == count, "DRAWS is too small for what the pictures need."
        self.used += count
        return low + (high - low) * columns

    def normal(self, mean: float, std: float, count: int = 1) -> Tensor:
        """Return (n, count) float64 numbers, normal and cut at 2.2 standard deviations."""
        edge = math.erf(2.2 / math.sqrt(2.0))
        return mean + std * math.sqrt(2.0) * torch.erfinv(self.uniform(-edge, edge, count))

    def chance(self, probability: float) -> Tensor:
        """Return (n,) bool, true with the given probability."""
        return self.uniform(0.0, 1.0)[:, 0] < probability

    def choice(self, count: int) -> Tensor:
        """Return (n,) int64, uniform in 0..count-1."""
        return self.uniform(0.0, float(count))[:, 0].long()

    def rows(self, rows: Tensor) -> Dice:
        """Return the dice of some of the pictures, at the same column."""
        return Dice(self.numbers[rows], self.used)


def throw(seed: int, indices: range, size: int) -> tuple[Dice, Tensor, Tensor]:
    """Draw everything random about some pictures.

    Args:
        seed: >= 0.
        indices: The indices of the pictures in the endless sequence that the seed stands for.
        size: Pixels a side.

    Returns:
        The dice; (n, 1, GRID, GRID) float32, standard normal nodes of the skin texture;
        (n, 3, size, size) float32, standard normal sensor noise.
    """
    generators = [np.random.default_rng([seed, index]) for index in indices]
    numbers = np.stack([rng.random(DRAWS) for rng in generators])
    texture = np.stack([rng.standard_normal((1, GRID, GRID), dtype=np.float32) for rng in generators])
    noise = np.stack([rng.standard_normal((3, size, size), dtype=np.float32) for rng in generators])
    return Dice(torch.from_numpy(numbers)), torch.from_numpy(texture), torch.from_numpy(noise)
