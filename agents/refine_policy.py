"""A policy for HandRefine-v0 whose critics know that a correction is added to the latent."""

from typing import Any

import torch
from gymnasium import spaces
from stable_baselines3.common.policies import ContinuousCritic
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor, create_mlp
from stable_baselines3.sac.policies import SACPolicy
from torch import Tensor, nn


class RefineCritic(ContinuousCritic):
    """Critics that judge a correction by where it leads: Q(z, a) = f(z + kappa a) - g(z), f and g one network's.

    With one step an episode the reward is a function's value at z + kappa a, less its value at z, so that nothing is
    lost by it; and what is learned of one latent serves every other from which a correction leads there. A critic of
    latent and correction side by side would have to learn that for each pair of 2 D numbers.
    """

    def __init__(self, *args: Any, delta_scale: float, net_arch: list[int], **kwargs: Any) -> None:
        """Build the networks: as Stable-Baselines3's critics, but for the width of the first layer and two results."""
        super().__init__(*args, net_arch=net_arch, **kwargs)
        assert isinstance(self.observation_space, spaces.Box), "HandRefine-v0's"
        self.delta_scale = delta_scale
        features = self.observation_space.shape[0]
        activation: type[nn.Module] = kwargs.get("activation_fn", nn.ReLU)
        self.q_networks = []
        for number in range(self.n_critics):
            network = nn.Sequential(*create_mlp(features, 2, net_arch, activation))
            self.add_module(f"qf{number}", network)
            self.q_networks.append(network)

    def forward(self, obs: Tensor, actions: Tensor) -> tuple[Tensor, ...]:
        """Return (n, 1) values of each critic for (n, D), or (n, D + 1), observations and (n, D) actions."""
        return tuple(self._value(network, obs, actions) for network in self.q_networks)

    def q1_forward(self, obs: Tensor, actions: Tensor) -> Tensor:
        """Return the first critic's values."""
        return self._value(self.q_networks[0], obs, actions)

    def _value(self, network: nn.Module, obs: Tensor, actions: Tensor) -> Tensor:
        latents, rest = obs[:, : actions.shape[1]], obs[:, actions.shape[1] :]
        there = torch.cat([latents + self.delta_scale * actions, rest], 1)
        both = network(torch.cat([there, obs]))  # (2 n, 2)
        n = len(obs)
        value: Tensor = both[:n, :1] - both[n:, 1:]
        return value


class RefinePolicy(SACPolicy):
    """Stable-Baselines3's SAC policy with `RefineCritic`; the actor is its own.

    Pass kappa: `SAC(RefinePolicy, env, policy_kwargs={"delta_scale": 0.5})`; `make_sac` does.
    """

    def __init__(self, *args: Any, delta_scale: float = 1.0, **kwargs: Any) -> None:
        """Take SACPolicy's arguments, and kappa, the environment's `delta_scale`."""
        self.delta_scale = delta_scale
        super().__init__(*args, **kwargs)

    def make_critic(self, features_extractor: BaseFeaturesExtractor | None = None) -> ContinuousCritic:
        """Build twin critics."""
        kwargs = self._update_features_extractor(self.critic_kwargs, features_extractor)
        return RefineCritic(**kwargs, delta_scale=self.delta_scale).to(self.device)

    def _get_constructor_parameters(self) -> dict[str, Any]:
        return {**super()._get_constructor_parameters(), "delta_scale": self.delta_scale}
