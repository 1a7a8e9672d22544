"""Imitate generated pictures: small VAEs, trained for less than a minute, decode pictures like those to be judged.

There are two VAEs:

- The first is trained on photographs only, and its reconstructions are correct hands with a VAE's artefacts. So are
  decoded latents near a photograph's, where the result is still close to the photograph in every part. Hands that
  it decodes from Gaussian or interpolated latents are wrong in the same ways as generated hands. By eye, 0 of 122 such
  samples were right.
- The second is also trained on malformed hands and reconstructs them as they are. So a VAE's artefacts alone do not
  show whether a hand is correct.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from vae.device import reduced_precision
from vae.images.labelled.hands import Hands, nothing_known
from vae.images.labelled.style import resized
from vae.images.random_source import GeneratorSource
from vae.loss import gaussian_reconstruction, kl_to_standard_normal
from vae.model import VAE, VAEConfig, Width, build_vae
from vae.optim import VARIANCE_DECAY, follow_variance, set_rate
from vae.progress import in_chunks, progress_bar

SIZE = 64
CHUNK = 256  # pictures encoded at a time
SMALLEST_VARIANCE = 1e-5  # of a pixel; ten times that of `vae.training`, whose VAEs learn for longer
FAITHFUL = 0.005  # largest mean squared error at which a reconstruction keeps the labels of its picture
FAITHFUL_HERE = 0.02  # the same for the worst square of `HERE` pixels of a moved latent; a finger that is gone has more
HERE = 8


class Imitator:
    """Hold a VAE and, after `fit`, the Gaussian of its latents."""

    def __init__(self, seed: int, device: str, width: Width = "large") -> None:
        """Build the VAE without training it."""
        self.vae: VAE = build_vae(VAEConfig(SIZE, 300, width), seed).to(device)
        self.device = torch.device(device)
        self.mean = torch.zeros(300, device=device)
        self.factor = torch.eye(300, device=device)
        self.steps = 0

    def train(
        self, pictures: Callable[[], Tensor], seconds: float, generator: Generator, *, rate: float = 5e-4
    ) -> float:
        """Train for a given time.

        Args:
            pictures: Returns a batch, (n, 3, S, S) float32 in [0, 1].
            seconds: Duration of the training.
            generator: Source of the latent noise, on the device.
            rate: Peak of the learning rate, which decreases almost to 0 during the training.

        Returns:
            Mean squared error of the last batch.
        """
        optimizer = torch.optim.AdamW(self.vae.parameters(), rate, (0.9, 0.99))
        error = torch.ones((), device=self.device)
        for share in _passing(seconds):
            set_rate(optimizer, rate * min(1.0, (self.steps + 1) / 100) * (1.02 - share))
            images = resized(pictures(), SIZE)
            with reduced_precision(self.device):
                mean, log_var = self.vae.encode(images)
                decoded = self.vae.decode(
                    mean + torch.exp(0.5 * log_var) * torch.randn(mean.shape, generator=generator, device=mean.device)
                )
            error = (decoded.detach().float() - images).square().mean()
            loss = gaussian_reconstruction(decoded.float(), images, self.vae.log_variance)
            loss = (loss + kl_to_standard_normal(mean, log_var)).mean() / images[0].numel()
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.vae.parameters(), 1.0)
            optimizer.step()
            decay = VARIANCE_DECAY if self.steps else 0.0
            follow_variance(self.vae.log_variance, error, decay, SMALLEST_VARIANCE)
            self.steps += 1
        return float(error)

    @torch.no_grad()
    def fit(self, images: Tensor) -> None:
        """Fit the Gaussian to the latents of pictures, which are (n, 3, S, S) uint8."""
        parts = [
            self.vae.encode(resized(part.to(self.device).float() / 255, SIZE))
            for part in in_chunks(images, CHUNK, "Encoding")
        ]
        mean, log_var = (torch.cat([part[k] for part in parts]) for k in (0, 1))
        self.mean = mean.mean(0)
        centred = mean - self.mean
        covariance = centred.T @ centred / len(mean) + torch.diag(log_var.exp().mean(0))
        self.factor = torch.linalg.cholesky(covariance + 1e-4 * torch.eye(300, device=self.device))

    @torch.no_grad()
    def reconstruct(self, hands: Hands, random: GeneratorSource | None = None) -> None:
        """Replace pictures by their reconstructions, and drop labels that may no longer hold; edits the hands.

        Args:
            hands: Hands with float images.
            random: Random numbers to move half of the latents a little, so that correct hands look like samples too;
                None: latents stay where they are.
        """
        images = resized(hands.images, SIZE)
        latents, log_var = self.vae.encode(images)
        if random is not None:
            latents = self._moved(latents, log_var, random)
        decoded = self.vae.decode(latents).float().clamp(0, 1)
        error = (decoded - images).square().mean(1, keepdim=True)
        far = error.mean((1, 2, 3)) > FAITHFUL
        if random is not None:
            far = far | (F.avg_pool2d(error, HERE, HERE // 2).amax((1, 2, 3)) > FAITHFUL_HERE)
        hands.images = resized(decoded, hands.images.shape[-1])
        hands.whole[far], hands.hand[far] = torch.nan, torch.nan
        hands.states[far], hands.extra[far] = -1, -1

    def _moved(self, latents: Tensor, log_var: Tensor, random: GeneratorSource) -> Tensor:
        """Move half of the latents: by posterior noise, towards another picture or towards a Gaussian sample."""
        noise = torch.randn(latents.shape, generator=random.generator, device=random.device)
        posterior = latents + random.uniform(0.5, 1.5).unsqueeze(1) * torch.exp(0.5 * log_var) * noise
        share = random.uniform(0.05, 0.45).unsqueeze(1)
        other = torch.lerp(latents, latents.roll(1, 0), share)
        gaussian = torch.lerp(latents, self.mean + noise @ self.factor.T, share)
        kind = random.choice(0, 6).unsqueeze(1)
        moved = torch.where(kind == 0, posterior, torch.where(kind == 1, other, gaussian))
        return torch.where(kind < 3, moved, latents)

    @torch.no_grad()
    def sample(self, hands: Hands, others: Hands, random: GeneratorSource) -> Hands:
        """Decode latents that encode no hand: Gaussian, standard normal, and interpolated between two hands."""
        latents, _ = self.vae.encode(resized(hands.images, SIZE))
        far, _ = self.vae.encode(resized(others.images, SIZE))
        noise = torch.randn(latents.shape, generator=random.generator, device=random.device)
        between = torch.lerp(latents, far, random.uniform(0.35, 0.65).unsqueeze(1))
        gaussian = self.mean + noise @ self.factor.T
        near = torch.lerp(gaussian, latents, random.uniform(0.0, 0.35).unsqueeze(1))
        kind = random.choice(0, 5).unsqueeze(1)
        chosen = torch.where(kind == 0, noise, torch.where(kind == 1, between, torch.where(kind == 2, near, gaussian)))
        images = self.vae.decode(chosen).float().clamp(0, 1)
        made = nothing_known(resized(images, hands.images.shape[-1]))
        unclear = (kind[:, 0] == 1) & ((hands.images - others.images).abs().mean((1, 2, 3)) < 0.08)
        made.whole = torch.where(unclear, torch.full_like(made.whole, torch.nan), made.whole)
        return made


def _passing(seconds: float) -> Iterator[float]:
    """Yield the share of the time that has passed, until all has."""
    start = time.monotonic()
    with progress_bar(title="Training an imitator", unit="ms", total=round(1000 * seconds)) as bar:
        while (share := (time.monotonic() - start) / seconds) < 1:
            bar.update(round(1000 * share * seconds) - bar.n)
            yield share
        bar.update(bar.total - bar.n)
