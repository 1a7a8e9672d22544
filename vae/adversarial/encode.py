"""What the other stages need of the trained VAE: latents of pictures as they vary, and of other people's."""

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from vae.adversarial.batches import Batches
from vae.model import VAE

CHUNK = 256  # pictures at a time


@dataclass(frozen=True, eq=False)
class Posteriors:
    """Hold posteriors of pictures.

    Attributes:
        mean: (n, D) float32.
        log_var: (n, D) float32.
    """

    mean: Tensor
    log_var: Tensor

    def draw(self, n: int, generator: Generator) -> Tensor:
        """Draw (n, D) latents, each from the posterior of a picture chosen at random."""
        rows = torch.randint(0, len(self.mean), (n,), generator=generator, device=self.mean.device)
        noise = torch.randn(n, self.mean.shape[1], generator=generator, device=self.mean.device)
        return self.mean[rows] + torch.exp(0.5 * self.log_var[rows]) * noise


@torch.no_grad()
def encode_varied(vae: VAE, batches: Batches, n: int, generator: Generator) -> Posteriors:
    """Encode n training pictures, each in another frame, light and pose: photographs, or drawn hands if there are none.

    Args:
        vae: On the generator's device.
        batches: Of the training pictures.
        n: How many, rounded up to a multiple of 256.
        generator: On the device.
    """
    real = CHUNK if batches.photographs is not None else 0
    parts = [vae.encode(batches.batch(real, CHUNK - real, generator).images) for _ in range(-(-n // CHUNK))]
    return Posteriors(*(torch.cat(column) for column in zip(*parts, strict=True)))


@torch.no_grad()
def encode_as_they_are(vae: VAE, images: Tensor) -> Posteriors:
    """Encode (n, 3, S, S) uint8 pictures and their mirror images."""
    both = torch.cat([images, images.flip(3)])
    device = vae.log_variance.device
    parts = [vae.encode(chunk.to(device).float() / 255) for chunk in torch.split(both, CHUNK)]
    return Posteriors(*(torch.cat(column) for column in zip(*parts, strict=True)))


@torch.no_grad()
def squared_error(vae: VAE, images: Tensor) -> float:
    """Return the mean squared error of (n, 3, S, S) uint8 pictures' decodings, of the posterior means."""
    errors = []
    for chunk in torch.split(images, CHUNK):
        pictures = chunk.to(vae.log_variance.device).float() / 255
        errors.append((vae.decode(vae.encode(pictures)[0]) - pictures).square().mean((1, 2, 3)))
    return float(torch.cat(errors).mean())
