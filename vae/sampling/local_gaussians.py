"""A Gaussian for each group of similar pictures, in closed form: a mixture for a VAE that is still learning."""

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from vae.seeds import seeded

PICTURES_PER_GROUP, MOST_GROUPS = 20, 32  # as in `Mixture.fit`
ITERATIONS = 20  # of k-means


class LocalGaussians:
    """What `Mixture` becomes if every picture belongs to one component alone.

    In hundreds of dimensions nearly all do. k-means groups the posterior means. A group's Gaussian has the mean and the
    covariance of its members' posterior means, plus their mean posterior variances. Draws are linear combinations of a
    group's members, so no covariance is stored or factorised, and the fit takes milliseconds where EM takes seconds.

    Fixed random numbers, placed again and again while an encoder learns, move only as the groups do.
    """

    def __init__(self, means: Tensor, variances: Tensor, labels: Tensor, groups: int) -> None:
        """Measure the groups.

        Args:
            means: (image, latent) float32, posterior means.
            variances: (image, latent) float32, posterior variances.
            labels: (image,) int64, each picture's group, in 0..groups - 1.
            groups: Their number; a group may be empty.
        """
        self.labels = labels
        members = one_hot(labels, groups).to(means)  # (image, group)
        counts = members.sum(0).clamp_min(1)  # (group,)
        self.counts = counts
        self.centres = members.T @ means / counts[:, None]  # (group, latent)
        self.deviations = ((members.T @ variances) / counts[:, None]).sqrt()  # (group, latent)
        self.offsets = means - self.centres[labels]  # (image, latent)

    @classmethod
    def fit(cls, mean: Tensor, log_var: Tensor, starts: Tensor) -> "LocalGaussians":
        """Group the pictures by k-means.

        Args:
            mean: (image, latent) float32, posterior means.
            log_var: (image, latent) float32, natural log of the posterior variances.
            starts: (group,) int64, the pictures whose means are the first centres; `group_count` says how many.

        Returns:
            The fitted sampler, on the latents' device.

        Raises:
            ValueError: If a mean or a variance is not finite.
        """
        variances = log_var.exp()
        if not (mean.isfinite().all() and variances.isfinite().all()):
            raise ValueError("Posteriors must be finite to group them. The VAE diverged: lower its learning rate.")
        centres = mean[starts]
        for _ in range(ITERATIONS):
            labels = torch.cdist(mean, centres).argmin(1)
            members = one_hot(labels, len(starts)).to(mean)
            counts = members.sum(0)[:, None]
            centres = torch.where(counts > 0, members.T @ mean / counts.clamp_min(1), centres)
        return cls(mean, variances, labels, len(starts))

    def place(self, picks: Tensor, weights: Tensor, noise: Tensor) -> Tensor:
        """Carry choices of pictures and noise to latents.

        Args:
            picks: (n,) int64, pictures; each stands for its group.
            weights: (n, image) float32, standard normal; those of the group's members count.
            noise: (n, latent) float32, standard normal.

        Returns:
            (n, latent) float32.
        """
        groups = self.labels[picks]
        own = weights * (self.labels == groups[:, None])  # (n, image)
        between = own @ self.offsets / self.counts[groups, None].sqrt()
        return self.centres[groups] + between + self.deviations[groups] * noise

    def sample(self, n: int, seed: int) -> Tensor:
        """Draw latents.

        Args:
            n: How many, >= 1.
            seed: >= 0.

        Returns:
            (n, latent) float32 on the CPU.
        """
        generator, images = seeded(seed), len(self.labels)
        noise = torch.randn(n, self.centres.shape[1], generator=generator)
        picks, weights = torch.randint(images, (n,), generator=generator), torch.randn(n, images, generator=generator)
        device = self.centres.device
        return self.place(picks.to(device), weights.to(device), noise.to(device)).cpu()


def group_count(images: int) -> int:
    """Return how many groups a number of pictures makes: one for 20 pictures, at least 1, at most 32."""
    return max(1, min(MOST_GROUPS, images // PICTURES_PER_GROUP))
