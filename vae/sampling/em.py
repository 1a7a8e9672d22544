"""Fit a Gaussian mixture by expectation maximisation on any device, with the steps of scikit-learn."""

import math

import torch
from torch import Tensor

from vae.progress import progress_bar

TINY = 10 * torch.finfo(torch.float64).eps  # added to the size of a component, as scikit-learn does


def expectation_maximisation(
    points: Tensor, labels: Tensor, components: int, *, reg_covar: float, max_iter: int, tol: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Fit full covariances, starting from labels.

    On a GPU it takes a fraction of a second where scikit-learn takes a minute on two cores. The result is that of
    scikit-learn's `GaussianMixture` from the same labels, up to rounding.

    Args:
        points: (n, D) float64.
        labels: (n,) int64 in 0..components - 1, the component that each point starts in.
        components: Number of Gaussians.
        reg_covar: Added to the diagonal of each covariance.
        max_iter: Largest number of iterations.
        tol: Stop once the mean log-likelihood changes by less, in nats per point.

    Returns:
        Weights (component,), means (component, D), and lower Cholesky factors of the covariances (component, D, D).
    """
    share = torch.nn.functional.one_hot(labels, components).to(points)
    weights, means, factors = _maximise(points, share, reg_covar)
    bound = -math.inf
    for _ in progress_bar(range(max_iter), "Fitting the mixture", unit="iterations at most"):
        before = bound
        joint = _log_densities(points, means, factors) + weights.log()  # (n, component)
        total = joint.logsumexp(1)
        weights, means, factors = _maximise(points, (joint - total.unsqueeze(1)).exp(), reg_covar)
        bound = float(total.mean())
        if abs(bound - before) < tol:
            break
    return weights, means, factors


def _maximise(points: Tensor, share: Tensor, reg_covar: float) -> tuple[Tensor, Tensor, Tensor]:
    """Compute weights, means and factors from (n, component) shares of the points."""
    size = share.sum(0) + TINY
    means = share.T @ points / size.unsqueeze(1)
    ridge = reg_covar * torch.eye(points.shape[1], dtype=points.dtype, device=points.device)
    covariances = [
        (each * (points - mean).T) @ (points - mean) / n for each, mean, n in zip(share.T, means, size, strict=True)
    ]
    return size / size.sum(), means, torch.linalg.cholesky(torch.stack(covariances) + ridge)


def _log_densities(points: Tensor, means: Tensor, factors: Tensor) -> Tensor:
    """Return (n, component) log-densities of the points under each Gaussian."""
    one = torch.eye(points.shape[1], dtype=points.dtype, device=points.device)
    whitening = torch.linalg.solve_triangular(factors, one.expand_as(factors), upper=False)  # (component, D, D)
    squares = [((points - mean) @ white.T).square().sum(1) for mean, white in zip(means, whitening, strict=True)]
    volumes = factors.diagonal(dim1=1, dim2=2).log().sum(1)
    return -0.5 * torch.stack(squares, 1) - volumes - 0.5 * points.shape[1] * math.log(2 * math.pi)
