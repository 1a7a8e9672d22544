"""Fit the first learned prior, to latents of the encoder as it is from the last part of the VAE's training on."""

import sys
from dataclasses import dataclass

from torch import Generator, Tensor

from agents.commands.recipe.args import RecipeArgs
from agents.commands.recipe.pictures import RecipePictures
from vae.adversarial.batches import Batches
from vae.adversarial.encode import Posteriors, encode_as_they_are, encode_varied
from vae.loss import kl_to_standard_normal
from vae.model import VAE
from vae.progress import say
from vae.sampling.flow import FlowPrior
from vae.sampling.flow_fit import Log, fit_flow
from vae.seeds import Purpose, stream_seed

POOL = 32_768  # most of its latents that the decoder learns to decode


@dataclass(frozen=True, eq=False)
class FirstPrior:
    """A prior that was fitted to what pictures are encoded to, and that.

    Attributes:
        posteriors: What augmented pictures are encoded to; it was fitted to these.
        validation_kl: Mean KL divergence of other people's pictures, nats per picture.
        flow: The prior.
        log: Its training.
    """

    posteriors: Posteriors
    validation_kl: float
    flow: FlowPrior
    log: Log


def fit_first_prior(args: RecipeArgs, vae: VAE, material: RecipePictures, batches: Batches) -> FirstPrior:
    """Encode pictures and fit a prior to their latents, which keeps the weights that fit other people's best.

    Once the VAE's encoder is frozen, this gives the same at any time: it depends on nothing but the encoder and seeds.
    """
    device = vae.log_variance.device
    generator = Generator(device).manual_seed(stream_seed(args.seed, Purpose.RECIPE_VARIED))
    posteriors = encode_varied(vae, batches, args.varied, generator)
    others = encode_as_they_are(vae, material.others)
    held_out = others.draw_each(generator)
    say("The learned prior", sys.stdout)
    flow, log = fit_flow(posteriors.draw, held_out, steps=args.flow_steps, seed=args.seed)
    divergence = kl_to_standard_normal(others.mean, others.log_var).mean()
    return FirstPrior(posteriors, float(divergence), flow, log)


def pool(args: RecipeArgs, first: FirstPrior) -> Tensor:
    """Draw latents for the decoder to learn from, (n, D) float32."""
    return first.flow.sample(min(POOL, args.varied), stream_seed(args.seed, Purpose.RECIPE_POOL) % 2**31)
