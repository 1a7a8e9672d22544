"""The encoded pictures with noise: between drawing one of them again and drawing from one Gaussian."""

import math

import torch
from torch import Tensor

from vae.sampling.gaussian import Gaussian


class SmoothedBootstrap:
    """A kernel density on the posterior means, in closed form, whose moments are close to the fitted Gaussian's.

    A latent is m + sqrt(1 - h^2) * (mu_i - m) + h * L e. Here mu_i is one of the posterior means, m their mean, L the
    Cholesky factor of `Gaussian`, e standard normal noise, and h the bandwidth. Shrinking the means towards m keeps the
    noise from widening the whole. So the covariance is that of the means plus h^2 times the mean posterior variance.

    With h = 1 this is the Gaussian; with h = 0 it draws the posterior means themselves. In between, latents lie closer
    to those of pictures than the Gaussian's. Like the Gaussian, and unlike a mixture, the fit needs no search: if the
    encoder changes a little, so do the latents.

    Source: Silverman 1986, "Density Estimation for Statistics and Data Analysis", section 6.4.
    """

    def __init__(self, means: Tensor, gaussian: Gaussian, bandwidth: float) -> None:
        """Take the parameters.

        Args:
            means: (image, latent) float32, posterior means.
            gaussian: Fitted to the posteriors of the same pictures.
            bandwidth: h in [0, 1].

        Raises:
            ValueError: If the bandwidth is out of its range.
        """
        if not 0 <= bandwidth <= 1:
            raise ValueError(f"bandwidth must lie in [0, 1], got {bandwidth!r}.")
        self.means, self.gaussian, self.bandwidth = means, gaussian, bandwidth

    @classmethod
    def fit(cls, mean: Tensor, log_var: Tensor, bandwidth: float) -> "SmoothedBootstrap":
        """Fit to the posteriors of pictures, on their device; the arguments and errors are those of `Gaussian.fit`."""
        return cls(mean, Gaussian.fit(mean, log_var), bandwidth)

    def place(self, picks: Tensor, noise: Tensor) -> Tensor:
        """Carry choices of pictures and noise to latents.

        Args:
            picks: (n,) int64, indices i of the pictures.
            noise: (n, latent) float32, standard normal.

        Returns:
            (n, latent) float32.
        """
        middle, shrink = self.gaussian.mean, math.sqrt(1 - self.bandwidth**2)
        smooth = self.bandwidth * (noise @ self.gaussian.factor.T)
        return middle + shrink * (self.means[picks] - middle) + smooth

    def sample(self, n: int, seed: int) -> Tensor:
        """Draw latents.

        Args:
            n: How many, >= 1.
            seed: >= 0.

        Returns:
            (n, latent) float32 on the CPU.
        """
        generator = torch.Generator().manual_seed(seed)
        noise = torch.randn(n, self.means.shape[1], generator=generator)
        picks = torch.randint(len(self.means), (n,), generator=generator)
        return self.place(picks.to(self.means.device), noise.to(self.means.device)).cpu()
