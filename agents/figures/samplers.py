"""Fit the samplers whose hands stand beside each other: what acting on the latents wins depends on the sampler."""

from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from vae.adversarial.encode import Posteriors, encode_as_they_are
from vae.evaluation import encode_all
from vae.images import augment, to_float
from vae.model import VAE
from vae.optim import stream_seed
from vae.sampling.flow import FlowPrior, fit_flow
from vae.sampling.mixture import Mixture
from vae.sampling.sampler import Sampler, StandardNormal

SAMPLERS = ("normal", "mixture", "prior", "settled")
LEARNED = ("prior", "settled")
PRIOR_STEPS = 3000
TEMPERATURE, FINAL_DENOISE = 0.9, 0.4  # of "settled", as in `handlatent recipe`
VARIED = 16_384  # augmented training pictures that the learned prior is fitted to
_CHUNK = 256  # pictures encoded at a time
_VARY, _HELD_OUT = 16, 17  # purposes of random numbers; the trainer and the environments have 0 to 5


def fit_samplers(
    names: Sequence[str], vae: VAE, training: Tensor, held_out: Tensor, seed: int, prior_steps: int = PRIOR_STEPS
) -> dict[str, Sampler]:
    """Fit samplers to a trained VAE.

    - "normal" is the standard normal, as in the paper.
    - "mixture" is `Mixture`, up to 32 Gaussians, fitted to the latents of the training pictures as they are.
    - "prior" is `FlowPrior`, fitted to the latents of training pictures under the augmentation of the training.
    - "settled" is the same prior at temperature 0.9, whose last 0.4 one denoising step replaces.

    Args:
        names: Names from `SAMPLERS`.
        vae: The VAE with averaged weights.
        training: (n, 3, S, S) uint8, its training pictures, on its device.
        held_out: (m, 3, S, S) uint8, pictures of other people, which choose the learned prior's best weights.
        seed: Seed of the fits.
        prior_steps: Training steps of the learned prior.

    Returns:
        The samplers by name, in the order of `names`.
    """
    found: dict[str, Sampler] = {}
    if "normal" in names:
        found["normal"] = StandardNormal(vae.latent_dim)
    if "mixture" in names:
        found["mixture"] = Mixture.fit(*encode_all(vae, training, _CHUNK), seed=seed)
    if set(LEARNED) & set(names):
        plain = _fit_prior(vae, training, held_out, seed, prior_steps)
        found["prior"] = plain
        found["settled"] = FlowPrior(plain.velocity, plain.mean, plain.scale, TEMPERATURE, FINAL_DENOISE)
    return {name: found[name] for name in names}


def _fit_prior(vae: VAE, training: Tensor, held_out: Tensor, seed: int, steps: int) -> FlowPrior:
    device = vae.log_variance.device
    posteriors = _encode_augmented(vae, training, Generator(device).manual_seed(stream_seed(seed, _VARY)))
    others = encode_as_they_are(vae, held_out)
    noise = torch.randn(
        others.mean.shape, generator=Generator(device).manual_seed(stream_seed(seed, _HELD_OUT)), device=device
    )
    prior, _ = fit_flow(posteriors.draw, others.mean + torch.exp(0.5 * others.log_var) * noise, steps=steps, seed=seed)
    return prior


@torch.no_grad()
def _encode_augmented(vae: VAE, training: Tensor, generator: Generator) -> Posteriors:
    """Encode every training picture about equally often, `VARIED` in all, each time moved in another way."""
    order = torch.arange(max(VARIED, len(training)), device=training.device) % len(training)
    parts = [vae.encode(augment(to_float(training[rows]), generator)) for rows in torch.split(order, _CHUNK)]
    return Posteriors(*(torch.cat(column) for column in zip(*parts, strict=True)))
