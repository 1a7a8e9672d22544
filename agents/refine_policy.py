"""A policy for HandRefine-v0 whose networks look at the pictures that latents are decoded to.

What a judge says of a picture is plain in the picture and hardly to be guessed from 300 latents: from 4,000 judged
samples a small convolutional network foretells a third of the variance of the log-odds, one of latents nothing. The
judge stays what it was, something that is asked for a score and never differentiated.
"""

from typing import Any

import torch
import torch.nn.functional as F
from gymnasium import spaces
from stable_baselines3.common.policies import ContinuousCritic
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.sac.policies import SACPolicy
from torch import Tensor, nn

from vae.model import VAE

SEEN = 64  # pixels a side of the pictures that are looked at
CHANNELS = (32, 64, 96, 128)  # after each halving
WIDTH = 256  # numbers that are found in a picture


class Look(nn.Module):
    """Describe the picture that a latent is decoded to by `WIDTH` numbers."""

    def __init__(self, size: int) -> None:
        """Build the convolutions.

        Args:
            size: Pixels a side of the pictures.
        """
        super().__init__()
        self.size = min(size, SEEN)
        layers: list[nn.Module] = []
        for before, after in zip((3, *CHANNELS), CHANNELS, strict=False):
            layers += [nn.Conv2d(before, after, 3, 2, 1), nn.GroupNorm(8, after), nn.SiLU()]
        side = self.size // 2 ** len(CHANNELS)
        self.body = nn.Sequential(*layers, nn.Flatten(), nn.Linear(CHANNELS[-1] * side**2, WIDTH), nn.SiLU())

    def forward(self, pictures: Tensor) -> Tensor:
        """Return (n, WIDTH) of (n, 3, size, size) pictures, as `shrunk` gives them."""
        found: Tensor = self.body(pictures * 2 - 1)
        return found


def shrunk(vae: VAE, latents: Tensor) -> Tensor:
    """Decode (n, D) latents to (n, 3, s, s) pictures in [0, 1] of at most `SEEN` pixels; differentiable."""
    with torch.autocast(latents.device.type, torch.bfloat16, enabled=latents.device.type == "cuda"):
        pictures = vae.decode(latents)
    pictures = pictures.float().clamp(0, 1)
    return F.avg_pool2d(pictures, vae.size // SEEN) if vae.size > SEEN else pictures


class PictureExtractor(BaseFeaturesExtractor):
    """For the actor: an observation, and beside it what is seen in its picture."""

    def __init__(self, observation_space: spaces.Box, vae: VAE) -> None:
        """Build it.

        Args:
            observation_space: HandRefine-v0's.
            vae: The environment's; it is not trained, saved or copied.
        """
        super().__init__(observation_space, observation_space.shape[0] + WIDTH)
        self._frozen = (vae,)  # in a tuple, PyTorch does not take it for a part
        self.look = Look(vae.size)

    def forward(self, observations: Tensor) -> Tensor:
        """Return (n, D + WIDTH) of (n, D) observations, one more of (n, D + 1)."""
        (vae,) = self._frozen
        with torch.no_grad():
            pictures = shrunk(vae, observations[:, : vae.latent_dim])
        return torch.cat([observations, self.look(pictures)], 1)


class PictureCritic(ContinuousCritic):
    """Critics that judge a correction by the pictures before and after: Q(z, a) = f(decode(z + kappa a)) - g(decode(z)).

    f and g are two results of one network. With one step an episode the reward is of this form itself.
    """

    def __init__(self, *args: Any, vae: VAE, delta_scale: float, **kwargs: Any) -> None:
        """Take ContinuousCritic's arguments, the environment's VAE, and kappa."""
        super().__init__(*args, **kwargs)
        self._frozen, self.delta_scale = (vae,), delta_scale
        assert isinstance(self.observation_space, spaces.Box), "HandRefine-v0's"
        rest = self.observation_space.shape[0] - vae.latent_dim
        for number in range(self.n_critics):  # in place of Stable-Baselines3's, which see latents
            looks = nn.ModuleDict({"look": Look(vae.size), "value": nn.Linear(WIDTH + rest, 2)})
            setattr(self, f"qf{number}", looks)
        self.q_networks = [getattr(self, f"qf{number}") for number in range(self.n_critics)]

    def forward(self, obs: Tensor, actions: Tensor) -> tuple[Tensor, ...]:
        """Return (n, 1) values of each critic for (n, D), or (n, D + 1), observations and (n, D) actions."""
        (vae,) = self._frozen
        latents, rest = obs[:, : vae.latent_dim], obs[:, vae.latent_dim :]
        with torch.no_grad():
            before = shrunk(vae, latents)
        pictures = torch.cat([shrunk(vae, latents + self.delta_scale * actions), before])
        return tuple(_value(network, pictures, rest.repeat(2, 1)) for network in self.q_networks)

    def q1_forward(self, obs: Tensor, actions: Tensor) -> Tensor:
        """Return the first critic's values."""
        return self(obs, actions)[0]


class RefinePolicy(SACPolicy):
    """Stable-Baselines3's SAC policy with `PictureExtractor` for its actor and `PictureCritic`.

    `SAC(RefinePolicy, env, policy_kwargs={"vae": vae, "delta_scale": kappa})`, both the environment's: `make_refiner`
    in `agents.sac` takes them from there.
    """

    def __init__(self, *args: Any, vae: VAE, delta_scale: float, **kwargs: Any) -> None:
        """Take SACPolicy's arguments, the environment's VAE, on the policy's device, and kappa."""
        self._frozen, self.delta_scale = (vae,), delta_scale
        extractor = {"features_extractor_class": PictureExtractor, "features_extractor_kwargs": {"vae": vae}}
        super().__init__(*args, **{**kwargs, **extractor})

    def make_critic(self, features_extractor: BaseFeaturesExtractor | None = None) -> ContinuousCritic:
        """Build twin critics."""
        kwargs = {**self.critic_kwargs, "features_extractor": nn.Identity(), "features_dim": 1}
        (vae,) = self._frozen
        return PictureCritic(**kwargs, vae=vae, delta_scale=self.delta_scale).to(self.device)

    def _get_constructor_parameters(self) -> dict[str, Any]:
        (vae,) = self._frozen
        return {**super()._get_constructor_parameters(), "vae": vae, "delta_scale": self.delta_scale}


def _value(network: nn.ModuleDict, pictures: Tensor, rest: Tensor) -> Tensor:
    results = network["value"](torch.cat([network["look"](pictures), rest], 1))  # (2 n, 2)
    n = len(results) // 2
    value: Tensor = results[:n, :1] - results[n:, 1:]
    return value
