"""Draw latents to decode: the interface, the paper's sampler, and a pool of latents drawn in advance."""

from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from vae.checks import integer
from vae.progress import progress_bar
from vae.seeds import seeded

CHUNK = 1024  # latents that a pool requests from its sampler in one call


class Sampler(Protocol):
    """Draw latents."""

    def sample(self, n: int, seed: int) -> Tensor:
        """Draw (n, latent) float32 on the CPU; the same seed draws the same latents."""
        ...


class StandardNormal:
    """The paper's sampler: the prior of the KL term, N(0, 1) in every dimension."""

    def __init__(self, latent_dim: int) -> None:
        """Store D, `latent_dim`."""
        self.latent_dim = latent_dim

    def sample(self, n: int, seed: int) -> Tensor:
        """Draw latents.

        Args:
            n: Number of latents, >= 1.
            seed: >= 0.

        Returns:
            (n, latent) float32.

        Raises:
            TypeError: If n is no integer.
            ValueError: If n is below 1.
        """
        return torch.randn(integer("n", n, 1), self.latent_dim, generator=seeded(seed))


class Pool:
    """Latents that a sampler has drawn in advance, in large batches.

    Environments ask for one latent at a time. With a sampler that runs a network, a single latent costs far more than
    a latent in a batch.
    """

    def __init__(self, sampler: Sampler, size: int, seed: int, progress: bool = False) -> None:
        """Draw the latents of the pool.

        Args:
            sampler: Draws the latents; arrays will do.
            size: Number of latents, at least 1.
            seed: >= 0.
            progress: Whether to show a progress bar outside `vae.progress.show_progress` too.
        """
        seeds = np.random.default_rng(seed)
        counts = [min(CHUNK, size - start) for start in range(0, size, CHUNK)]
        parts = progress_bar(counts, f"Drawing {size:,} latents", unit="parts", asked=progress)
        self.latents = torch.cat([torch.as_tensor(sampler.sample(n, int(seeds.integers(2**31)))) for n in parts])

    def sample(self, n: int, seed: int) -> Tensor:
        """Choose latents of the pool at random, each with the same probability.

        Args:
            n: Number of latents, >= 1.
            seed: >= 0.

        Returns:
            (n, latent) float32.
        """
        return self.latents[torch.randint(len(self.latents), (n,), generator=seeded(seed))]
