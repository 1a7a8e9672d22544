import math

import pytest
import torch

from vae.loss import gaussian_reconstruction, kl_to_standard_normal


def test_kl_is_zero_when_posterior_equals_prior():
    assert kl_to_standard_normal(torch.zeros(3, 5), torch.zeros(3, 5)).tolist() == [0.0, 0.0, 0.0]


def test_kl_is_half_the_squared_mean_for_unit_variance_summed_over_latents():
    mean = torch.tensor([[1.0, 2.0, 0.0], [3.0, 0.0, 0.0]])
    assert kl_to_standard_normal(mean, torch.zeros(2, 3)).tolist() == [2.5, 4.5]


def test_kl_has_the_closed_form_for_other_variances():
    log_var = torch.tensor([[math.log(4.0), math.log(0.25)]])
    by_hand = 0.5 * (4.0 - math.log(4.0) - 1.0) + 0.5 * (0.25 - math.log(0.25) - 1.0)
    assert kl_to_standard_normal(torch.zeros(1, 2), log_var).item() == pytest.approx(by_hand, rel=1e-6)


def test_kl_agrees_with_torch_distributions():
    generator = torch.Generator().manual_seed(0)
    mean, log_var = torch.randn(2, 4, 7, generator=generator)
    posterior = torch.distributions.Normal(mean, (0.5 * log_var).exp())
    expected = torch.distributions.kl_divergence(posterior, torch.distributions.Normal(0.0, 1.0)).sum(1)
    torch.testing.assert_close(kl_to_standard_normal(mean, log_var), expected)


def test_reconstruction_of_a_perfect_decoding_is_the_log_normaliser():
    pictures = torch.full((2, 3, 4, 4), 0.5)
    by_hand = 0.5 * 48 * math.log(2 * math.pi * 0.01)
    loss = gaussian_reconstruction(pictures, pictures, torch.tensor(math.log(0.01)))
    assert loss.tolist() == pytest.approx([by_hand, by_hand], rel=1e-6)


def test_reconstruction_is_minus_the_log_density_of_the_pixels():
    generator = torch.Generator().manual_seed(0)
    decoded, pictures = torch.rand(2, 3, 3, 4, 4, generator=generator)
    density = torch.distributions.Normal(decoded, math.sqrt(0.04))
    expected = -density.log_prob(pictures).flatten(1).sum(1)
    torch.testing.assert_close(gaussian_reconstruction(decoded, pictures, torch.tensor(math.log(0.04))), expected)


def test_losses_raise_when_shapes_differ():
    with pytest.raises(ValueError, match=r"mean and log_var must match in shape, got \(1, 2\) and \(1, 3\)"):
        kl_to_standard_normal(torch.zeros(1, 2), torch.zeros(1, 3))
    with pytest.raises(ValueError, match="decoded and target must match in shape"):
        gaussian_reconstruction(torch.zeros(1, 3, 4, 4), torch.zeros(1, 3, 4, 5), torch.tensor(0.0))
