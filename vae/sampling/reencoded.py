"""A sampler whose latents are decoded and encoded again: what its pictures are encoded to."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vae.model import VAE
from vae.sampling.flow import FlowPrior
from vae.sampling.sampler import Sampler

_TOGETHER = {"cpu": 32, "cuda": 256}  # latents


class Reencoded:
    """Pass another sampler's latents through the decoder and the encoder, again and again.

    Trained to encode what it decodes from latents with noise on them, an autoencoder carries a latent that lies beside
    those of its pictures towards them: the chain by which Bengio et al. (2013, "Generalized Denoising Auto-Encoders as
    Generative Models") draw samples, without the noise in between. A picture of two hands over one another becomes one
    of either.
    """

    def __init__(self, sampler: Sampler, vae: VAE, reencode_passes: int) -> None:
        """Take the parts.

        Args:
            sampler: Where latents come from.
            vae: Decodes and encodes them, on whatever device it is at the time.
            reencode_passes: How often, at least 0.
        """
        self.sampler, self.vae, self.reencode_passes = sampler, vae, reencode_passes

    @torch.no_grad()
    def sample(self, n: int, seed: int) -> Tensor:
        """Draw latents.

        Args:
            n: How many, >= 1.
            seed: >= 0.

        Returns:
            (n, latent) float32 on the CPU; with a pass or more they are posterior means of pictures.
        """
        latents = self.sampler.sample(n, seed)
        device = self.vae.log_variance.device
        chunks = torch.split(latents.to(device), _TOGETHER[device.type])
        return torch.cat([self._passed(chunk) for chunk in chunks]).cpu()

    def to(self, device: torch.device | str) -> Reencoded:
        """Move the VAE and, where it can be moved, the other sampler; what is drawn is on the CPU all the same."""
        for part in (self.vae, self.sampler):
            if isinstance(part, nn.Module | FlowPrior):
                part.to(device)
        return self

    def _passed(self, latents: Tensor) -> Tensor:
        for _ in range(self.reencode_passes):
            latents, _ = self.vae.encode(self.vae.decode(latents).float().clamp(0, 1))
        return latents
