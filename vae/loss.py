"""Compute the two terms of a VAE's loss, in nats per image: pure functions with a tested scale.

The loss of an image is the negative evidence lower bound: reconstruction + KL. Nothing is averaged over pixels,
channels or latents. So both terms have the same scale, and their sum is a bound on a log-likelihood.
"""

import math

import torch
from torch import Tensor


def gaussian_reconstruction(decoded: Tensor, target: Tensor, log_variance: Tensor) -> Tensor:
    """Measure how unlikely each picture is under a Gaussian around its decoded picture.

    Args:
        decoded: (batch, channel, height, width) float, the decoder's means.
        target: (batch, channel, height, width) float, the pictures, in [0, 1].
        log_variance: () float32, natural log of the variance that all pixels share.

    Returns:
        (batch,) float32, nats per image: 0.5 * sum(log(2 pi variance) + (decoded - target)^2 / variance). It is
        negative if the variance is small, because it is minus the log of a density.

    Raises:
        ValueError: If the shapes of `decoded` and `target` differ.

    Source: the Gaussian negative log-likelihood. With one shared variance at its optimum, the mean squared error, it is
    sigma-VAE (Rybkin, Daniilidis & Levine 2021, section 3).
    """
    return gaussian_of_squared(squared_distance(decoded, target), decoded[0].numel(), log_variance)


def squared_distance(decoded: Tensor, target: Tensor) -> Tensor:
    """Sum the squared differences of two batches over everything but the batch.

    Args:
        decoded: (batch, ...) float.
        target: The same shape.

    Returns:
        (batch,) float32.

    Raises:
        ValueError: If the shapes differ.
    """
    if decoded.shape != target.shape:
        raise ValueError(
            f"decoded and target must match in shape, got {tuple(decoded.shape)} and {tuple(target.shape)}."
        )
    return (decoded.float() - target.float()).square().flatten(1).sum(1)


def gaussian_of_squared(squared: Tensor, n_values: int, log_variance: Tensor) -> Tensor:
    """Return what `gaussian_reconstruction` does, of squared distances.

    Args:
        squared: Float32, from `squared_distance`, any shape.
        n_values: How many numbers a picture has: channel * height * width.
        log_variance: Float32 that fits the shape of `squared`.

    Returns:
        Float32, nats per image, the shape of `squared`.
    """
    constant = n_values * (math.log(2 * math.pi) + log_variance)
    return 0.5 * (constant + squared * torch.exp(-log_variance))


def kl_to_standard_normal(mean: Tensor, log_var: Tensor) -> Tensor:
    """Measure how far each posterior is from the standard normal prior.

    Args:
        mean: (batch, latent) float, posterior means.
        log_var: (batch, latent) float, natural log of the posterior variances.

    Returns:
        (batch,) float32, >= 0 up to rounding, nats per image: 0.5 * sum(mean^2 + variance - log(variance) - 1).

    Raises:
        ValueError: If the two shapes differ.

    Source: Kingma & Welling 2014, appendix B.
    """
    if mean.shape != log_var.shape:
        raise ValueError(f"mean and log_var must match in shape, got {tuple(mean.shape)} and {tuple(log_var.shape)}.")
    mean, log_var = mean.float(), log_var.float()
    return 0.5 * (mean.square() + log_var.exp() - log_var - 1.0).sum(1)
