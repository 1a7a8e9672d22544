"""Sample latents from a Gaussian mixture that is fitted to the encoded training pictures."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vae.checks import integer
from vae.files import load_weights, save_tensors
from vae.progress import progress_bar
from vae.sampling.em import expectation_maximisation
from vae.seeds import seeded

_SETTINGS: dict[str, Any] = {"reg_covar": 1e-3, "max_iter": 50, "tol": 0.1}


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

    @property
    def latent_dim(self) -> int:
        """D, the numbers of a latent."""
        return self.means.shape[1]

    @classmethod
    def fit(cls, mean: Tensor, log_var: Tensor, *, components: int = 32, draws: int = 8192, seed: int = 0) -> "Mixture":
        """Fit a mixture to draws from the posteriors of the training pictures, with scikit-learn's EM.

        For latents on a GPU, the same steps run there, much faster: the result is the same up to rounding.

        Args:
            mean: (image, latent) float32, posterior means.
            log_var: (image, latent) float32, natural log of the posterior variances.
            components: Number of Gaussians, at least 1; fewer are used if there are not 20 pictures for each.
            draws: Latents to fit to, >= 1; at least one per picture is drawn.
            seed: >= 0.

        Returns:
            The fitted sampler.

        Raises:
            TypeError: If a number is no integer.
            ValueError: If a number is out of its range.
        """
        integer("components", components, 1)
        integer("draws", draws, 1)
        device = mean.device
        generator = seeded(seed)
        repeats = max(1, round(draws / len(mean)))
        mean, deviation = mean.cpu().repeat(repeats, 1), (0.5 * log_var.cpu()).exp().repeat(repeats, 1)
        points = mean + deviation * torch.randn(mean.shape, generator=generator)
        components = max(1, min(components, len(mean) // repeats // 20))
        fit = _fit_with_sklearn if device.type == "cpu" else _fit_on_device
        fitted = fit(points.double().to(device), components, generator.initial_seed() % 2**32)
        return cls(*(tensor.float().cpu() for tensor in fitted))

    def sample(self, n: int, seed: int) -> Tensor:
        """Draw latents.

        Args:
            n: Number of latents, >= 1.
            seed: >= 0.

        Returns:
            (n, latent) float32 on the CPU.
        """
        generator = seeded(seed)
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
        tensors = load_weights(path)
        return cls(tensors["weights"], tensors["means"], tensors["factors"])


def _fit_with_sklearn(points: Tensor, components: int, seed: int) -> tuple[Tensor, ...]:
    from sklearn.mixture import GaussianMixture  # here: importing scikit-learn takes a second

    most = _SETTINGS["max_iter"]
    with progress_bar(title="Fitting the mixture", unit="iterations at most", total=most) as bar:

        class Counted(GaussianMixture):  # type: ignore[misc]  # scikit-learn says nothing of its types
            """Count the iterations: scikit-learn calls this after each."""

            def _print_verbose_msg_iter_end(self, *given: Any) -> None:
                super()._print_verbose_msg_iter_end(*given)
                bar.update()

        mixture = Counted(components, random_state=seed, **_SETTINGS)
        mixture.fit(points.numpy())
    factors = np.linalg.cholesky(mixture.covariances_)
    return tuple(torch.from_numpy(array) for array in (mixture.weights_, mixture.means_, factors))


def _fit_on_device(points: Tensor, components: int, seed: int) -> tuple[Tensor, ...]:
    from sklearn.cluster import KMeans

    # the labels that scikit-learn's mixture starts from; they take a second, the iterations would take a minute
    groups = KMeans(components, n_init=1, random_state=np.random.RandomState(seed))
    labels = groups.fit(points.cpu().numpy()).labels_
    return expectation_maximisation(points, torch.from_numpy(labels).long().to(points.device), components, **_SETTINGS)
