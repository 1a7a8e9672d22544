"""One Gaussian, fitted in closed form to where the encoder puts pictures."""

import torch
from torch import Tensor

from vae.seeds import seeded


class Gaussian:
    """A normal distribution with full covariance, fitted to the aggregated posterior.

    The aggregated posterior is the mixture of all pictures' posteriors. Its mean is the mean of their means; its
    covariance is the covariance of their means plus the mean of their variances. The fit needs no search and no random
    numbers, so it can be repeated at each epoch; `Mixture` draws better samples once training is over.
    """

    def __init__(self, mean: Tensor, factor: Tensor) -> None:
        """Take the parameters.

        Args:
            mean: (latent,) float32.
            factor: (latent, latent) float32, lower Cholesky factor of the covariance.
        """
        self.mean, self.factor = mean, factor

    @classmethod
    def fit(cls, mean: Tensor, log_var: Tensor) -> "Gaussian":
        """Fit to the posteriors of pictures.

        Args:
            mean: (image, latent) float32, posterior means.
            log_var: (image, latent) float32, natural log of the posterior variances.

        Returns:
            The fitted distribution, float32, on the pictures' device.

        Raises:
            ValueError: If a value is not finite.
        """
        if not (mean.isfinite().all() and log_var.isfinite().all()):
            raise ValueError("mean and log_var must be finite. Check whether the VAE diverged.")
        mean, variance = mean.double(), log_var.double().exp()  # twice the precision: covariances lose half of it
        middle = mean.mean(0)
        spread = (mean - middle).T @ (mean - middle) / len(mean)
        factor = torch.linalg.cholesky(spread + torch.diag(variance.mean(0)))
        return cls(middle.float(), factor.float())

    def place(self, noise: Tensor) -> Tensor:
        """Carry standard normal noise, (n, latent) float32, to latents of the same shape."""
        latents: Tensor = self.mean + noise @ self.factor.T
        return latents

    def sample(self, n: int, seed: int) -> Tensor:
        """Draw latents.

        Args:
            n: How many, >= 1.
            seed: >= 0.

        Returns:
            (n, latent) float32 on the CPU.
        """
        noise = torch.randn(n, len(self.mean), generator=seeded(seed))
        return self.place(noise.to(self.mean.device)).cpu()
