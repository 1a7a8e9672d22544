from functools import partial

import pytest
import torch

from agents.figures import samplers
from agents.figures.samplers import SAMPLERS, fit_samplers
from vae import FlowPrior, Mixture, StandardNormal, VAEConfig, build_vae, fit_flow


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(samplers, "VARIED", 40)
    monkeypatch.setattr(samplers, "fit_flow", partial(fit_flow, batch=16, width=16, blocks=1))


def fit(names, images):
    vae = build_vae(VAEConfig(32, 6), seed=1).eval().requires_grad_(False)
    return fit_samplers(names, vae, images[:12], images[12:], seed=2, prior_steps=3)


def test_each_name_is_its_sampler_and_both_learned_ones_are_one_network(quick, tiny_images):
    found = fit(SAMPLERS, tiny_images)
    assert list(found) == list(SAMPLERS)
    kinds = [type(found[name]) for name in SAMPLERS]
    assert kinds == [StandardNormal, Mixture, FlowPrior, FlowPrior]
    plain, settled = found["prior"], found["settled"]
    assert isinstance(plain, FlowPrior)
    assert isinstance(settled, FlowPrior)
    assert plain.velocity is settled.velocity
    assert (plain.temperature, plain.final_denoise) == (1.0, 0.0)
    assert (settled.temperature, settled.final_denoise) == (0.9, 0.4)
    for sampler in found.values():
        assert sampler.sample(5, seed=0).shape == (5, 6)


def test_a_fit_repeats_by_seed_and_only_what_is_asked_is_fitted(quick, tiny_images):
    first, again = fit(["mixture", "prior"], tiny_images), fit(["prior"], tiny_images)
    assert list(first) == ["mixture", "prior"]
    assert torch.equal(first["prior"].sample(4, seed=1), again["prior"].sample(4, seed=1))
