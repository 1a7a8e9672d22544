import numpy as np
import pytest
import torch

from vae.progress import show_progress
from vae.sampling.mixture import Mixture, _fit_on_device, _fit_with_sklearn
from vae.sampling.sampler import Pool, StandardNormal


def two_clusters(n=200):
    generator = torch.Generator().manual_seed(0)
    centre = torch.where(torch.arange(n) % 2 == 0, -3.0, 3.0)[:, None]
    return centre + 0.1 * torch.randn(n, 4, generator=generator), torch.full((n, 4), -4.0)


def test_standard_normal_has_mean_zero_and_variance_one_and_repeats_by_seed():
    sampler = StandardNormal(5)
    latents = sampler.sample(4000, seed=0)
    assert latents.shape == (4000, 5)
    assert latents.mean(0).abs().max() < 0.1
    assert (latents.var(0) - 1).abs().max() < 0.15
    assert torch.equal(latents, sampler.sample(4000, seed=0))
    assert not torch.equal(latents, sampler.sample(4000, seed=1))


def test_mixture_finds_the_clusters_and_their_spread_posterior_noise_included():
    mixture = Mixture.fit(*two_clusters(), components=2, draws=2000)
    assert sorted(mixture.means.mean(1).round().tolist()) == [-3.0, 3.0]
    latents = mixture.sample(4000, seed=0)
    near = latents[latents[:, 0] > 0]
    expected = (0.1**2 + torch.tensor(-4.0).exp()).sqrt().item()
    assert abs(near.std(0).mean().item() - expected) < 0.03
    assert abs(len(near) / 4000 - 0.5) < 0.05


def test_mixture_repeats_by_seed_and_survives_a_file(tmp_path):
    mixture = Mixture.fit(*two_clusters(), components=2, seed=3)
    mixture.save(tmp_path / "sampler.safetensors")
    loaded = Mixture.load(tmp_path / "sampler.safetensors")
    assert torch.equal(loaded.sample(10, seed=1), mixture.sample(10, seed=1))
    assert torch.equal(Mixture.fit(*two_clusters(), components=2, seed=3).sample(10, 1), mixture.sample(10, 1))


def test_mixture_takes_numpy_s_integers_as_seeds():
    ours, other = (Mixture.fit(*two_clusters(40), draws=80, seed=seed) for seed in (np.uint8(3), 3))
    assert torch.equal(ours.sample(5, np.uint8(1)), other.sample(5, 1))


def test_mixture_uses_fewer_components_where_pictures_are_few():
    mean, log_var = two_clusters(30)
    assert len(Mixture.fit(mean, log_var, components=32, draws=300).weights) == 1


def test_mixture_draws_from_the_component_that_it_chose_as_its_formula_says():
    factors = torch.tensor([[1.0, 0.0], [2.0, 3.0]]).repeat(2, 1, 1) * torch.tensor([1.0, 10.0]).view(2, 1, 1)
    mixture = Mixture(torch.tensor([0.5, 0.5]), torch.tensor([[0.0, 0.0], [5000.0, 0.0]]), factors)
    generator = torch.Generator().manual_seed(7)
    component = torch.multinomial(mixture.weights, 50, replacement=True, generator=generator)
    noise = torch.randn(50, 2, generator=generator)
    expected = mixture.means[component] + torch.einsum("nij,nj->ni", factors[component], noise)
    assert torch.allclose(mixture.sample(50, seed=7), expected, atol=1e-4)


def test_a_pool_holds_what_its_sampler_drew_and_repeats_by_seed(monkeypatch):
    monkeypatch.setattr("vae.sampling.sampler.CHUNK", 4)
    pool = Pool(StandardNormal(3), size=10, seed=0)
    assert pool.latents.shape == (10, 3)
    assert len(pool.latents.unique(dim=0)) == 10
    drawn = pool.sample(400, seed=5)
    assert torch.equal(drawn.unique(dim=0), pool.latents.unique(dim=0))
    assert torch.equal(drawn, pool.sample(400, seed=5))
    assert torch.equal(pool.latents, Pool(StandardNormal(3), size=10, seed=0).latents)
    assert not torch.equal(pool.latents, Pool(StandardNormal(3), size=10, seed=1).latents)


def test_the_fit_for_a_gpu_is_that_of_scikit_learn():
    generator = torch.Generator().manual_seed(1)
    points = 2 * torch.randn(5, 6, generator=generator).repeat(80, 1) + torch.randn(400, 6, generator=generator)
    expected = _fit_with_sklearn(points.double(), components=4, seed=7)
    for mine, theirs in zip(_fit_on_device(points.double(), components=4, seed=7), expected, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-6, atol=1e-9)


def test_a_pool_shows_how_far_it_is_when_asked(capfd):
    with show_progress(between_lines=0, clock=lambda: 0.0):
        shown = Pool(StandardNormal(3), size=2000, seed=0)
    assert capfd.readouterr().err.splitlines()[-1].startswith("Drawing 2,000 latents: 100 %, 2 of 2 parts")
    assert torch.equal(Pool(StandardNormal(3), size=2000, seed=0).latents, shown.latents)
    assert not capfd.readouterr().err


def test_the_iterations_are_counted_and_change_nothing(capfd):
    points = torch.randn(400, 6, generator=torch.Generator().manual_seed(1)).double()
    quiet = _fit_with_sklearn(points, components=4, seed=7)
    with show_progress(between_lines=0):
        shown = _fit_with_sklearn(points, components=4, seed=7)
    assert all(map(torch.equal, quiet, shown))
    assert capfd.readouterr().err.startswith("Fitting the mixture: 2 %, 1 of 50 iterations at most")


def test_numbers_below_one_are_refused():
    latents = torch.zeros(40, 2)
    for numbers in ({"components": 0}, {"components": -4}, {"draws": -5}):
        with pytest.raises(ValueError, match="must be at least 1"):
            Mixture.fit(latents, latents, **{"seed": 0, **numbers})
