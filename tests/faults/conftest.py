from dataclasses import dataclass, field
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.envs.registration import load_env_creator
from torch import nn

import hand_env
from agents.commands.train.args import TrainArgs
from agents.commands.train.command import train
from vae import VAE

assert hand_env.__name__, "importing it registers the environments"


class Encoder(nn.Linear):
    def forward(self, images):
        return super().forward(images.mean((2, 3)) - 0.5).chunk(2, dim=1)


class Decoder(nn.Linear):
    def forward(self, latents):
        return super().forward(latents).unflatten(1, (3, 8, 8))


def tiny_vae(seed):
    """A VAE for pictures of 8 x 8 that trains in a millisecond; D = 4."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return VAE(Encoder(3, 8), Decoder(4, 3 * 8 * 8), 8, 4)


def brightness(pictures):
    return pictures.mean((1, 2, 3))


def pictures():
    return np.random.default_rng(0).integers(0, 256, (8, 3, 8, 8), np.uint8)


@dataclass(frozen=True)
class Form:
    """One way to use one environment.

    Attributes:
        id: Its registered name.
        rows: Rows of the vector form; None for the single form.
        settings: Arguments that make it small.
    """

    id: str
    rows: int | None = None
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def trains(self):
        return self.id != "HandRefine-v0"

    def make(self, **settings):
        """The environment as Gymnasium makes it, in its wrappers."""
        settings = self._settings(settings)
        return gym.make(self.id, **settings) if self.rows is None else gym.make_vec(self.id, self.rows, **settings)

    def build(self, **settings):
        """The environment alone, by its class."""
        spec = gym.spec(self.id)
        entry = spec.entry_point if self.rows is None else spec.vector_entry_point
        return load_env_creator(entry)(*([] if self.rows is None else [self.rows]), **self._settings(settings))

    def _settings(self, settings):
        small = {"images": pictures(), "epochs_per_episode": 2} if self.trains else {}
        return {"vae": tiny_vae, "judge": brightness, **small, **self.settings, **settings}


SCHEDULE = {"batch_size": 4, "n_drawn": 2, "epochs_per_step": 1}
FORMS = {
    "latent": Form("HandLatent-v0", None, {"batch_size": 4}),
    "latent-drawn": Form("HandLatent-v0", None, {"batch_size": 4, "n_drawn": 2, "reward": "drawn_change"}),
    "latent-rows": Form("HandLatent-v0", 4),
    "refine": Form("HandRefine-v0", None, {"steps_per_episode": 2}),
    "refine-rows": Form("HandRefine-v0", 2, {"steps_per_episode": 2}),
    "schedule": Form("HandSchedule-v0", None, SCHEDULE),
    "schedule-rows": Form("HandSchedule-v0", 2, SCHEDULE),
}


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """A finished run of two epochs, never to be written to."""
    settings = {"images": 24, "size": 32, "epochs": 2, "batch_size": 4, "latent_dim": 5, "device": "cpu"}
    return train(TrainArgs(**settings, agent="none", out=tmp_path_factory.mktemp("trained") / "run"))


@pytest.fixture(params=FORMS)
def form(request):
    """Each environment in turn, in its single form and in its vector form."""
    return FORMS[request.param]


@pytest.fixture
def build_tiny():
    """A function from a seed to a VAE for pictures of 8 x 8."""
    return tiny_vae


@pytest.fixture
def play():
    """A function that plays the first steps of an episode with fixed actions and returns all numbers that it saw."""

    def played(env, steps=3, seed=3):
        observation, _ = env.reset(seed=seed)
        generator, seen = np.random.default_rng(0), [observation]
        for _ in range(steps):
            action = generator.uniform(-1, 1, env.action_space.shape).astype(np.float32)
            observation, reward, terminated, truncated, _ = env.step(action)
            seen += [observation, np.asarray(reward)]
            if np.any(terminated) or np.any(truncated):
                break
        return seen

    return played
