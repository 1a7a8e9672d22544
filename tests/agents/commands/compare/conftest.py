import pytest
import torch

from agents.commands.compare import CompareArgs, Corrections, LoadedRun
from vae import StandardNormal, VAEConfig, build_vae


def brightness(pictures: torch.Tensor) -> torch.Tensor:
    """A differentiable judge with no weights: from (n, 3, S, S) to (n,) in [0, 1]."""
    return pictures.mean((1, 2, 3))


class Constant:
    """An agent that always moves latents the same way."""

    def __init__(self, towards):
        self.towards = towards

    def predict(self, observation, *, deterministic):
        assert deterministic
        return self.towards[None].repeat(len(observation), 1).numpy(), None


@pytest.fixture
def score():
    return brightness


@pytest.fixture
def constant():
    return lambda towards, delta_scale=0.5, steps=1: Corrections(Constant(towards), delta_scale, steps)


@pytest.fixture
def vae():
    return build_vae(VAEConfig(32, 6), seed=1).eval().requires_grad_(False)


@pytest.fixture
def uphill(vae):
    """(6,) in {-1, 1}: the way to brighter pictures, for most latents."""
    latents = torch.zeros(64, 6, requires_grad=True)
    brightness(vae.decode(latents)).sum().backward()
    return latents.grad.sum(0).sign()


@pytest.fixture
def make_loaded(vae):
    def make(**agents):
        samplers = {"normal": StandardNormal(6), "mixture": StandardNormal(6)}
        return LoadedRun(vae, samplers, agents, split_seed=0)

    return make


@pytest.fixture
def make_args():
    def make(**settings):
        return CompareArgs(**{"runs": [], "n": 20, "refine_below": float("inf"), **settings})

    return make
