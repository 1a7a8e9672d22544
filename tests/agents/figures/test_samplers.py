from functools import partial

import pytest
import torch

from agents.figures import samplers
from agents.figures.samplers import TrainedVAE, fit_mixture, fit_priors
from vae import FlowPrior, VAEConfig, build_vae
from vae.sampling.flow_fit import fit_flows


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(samplers, "VARIED", 40)
    monkeypatch.setattr(samplers, "fit_flows", partial(fit_flows, batch=16, width=16, blocks=1))


@pytest.fixture
def subject(tiny_images):
    def make(seed):
        vae = build_vae(VAEConfig(32, 6), seed=seed).eval().requires_grad_(False)
        return TrainedVAE(vae, tiny_images[:12], tiny_images[12:], seed)

    return make


def test_both_learned_samplers_are_one_network(subject):
    (found,) = fit_priors([subject(0)], steps=3)
    plain, denoised = found["prior"], found["denoised"]
    assert isinstance(plain, FlowPrior)
    assert isinstance(denoised, FlowPrior)
    assert plain.velocity is denoised.velocity
    assert (plain.temperature, plain.final_denoise) == (1.0, 0.0)
    assert (denoised.temperature, denoised.final_denoise) == (0.9, 0.4)
    assert plain.sample(5, seed=0).shape == denoised.sample(5, seed=0).shape == (5, 6)


def test_priors_side_by_side_are_those_that_are_fitted_alone(subject):
    together = fit_priors([subject(0), subject(1)], steps=3)
    for seed, found in enumerate(together):
        (alone,) = fit_priors([subject(seed)], steps=3)
        drawn = [fitted["prior"].sample(4, seed=1) for fitted in (found, alone)]
        torch.testing.assert_close(*drawn, rtol=1e-4, atol=1e-4)
    assert not torch.equal(*(found["prior"].sample(4, seed=1) for found in together))


def test_the_mixture_repeats_by_seed(subject):
    assert torch.equal(fit_mixture(subject(0)).sample(4, seed=1), fit_mixture(subject(0)).sample(4, seed=1))
