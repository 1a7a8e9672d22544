import pytest
import torch

from vae.sampling import Gaussian, SmoothedBootstrap


def posteriors(n=400):
    """Two far clusters, so that one Gaussian fits badly."""
    generator = torch.Generator().manual_seed(0)
    mean = torch.randn(n, 2, generator=generator) * 0.3
    mean[: n // 2] += torch.tensor([4.0, 0.0])
    return mean, torch.full((n, 2), -2.0)


def noise(n=5):
    return torch.randn(n, 2, generator=torch.Generator().manual_seed(3))


def test_without_bandwidth_it_draws_the_posterior_means_themselves():
    mean, log_var = posteriors()
    picks = torch.tensor([3, 399, 3, 0, 7])
    assert torch.allclose(SmoothedBootstrap.fit(mean, log_var, 0.0).place(picks, noise()), mean[picks], atol=1e-6)


def test_with_full_bandwidth_it_is_the_gaussian():
    mean, log_var = posteriors()
    picks = torch.tensor([3, 399, 3, 0, 7])
    placed = SmoothedBootstrap.fit(mean, log_var, 1.0).place(picks, noise())
    assert torch.allclose(placed, Gaussian.fit(mean, log_var).place(noise()), atol=1e-6)


@pytest.mark.parametrize("bandwidth", [0.3, 0.7])
def test_its_moments_are_the_means_moments_and_a_share_of_the_mean_variance(bandwidth):
    mean, log_var = posteriors()
    drawn = SmoothedBootstrap.fit(mean, log_var, bandwidth).sample(60_000, seed=0)
    expected = torch.cov(mean.T, correction=0) + bandwidth**2 * torch.exp(torch.tensor(-2.0)) * torch.eye(2)
    assert torch.allclose(drawn.mean(0), mean.mean(0), atol=0.05)
    assert torch.allclose(torch.cov(drawn.T), expected, atol=0.05)


def test_it_lies_closer_to_the_pictures_than_the_gaussian():
    mean, log_var = posteriors()
    distances = [
        torch.cdist(sampler.sample(500, seed=1), mean).min(1).values.mean()
        for sampler in (SmoothedBootstrap.fit(mean, log_var, 0.3), Gaussian.fit(mean, log_var))
    ]
    assert distances[0] < 0.5 * distances[1]


def test_the_same_seed_draws_the_same_latents():
    mean, log_var = posteriors()
    fitted = SmoothedBootstrap.fit(mean, log_var, 0.5)
    assert torch.equal(fitted.sample(5, seed=3), fitted.sample(5, seed=3))
    assert not torch.equal(fitted.sample(5, seed=3), fitted.sample(5, seed=4))


def test_a_bandwidth_out_of_range_and_a_diverged_vae_are_refused():
    mean, log_var = posteriors()
    with pytest.raises(ValueError, match=r"bandwidth must lie in \[0, 1\], got 1.5"):
        SmoothedBootstrap.fit(mean, log_var, 1.5)
    with pytest.raises(ValueError, match="mean and log_var must be finite"):
        SmoothedBootstrap.fit(mean * torch.nan, log_var, 0.5)
