"""Use a VAE without training it: measure its loss, encode all pictures of a set, decode latents to pictures."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from vae.checks import integer
from vae.images.image_set import to_float, to_uint8
from vae.loss import gaussian_reconstruction, kl_to_standard_normal
from vae.model import VAE
from vae.progress import in_chunks


@dataclass(frozen=True)
class Losses:
    """Hold the loss of some pictures, each in nats.

    Attributes:
        index: (batch,) int64, positions of the pictures among those measured.
        reconstruction: (batch,) float32, nats per image.
        kl: (batch,) float32, >= 0, nats per image.
        decoded: (batch, 3, S, S) float, the decoded pictures; None if not kept.
        without: The losses without the shift, with the same weights and noise; None if not measured.
    """

    index: Tensor
    reconstruction: Tensor
    kl: Tensor
    decoded: Tensor | None = None
    without: "Losses | None" = None

    @property
    def total(self) -> Tensor:
        """(batch,) float32, reconstruction + KL, nats per image."""
        return self.reconstruction + self.kl


@torch.no_grad()
def measure(vae: VAE, images: Tensor, generator: torch.Generator, batch_size: int = 128) -> Losses:
    """Measure a VAE's loss on pictures.

    Args:
        vae: The model.
        images: (image, 3, S, S) uint8 on the model's device.
        generator: Source of the latent noise, on the same device.
        batch_size: Pictures at a time; another value draws different noise.

    Returns:
        Losses of all pictures, in order.
    """
    parts: list[tuple[Tensor, Tensor]] = []
    for chunk in in_chunks(images, integer("batch_size", batch_size, 1), "Measuring"):
        pictures = to_float(chunk)
        mean, log_var = vae.encode(pictures)
        noise = torch.randn(mean.shape, generator=generator, device=mean.device)
        decoded = vae.decode(mean + torch.exp(0.5 * log_var) * noise)
        parts.append(
            (
                gaussian_reconstruction(decoded, pictures, vae.log_variance),
                kl_to_standard_normal(mean, log_var),
            )
        )
    reconstruction, kl = (torch.cat(column) for column in zip(*parts, strict=True))
    return Losses(torch.arange(len(images), device=images.device), reconstruction, kl)


@torch.no_grad()
def encode_all(vae: VAE, images: Tensor, batch_size: int = 128) -> tuple[Tensor, Tensor]:
    """Encode pictures in chunks.

    Args:
        vae: The model.
        images: (image, 3, S, S) uint8 on the model's device.
        batch_size: Pictures at a time; it only changes how much memory is used.

    Returns:
        Posterior means and log-variances, each (image, latent) float32 on that device.

    Raises:
        TypeError: If the pictures are not uint8.
        ValueError: If there are none.
    """
    if not len(images):
        raise ValueError("images must hold at least 1 picture to encode, got 0.")
    size = integer("batch_size", batch_size, 1)
    parts = [vae.encode(to_float(chunk)) for chunk in in_chunks(images, size, "Encoding")]
    mean, log_var = (torch.cat(column).float() for column in zip(*parts, strict=True))
    return mean, log_var


@torch.no_grad()
def decode_chunks(vae: VAE, latents: Tensor, batch_size: int, title: str = "Decoding") -> Iterator[Tensor]:
    """Decode latents in chunks.

    Args:
        vae: The model.
        latents: (n, latent) float32, on any device.
        batch_size: Latents at a time.
        title: What the progress is called.

    Yields:
        (up to batch_size, 3, S, S) float32 in [0, 1], on the model's device.
    """
    for chunk in in_chunks(latents, integer("batch_size", batch_size, 1), title):
        yield vae.decode(chunk.to(vae.log_variance.device)).float().clamp(0, 1)


def decode_all(vae: VAE, latents: Tensor, batch_size: int = 64) -> Tensor:
    """Decode latents to uint8 pictures, to view or to save.

    Args:
        vae: The model.
        latents: (n, latent) float32, on any device.
        batch_size: Latents at a time, >= 1.

    Returns:
        (n, 3, S, S) uint8 on the CPU, RGB in 0..255.

    Raises:
        ValueError: If the latents have another shape or are not finite.
    """
    if latents.ndim != 2 or latents.shape[1] != vae.latent_dim:
        raise ValueError(f"latents must have the shape (n, {vae.latent_dim}), got {tuple(latents.shape)}.")
    if not latents.isfinite().all():
        raise ValueError("latents must be finite, got NaN or infinity. Take a VAE or an agent that has not diverged.")
    return torch.cat([to_uint8(chunk).cpu() for chunk in decode_chunks(vae, latents, batch_size)])
