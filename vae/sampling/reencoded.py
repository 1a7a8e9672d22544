"""Decode the latents of another sampler and encode them again."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vae.checks import check_between, integer
from vae.model import VAE
from vae.progress import in_chunks
from vae.sampling.flow import FlowPrior
from vae.sampling.sampler import Sampler

MAX_PASSES = 1000  # a pass costs as much as decoding and encoding all samples
CHUNK = {"cpu": 32, "cuda": 256}  # latents


class Reencoded:
    """Pass another sampler's latents through the decoder and the encoder, once or several times.

    A VAE learns to decode noisy latents. So each pass moves an unusual latent towards the latents of training pictures.
    This is the chain from which Bengio et al. (2013, "Generalized Denoising Auto-Encoders as Generative Models") draw
    samples, without the noise between passes. For example, a picture of two overlaid hands becomes a picture of one.
    """

    def __init__(self, sampler: Sampler, vae: VAE, reencode_passes: int) -> None:
        """Combine a sampler and a VAE.

        Args:
            sampler: Draws the latents.
            vae: Decodes and encodes the latents, on its current device.
            reencode_passes: Number of passes, 0..MAX_PASSES.

        Raises:
            TypeError: If the number of passes is no integer.
            ValueError: If the number of passes is out of range.
        """
        self.sampler, self.vae = sampler, vae
        self.reencode_passes = integer("reencode_passes", reencode_passes)
        check_between("reencode_passes", self.reencode_passes, 0, MAX_PASSES, advice="The recipe uses 1.")

    @torch.no_grad()
    def sample(self, n: int, seed: int) -> Tensor:
        """Draw latents.

        Args:
            n: Number of latents, >= 1.
            seed: >= 0.

        Returns:
            (n, latent) float32 on the CPU; after at least one pass they are posterior means of pictures.
        """
        latents = self.sampler.sample(n, seed)
        device = self.vae.log_variance.device
        chunks = in_chunks(latents.to(device), CHUNK[device.type], "Encoding again", "latents")
        return torch.cat([self.reencode(chunk) for chunk in chunks]).cpu()

    @torch.no_grad()
    def reencode(self, latents: Tensor) -> Tensor:
        """Decode and encode latents, as often as `reencode_passes` says.

        Args:
            latents: (n, latent) float32, on the VAE's device; all are decoded at once.

        Returns:
            (n, latent) float32, on the same device.
        """
        for _ in range(self.reencode_passes):
            latents, _ = self.vae.encode(self.vae.decode(latents).float().clamp(0, 1))
        return latents

    def to(self, device: torch.device | str) -> Reencoded:
        """Move the VAE and, if possible, the other sampler to a device; samples stay on the CPU."""
        for part in (self.vae, self.sampler):
            if isinstance(part, nn.Module | FlowPrior):
                part.to(device)
        return self
