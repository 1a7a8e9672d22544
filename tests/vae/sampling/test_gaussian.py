import pytest
import torch

from vae.sampling.gaussian import Gaussian


def posteriors(n=400):
    generator = torch.Generator().manual_seed(0)
    mean = torch.randn(n, 2, generator=generator) @ torch.tensor([[2.0, 1.0], [0.0, 0.5]]) + torch.tensor([3.0, -1.0])
    return mean, torch.full((n, 2), -1.0)


def test_its_moments_are_those_of_the_aggregated_posterior():
    mean, log_var = posteriors()
    found = Gaussian.fit(mean, log_var)
    expected = torch.cov(mean.T, correction=0) + torch.exp(torch.tensor(-1.0)) * torch.eye(2)
    assert torch.allclose(found.factor @ found.factor.T, expected, atol=1e-4)
    drawn = found.sample(40_000, seed=0)
    assert torch.allclose(drawn.mean(0), mean.mean(0), atol=0.05)
    assert torch.allclose(torch.cov(drawn.T), expected, atol=0.1)


def test_it_is_fitted_to_fewer_pictures_than_dimensions():
    mean = torch.randn(3, 20, generator=torch.Generator().manual_seed(0))
    assert Gaussian.fit(mean, torch.zeros(3, 20)).sample(5, seed=0).isfinite().all()


def test_the_same_noise_goes_to_the_same_latents():
    fitted = Gaussian.fit(*posteriors())
    noise = torch.randn(5, 2, generator=torch.Generator().manual_seed(3))
    assert torch.equal(fitted.place(noise), fitted.sample(5, seed=3))


def test_a_diverged_vae_is_refused():
    mean, log_var = posteriors()
    with pytest.raises(ValueError, match="mean and log_var must be finite"):
        Gaussian.fit(mean * torch.nan, log_var)
