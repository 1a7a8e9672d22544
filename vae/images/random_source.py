"""Random numbers for a batch of pictures, from explicit generators: never from global state."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import numpy as np
import torch
from torch import Generator, Tensor

DRAWS = 160
"""Uniform numbers drawn for each synthetic picture: a few more than anatomy, pose, look and defects use."""

GRID = 18
"""Nodes a side of the coarse grid from which skin texture is interpolated."""


class RandomSource(ABC):
    """Give each of n pictures its own random numbers.

    Attributes:
        n: Number of pictures.
        device: Device of the numbers.
    """

    n: int
    device: torch.device

    @abstractmethod
    def columns(self, low: float, high: float, count: int = 1) -> Tensor:
        """Return (n, count) numbers, uniform in [low, high)."""

    @abstractmethod
    def choice(self, low: int, high: int) -> Tensor:
        """Return (n,) int64, uniform in low..high - 1."""

    def uniform(self, low: float, high: float) -> Tensor:
        """Return (n,) numbers, uniform in [low, high)."""
        return self.columns(low, high)[:, 0]

    def chance(self, probability: float) -> Tensor:
        """Return (n,) bool, true with the given probability."""
        return self.uniform(0.0, 1.0) < probability

    def sign(self) -> Tensor:
        """Return (n,) float32, -1 or 1."""
        return torch.where(self.chance(0.5), 1.0, -1.0)

    def normal(self, mean: float, std: float, count: int = 1) -> Tensor:
        """Return (n, count) numbers from a normal distribution, truncated at 2.2 standard deviations."""
        edge = math.erf(2.2 / math.sqrt(2.0))
        return mean + std * math.sqrt(2.0) * torch.erfinv(self.columns(-edge, edge, count))


class GeneratorSource(RandomSource):
    """Draw float32 numbers from one generator, for pictures that are edited as a batch."""

    def __init__(self, n: int, generator: Generator, rows: Tensor | None = None) -> None:
        """Store the generator, which is on the pictures' device.

        Args:
            n: Number of pictures in the batch.
            generator: Source of the numbers.
            rows: (m,) int64, the pictures to return numbers for. Numbers are drawn for the whole batch all the same, so
                that each picture gets its own wherever it is edited. None: all pictures.
        """
        self._drawn, self._rows = n, rows
        self.n, self.generator, self.device = n if rows is None else len(rows), generator, generator.device

    def columns(self, low: float, high: float, count: int = 1) -> Tensor:
        """Return (n, count) float32 in [low, high)."""
        return self._taken(
            low + (high - low) * torch.rand(self._drawn, count, generator=self.generator, device=self.device)
        )

    def choice(self, low: int, high: int) -> Tensor:
        """Return (n,) int64 in low..high - 1."""
        return self._taken(torch.randint(low, high, (self._drawn,), generator=self.generator, device=self.device))

    def _taken(self, numbers: Tensor) -> Tensor:
        return numbers if self._rows is None else numbers[self._rows]


class PictureSource(RandomSource):
    """Return float64 numbers that were drawn in advance: row i depends only on the seed and on picture i."""

    def __init__(self, numbers: Tensor, used: int = 0) -> None:
        """Store the numbers.

        Args:
            numbers: (n, DRAWS) float64 in [0, 1).
            used: Number of columns already used.
        """
        self.n, self.device, self.numbers, self.used = len(numbers), numbers.device, numbers, used

    def columns(self, low: float, high: float, count: int = 1) -> Tensor:
        """Return (n, count) float64 in [low, high)."""
        columns = self.numbers[:, self.used : self.used + count]
        assert columns.shape[1] == count, "DRAWS is too small for what the pictures need."
        self.used += count
        return low + (high - low) * columns

    def choice(self, low: int, high: int) -> Tensor:
        """Return (n,) int64 in low..high - 1."""
        return low + self.columns(0.0, float(high - low))[:, 0].long()

    def rows(self, rows: Tensor) -> PictureSource:
        """Return a source for some of the pictures, at the same column."""
        return PictureSource(self.numbers[rows], self.used)


def draw_for_pictures(seed: int, indices: range, size: int) -> tuple[PictureSource, Tensor, Tensor]:
    """Draw all random numbers of some synthetic pictures.

    Args:
        seed: >= 0.
        indices: Indices of the pictures in the seed's endless sequence.
        size: Pixels a side.

    Returns:
        The random source; (n, 1, GRID, GRID) float32, standard normal nodes of the skin texture;
        (n, 3, size, size) float32, standard normal sensor noise.
    """
    generators = [np.random.default_rng([seed, index]) for index in indices]
    numbers = np.stack([rng.random(DRAWS) for rng in generators])
    texture = np.stack([rng.standard_normal((1, GRID, GRID), dtype=np.float32) for rng in generators])
    noise = np.stack([rng.standard_normal((3, size, size), dtype=np.float32) for rng in generators])
    return PictureSource(torch.from_numpy(numbers)), torch.from_numpy(texture), torch.from_numpy(noise)
