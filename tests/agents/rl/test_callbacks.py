import math

import gymnasium as gym
import pytest
import torch
from stable_baselines3 import PPO, SAC

from agents.rl.callbacks import ClipTemperature


def sac(**settings):
    settings = {
        "learning_starts": 5,
        "buffer_size": 100,
        "batch_size": 8,
        "policy_kwargs": {"net_arch": [4]},
        **settings,
    }
    return SAC("MlpPolicy", gym.make("Pendulum-v1"), seed=0, **settings)


class Watched(SAC):
    """SAC that notes its temperature as each `train` finds it, and as it leaves it."""

    found: list[float]
    left: list[float]

    def train(self, gradient_steps, batch_size=64):
        self.found.append(self.log_ent_coef.exp().item())
        super().train(gradient_steps, batch_size)
        self.left.append(self.log_ent_coef.exp().item())


def test_every_update_starts_from_a_clipped_temperature():
    settings = {"learning_starts": 5, "buffer_size": 100, "batch_size": 8, "policy_kwargs": {"net_arch": [4]}}
    model = Watched("MlpPolicy", gym.make("Pendulum-v1"), learning_rate=0.1, ent_coef="auto_0.5", seed=0, **settings)
    model.found, model.left = [], []
    model.learn(40, callback=ClipTemperature(0.4, 0.45))
    assert len(model.found) > 30
    assert all(0.4 - 1e-6 <= value <= 0.45 + 1e-6 for value in (*model.found, model.log_ent_coef.exp().item()))
    assert any(not 0.4 <= value <= 0.45 for value in model.left)  # it would have strayed
    # equation 4, after each update: alpha <- clip(what the update made of it)
    clipped = [min(max(value, 0.4), 0.45) for value in model.left]
    assert model.found[1:] == pytest.approx(clipped[:-1])


def test_bounds_that_do_not_bind_change_nothing():
    free = sac().learn(20)
    bound = sac().learn(20, callback=ClipTemperature(1e-6, 1e6))
    assert torch.equal(free.log_ent_coef, bound.log_ent_coef)


def test_equal_bounds_hold_the_temperature():
    model = sac(ent_coef="auto_0.5")
    model.learn(20, callback=ClipTemperature(0.1, 0.1))
    assert model.log_ent_coef.item() == pytest.approx(math.log(0.1))


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-1.0, 1.0), (0.5, 0.4), (0.1, math.inf), (math.nan, 1.0)])
def test_wrong_bounds_are_refused(low, high):
    with pytest.raises(ValueError, match=r"ClipTemperature needs 0 < low <= high < infinity, got low="):
        ClipTemperature(low, high)


@pytest.mark.parametrize(
    "make", [lambda: sac(ent_coef=0.1), lambda: PPO("MlpPolicy", "Pendulum-v1", n_steps=8, batch_size=8)]
)
def test_an_algorithm_without_an_automatic_temperature_is_refused(make):
    with pytest.raises(ValueError, match=r"needs an automatic temperature; this (SAC|PPO) has none"):
        make().learn(8, callback=ClipTemperature(0.1, 1.0))
