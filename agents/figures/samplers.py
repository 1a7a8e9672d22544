"""Fit the samplers that are compared: what acting on the latents gains depends on the sampler.

- "normal" is the standard normal, as in the paper.
- "mixture" is `Mixture`, up to 32 Gaussians.
- "prior" is `FlowPrior`, the learned prior.
- "denoised" is the learned prior at temperature 0.9, whose last 0.4 one denoising step replaces.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from vae.adversarial.encode import Posteriors, encode_as_they_are
from vae.evaluation import encode_all
from vae.images import augment, to_float
from vae.model import VAE
from vae.progress import in_chunks
from vae.sampling.flow import FlowPrior
from vae.sampling.flow_fit import fit_flows
from vae.sampling.mixture import Mixture
from vae.sampling.sampler import Sampler
from vae.seeds import Purpose, stream_seed

SAMPLERS = ("normal", "mixture", "prior", "denoised")
LEARNED = ("prior", "denoised")
PRIOR_STEPS = 3000
TEMPERATURE, FINAL_DENOISE = 0.9, 0.4  # of "denoised"
VARIED = 16_384  # augmented training pictures that the learned prior is fitted to
CHUNK = 256  # pictures encoded at a time


@dataclass(frozen=True, eq=False)
class TrainedVAE:
    """A trained VAE and what its samplers are fitted to, on one device.

    Attributes:
        vae: The VAE with averaged weights.
        training: (n, 3, S, S) uint8, its training pictures.
        held_out: (m, 3, S, S) uint8, pictures of other people, which choose the learned prior's best weights.
        seed: Seed of the fits.
    """

    vae: VAE
    training: Tensor
    held_out: Tensor
    seed: int


def fit_mixture(subject: TrainedVAE) -> Mixture:
    """Fit `Mixture`, up to 32 Gaussians, to the latents of the training pictures as they are."""
    return Mixture.fit(*encode_all(subject.vae, subject.training, CHUNK), seed=subject.seed)


def fit_priors(subjects: Sequence[TrainedVAE], steps: int = PRIOR_STEPS) -> list[dict[str, Sampler]]:
    """Fit learned priors side by side, each to the latents of training pictures under the training's augmentation.

    Args:
        subjects: K VAEs with equally many held-out pictures.
        steps: Training steps of the priors.

    Returns:
        K pairs: "prior", and "denoised", the same network with a lower temperature and a final denoising step.
    """
    fitted = fit_flows(
        [_encode_augmented(own).draw for own in subjects],
        [_draw_held_out(own) for own in subjects],
        seeds=[own.seed for own in subjects],
        steps=steps,
    )
    return [
        {"prior": plain, "denoised": FlowPrior(plain.velocity, plain.mean, plain.scale, TEMPERATURE, FINAL_DENOISE)}
        for plain, _ in fitted
    ]


@torch.no_grad()
def _draw_held_out(subject: TrainedVAE) -> Tensor:
    others = encode_as_they_are(subject.vae, subject.held_out)
    return others.draw_each(_generator(subject, Purpose.FIGURES_HELD_OUT))


@torch.no_grad()
def _encode_augmented(subject: TrainedVAE) -> Posteriors:
    """Encode every training picture about equally often, `VARIED` in all, each time moved in another way."""
    training, generator = subject.training, _generator(subject, Purpose.FIGURES_VARIED)
    order = torch.arange(max(VARIED, len(training)), device=training.device) % len(training)
    some = in_chunks(order, CHUNK, "Encoding")
    parts = [subject.vae.encode(augment(to_float(training[rows]), generator)) for rows in some]
    return Posteriors(*(torch.cat(column) for column in zip(*parts, strict=True)))


def _generator(subject: TrainedVAE, purpose: Purpose) -> Generator:
    device = subject.vae.log_variance.device
    return Generator(device).manual_seed(stream_seed(subject.seed, purpose))
