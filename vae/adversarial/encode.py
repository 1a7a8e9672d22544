"""Encode pictures for the stages after VAE training: augmented training pictures, and held-out people's pictures."""

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from vae.adversarial.batches import Batches
from vae.evaluation import encode_all
from vae.images.image_set import to_float
from vae.model import VAE
from vae.progress import in_chunks, progress_bar

CHUNK = 256  # pictures at a time


@dataclass(frozen=True, eq=False)
class Posteriors:
    """Hold the posteriors of n pictures.

    Attributes:
        mean: (n, D) float32, posterior means.
        log_var: (n, D) float32, natural log of the posterior variances.
    """

    mean: Tensor
    log_var: Tensor

    def draw(self, n: int, generator: Generator) -> Tensor:
        """Draw (n, D) latents, each from the posterior of a picture chosen at random."""
        rows = torch.randint(0, len(self.mean), (n,), generator=generator, device=self.mean.device)
        noise = torch.randn(n, self.mean.shape[1], generator=generator, device=self.mean.device)
        return self.mean[rows] + torch.exp(0.5 * self.log_var[rows]) * noise

    def draw_each(self, generator: Generator) -> Tensor:
        """Draw (n, D) latents, one from the posterior of each picture, in order."""
        noise = torch.randn(self.mean.shape, generator=generator, device=self.mean.device)
        return self.mean + torch.exp(0.5 * self.log_var) * noise


@torch.no_grad()
def encode_varied(vae: VAE, batches: Batches, n: int, generator: Generator) -> Posteriors:
    """Encode n training pictures in random framing, light and pose: photographs, or synthetic hands if there are none.

    Args:
        vae: The model, on the generator's device.
        batches: Makes batches of the training pictures.
        n: Number of pictures, rounded up to a multiple of 256.
        generator: Source of random numbers.
    """
    real = CHUNK if batches.photographs is not None else 0
    times = progress_bar(range(-(-n // CHUNK)), "Encoding", unit=f"times {CHUNK} pictures")
    parts = [vae.encode(batches.batch(real, CHUNK - real, generator).images) for _ in times]
    return Posteriors(*(torch.cat(column) for column in zip(*parts, strict=True)))


def encode_as_they_are(vae: VAE, images: Tensor) -> Posteriors:
    """Encode (n, 3, S, S) uint8 pictures and their mirror images."""
    both = torch.cat([images, images.flip(3)])
    return Posteriors(*encode_all(vae, both.to(vae.log_variance.device), CHUNK))


@torch.no_grad()
def squared_error(vae: VAE, images: Tensor) -> float:
    """Return the mean squared error of (n, 3, S, S) uint8 pictures, decoded from their posterior means."""
    errors = []
    for chunk in in_chunks(images, CHUNK, "Measuring"):
        pictures = to_float(chunk.to(vae.log_variance.device))
        errors.append((vae.decode(vae.encode(pictures)[0]) - pictures).square().mean((1, 2, 3)))
    return float(torch.cat(errors).mean())
