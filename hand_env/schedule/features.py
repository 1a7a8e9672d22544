"""HandSchedule-v0's observation: where a VAE's training stands, and how it goes, in numbers around 1."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hand_env.drawn_score import MOST_ENCODED
from vae.evaluation import encode_all
from vae.loss import kl_to_standard_normal
from vae.training import Trainer

Array = NDArray[np.float32]

FEATURES = (
    "share of the training that is done",
    "log10 of N, the number of training pictures, / 4",
    "log10 of the training's steps / 4",
    "B / N, the minibatch's share of the training pictures",
    "loss per pixel value",
    "its change since the stretch before",
    "log10 of the variance of the pixels around a decoded picture, / 4",
    "KL per dimension of the latents",
    "spread of the latents: standard deviation of the posterior means over pictures, mean over dimensions",
    "mean standard deviation of the posteriors",
    "W",
    "the last action's reach",
    "the last action's mix",
    "the last action's pull",
)


@dataclass(frozen=True)
class Latents:
    """Summarise where an encoder puts pictures.

    Attributes:
        kl: Nats per dimension, mean over pictures: of the posteriors themselves, without a shift.
        spread: Standard deviation of the posterior means over pictures, mean over dimensions.
        deviation: Standard deviation of the posteriors, mean over pictures and dimensions.
    """

    kl: float
    spread: float
    deviation: float

    @classmethod
    @torch.no_grad()
    def measure(cls, trainer: Trainer, posteriors: tuple[Tensor, Tensor] | None) -> "Latents":
        """Summarise the latents of up to `MOST_ENCODED` training pictures.

        Args:
            trainer: Holds the averaged weights and the pictures.
            posteriors: Means and log-variances of those pictures, each (image, latent), if they are known already.
        """
        if posteriors is None:
            posteriors = encode_all(trainer.averaged_vae, trainer.images[:MOST_ENCODED])
        mean, log_var = posteriors
        kl = kl_to_standard_normal(mean, log_var).mean() / mean.shape[1]
        spread = mean.std(0, correction=0).mean()
        return cls(*torch.stack([kl, spread, (0.5 * log_var).exp().mean()]).tolist())


def per_value(trainer: Trainer, nats: float) -> float:
    """Turn nats per image into nats per value: a picture has a value for each pixel and colour."""
    return nats / trainer.images[0].numel()


def loss_without_shift(trainer: Trainer) -> float:
    """Measure the loss of up to `MOST_ENCODED` training pictures, without a shift: mean nats per pixel value."""
    return per_value(trainer, float(trainer.measure(trainer.images[:MOST_ENCODED]).total.double().mean()))


def observe(trainer: Trainer, loss: float, change: float, latents: Latents, wrong: float, action: Array) -> Array:
    """Lay out what the agent sees; `FEATURES` names the entries.

    Args:
        trainer: The episode's trainer.
        loss: Nats per pixel value.
        change: The loss minus that of the stretch before, nats per pixel value.
        latents: The training pictures' latents, now.
        wrong: W, or 0 if it is not measured.
        action: (3,) float32, the last action.

    Returns:
        (14,) float32.
    """
    n = len(trainer.images)
    numbers = [
        trainer.steps_done / trainer.total_steps,
        math.log10(n) / 4,
        math.log10(trainer.total_steps) / 4,
        trainer.config.batch_size / n,
        loss,
        change,
        float(trainer.vae.log_variance) / math.log(10) / 4,
        latents.kl,
        latents.spread,
        latents.deviation,
        wrong,
        *action,
    ]
    assert len(numbers) == len(FEATURES), "each has a name"
    return np.array(numbers, np.float32)
