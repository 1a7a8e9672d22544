"""Samples that are decoded and encoded again."""

import pytest
import torch

from vae.model import VAE, VAEConfig, build_vae
from vae.sampling.reencoded import Reencoded
from vae.sampling.sampler import StandardNormal


@pytest.fixture(scope="module")
def vae():
    return build_vae(VAEConfig(32, 6, "small"), seed=0).eval().requires_grad_(False)


class Halving(torch.nn.Module):
    """Encodes a picture to half of the latent that it was decoded from."""

    def forward(self, images):
        mean = images.flatten(1)[:, :2] / 2
        return mean, torch.zeros_like(mean)


class Showing(torch.nn.Module):
    """Decodes a latent to a picture whose first pixels it is."""

    def forward(self, latents):
        return torch.nn.functional.pad(latents, (0, 10)).view(-1, 3, 2, 2)


def test_each_pass_decodes_and_encodes_once_more():
    class Ones:
        def sample(self, n, seed):
            return torch.ones(n, 2)

    vae = VAE(Halving(), Showing(), size=2, latent_dim=2)
    for reencode_passes in (0, 1, 3):
        assert torch.equal(
            Reencoded(Ones(), vae, reencode_passes).sample(40, 0), torch.full((40, 2), 0.5**reencode_passes)
        )


def test_a_pass_gives_the_posterior_mean_of_the_picture_as_it_is_shown(vae):
    plain = StandardNormal(6)
    latents = plain.sample(5, seed=1)
    expected, _ = vae.encode(vae.decode(latents).clamp(0, 1))
    torch.testing.assert_close(Reencoded(plain, vae, 1).sample(5, seed=1), expected)


def test_the_same_seed_draws_the_same(vae):
    sampler = Reencoded(StandardNormal(6), vae, 2)
    assert torch.equal(sampler.sample(3, seed=4), sampler.sample(3, seed=4))
    assert not torch.equal(sampler.sample(3, seed=4), sampler.sample(3, seed=5))
