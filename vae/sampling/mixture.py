"""Sample latents from a Gaussian mixture that is fitted to the encoded training pictures."""

from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from sklearn.mixture import GaussianMixture
from torch import Tensor

from vae.checkpoint import save_tensors


class Mixture:
    """A Gaussian mixture with full covariances, fitted to the aggregated posterior.

    The aggregated posterior is the distribution of the encoded training pictures. It fills only part of the standard
    normal, so a VAE's samples from it are better (Ghosh et al. 2020, section 4).
    """

    def __init__(self, weights: Tensor, means: Tensor, factors: Tensor) -> None:
        """Store the parameters.

        Args:
            weights: (component,) float32, sum 1.
            means: (component, latent) float32.
            factors: (component, latent, latent) float32, lower Cholesky factors of the covariances.
        """
        self.weights, self.means, self.factors = weights, means, factors

    @classmethod
    def fit(cls, mean: Tensor, log_var: Tensor, *, components: int = 32, draws: int = 8192, seed: int = 0) -> "Mixture":
        """Fit a mixture to draws from the posteriors of the training pictures, with scikit-learn's EM.

        Args:
            mean: (image, latent) float32, posterior means.
            log_var: (image, latent) float32, natural log of the posterior variances.
            components: Number of Gaussians, at least 1; fewer are used if there are not 20 pictures for each.
            draws: Latents to fit to, at least one per picture.
            seed: >= 0.

        Returns:
            The fitted sampler.
        """
        generator = torch.Generator().manual_seed(seed)
        repeats = max(1, round(draws / len(mean)))
        mean, deviation = mean.cpu().repeat(repeats, 1), (0.5 * log_var.cpu()).exp().repeat(repeats, 1)
        points = mean + deviation * torch.randn(mean.shape, generator=generator)
        components = max(1, min(components, len(mean) // repeats // 20))
        mixture = GaussianMixture(components, reg_covar=1e-3, random_state=seed % 2**32, max_iter=50, tol=0.1)
        mixture.fit(points.double().numpy())
        factors = np.linalg.cholesky(mixture.covariances_)
        return cls(*(torch.from_numpy(a).float() for a in (mixture.weights_, mixture.means_, factors)))

    def sample(self, n: int, seed: int) -> Tensor:
        """Draw latents.

        Args:
            n: Number of latents, >= 1.
            seed: >= 0.

        Returns:
            (n, latent) float32.
        """
        generator = torch.Generator().manual_seed(seed)
        component = torch.multinomial(self.weights, n, replacement=True, generator=generator)
        noise = torch.randn(n, self.means.shape[1], generator=generator)
        latents = self.means[component]
        for number in np.unique(component.numpy()):  # a factor for each latent would take 360 MB for 1,000 of them
            rows = component == number
            latents[rows] += noise[rows] @ self.factors[number].T
        return latents

    def save(self, path: Path) -> None:
        """Write the parameters to one safetensors file."""
        save_tensors(path, {"weights": self.weights, "means": self.means, "factors": self.factors})

    @classmethod
    def load(cls, path: Path) -> "Mixture":
        """Read what `save` wrote."""
        tensors = load_file(path)
        return cls(tensors["weights"], tensors["means"], tensors["factors"])
