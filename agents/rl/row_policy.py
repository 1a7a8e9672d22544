"""A policy for stock SAC that applies one network to every row of a (B, D) observation."""

from typing import Any, cast

import torch
from gymnasium import spaces
from stable_baselines3.common.policies import ContinuousCritic
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor, create_mlp
from stable_baselines3.common.type_aliases import PyTorchObs, Schedule
from stable_baselines3.sac.policies import LOG_STD_MAX, LOG_STD_MIN, Actor, SACPolicy
from torch import Tensor, nn
from torch.nn import functional

from agents.rl.squashed_gaussian import sample_and_score

FEATURES = 16  # this layer, with D inputs per row, takes most of an update's time: see `benchmarks/sac.py`
NET_ARCH = {"pi": [16], "qf": [12, 32]}  # the critics' second layer is nearly free and halves the gain that SAC misses


class RowPolicy(SACPolicy):
    """Apply one small network to every row of a latent batch: `SAC(RowPolicy, env)`.

    It needs observations Box (B, D) and actions Box (B, A). The number of parameters depends on D and A, not on B. The
    actor's action for a row depends only on that row. The critics map each row and its action to features, and value
    the mean of the features. By default, one layer of 16 features per row (`RowExtractor`) comes before `NET_ARCH`.
    This is narrow, but more per row than in a flat network, where 64 rows share 256. For four times the width, at half
    the updates/s: `policy_kwargs={"net_arch": [64], "features_extractor_kwargs": {"features_dim": 64}}`.
    """

    def __init__(
        self,
        observation_space: spaces.Box,
        action_space: spaces.Box,
        lr_schedule: Schedule,
        net_arch: list[int] | dict[str, list[int]] | None = None,
        use_sde: bool = False,
        **settings: Any,
    ) -> None:
        """Check the spaces and build actor and critics.

        Args:
            observation_space: Box (B, D).
            action_space: Box (B, A).
            lr_schedule: The learning rate as a function of the progress remaining.
            net_arch: Widths of the layers after the extractor, at least one for the critics ("qf").
            use_sde: Must stay False.
            settings: Other arguments of the parent class.

        Raises:
            ValueError: If the spaces do not have the same rows, or `use_sde` is true.
        """
        _check_rows(observation_space, action_space)
        if use_sde:
            raise ValueError("RowPolicy has no state-dependent exploration, got use_sde=True. Leave use_sde out.")
        settings.setdefault("features_extractor_class", RowExtractor)
        super().__init__(
            observation_space, action_space, lr_schedule, NET_ARCH if net_arch is None else net_arch, **settings
        )

    def make_actor(self, features_extractor: BaseFeaturesExtractor | None = None) -> "RowActor":
        """Build the actor; the parent calls this."""
        return RowActor(**self._update_features_extractor(self.actor_kwargs, features_extractor)).to(self.device)

    def make_critic(self, features_extractor: BaseFeaturesExtractor | None = None) -> "RowCritic":
        """Build the critics; the parent calls this twice."""
        return RowCritic(**self._update_features_extractor(self.critic_kwargs, features_extractor)).to(self.device)


class RowExtractor(BaseFeaturesExtractor):
    """Map each row to a few features by one layer, the same for every row."""

    def __init__(self, observation_space: spaces.Box, features_dim: int = FEATURES) -> None:
        """Build the layer.

        Args:
            observation_space: Box (B, D).
            features_dim: Number of features per row.
        """
        super().__init__(observation_space, features_dim)
        self.layer = nn.Linear(observation_space.shape[-1], features_dim)

    def forward(self, observations: Tensor) -> Tensor:
        """Map (batch, B, D) float32 to (batch, B, features) float32, >= 0."""
        return functional.relu(self.layer(observations))


class RowLogStd(nn.Module):
    """The log standard deviation of each number: a term that depends on the row, plus one learned for the dimension.

    Stable-Baselines3 uses a separate layer, as large as the layer of the means, which costs a fifth of an update.
    """

    def __init__(self, features: int, dimensions: int) -> None:
        """Build the layer of the rows; the term of the dimensions starts at zero."""
        super().__init__()
        self.row = nn.Linear(features, 1)
        self.dimension = nn.Parameter(torch.zeros(dimensions))

    def parts(self, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Map (batch, B, features) to (batch, B, 1) and (dimension,), each in half of SAC's bounds for their sum."""
        low, high = LOG_STD_MIN / 2, LOG_STD_MAX / 2
        return self.row(hidden).clamp(low, high), self.dimension.clamp(low, high)

    def forward(self, hidden: Tensor) -> Tensor:
        """Map (batch, B, features) to (batch, B, dimension)."""
        row, dimension = self.parts(hidden)
        return row + dimension


class RowActor(Actor):
    """SAC's actor, applied to each row with the same weights; permuting the rows permutes the action."""

    mu: nn.Linear
    log_std: RowLogStd  # type: ignore[assignment]  # the parent also allows a layer

    def __init__(self, observation_space: spaces.Box, action_space: spaces.Box, **settings: Any) -> None:
        """Build the parent's networks for the action of one row.

        Args:
            observation_space: Box (B, D).
            action_space: Box (B, A).
            settings: Other arguments of the parent class.
        """
        super().__init__(observation_space, _row(action_space), **settings)
        self.action_space = action_space
        self.log_std = RowLogStd(self.mu.in_features, self.mu.out_features)

    def get_action_dist_params(self, obs: PyTorchObs) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Map (batch, B, D) to means and log standard deviations before squashing, (batch, B A) each."""
        means, log_stds, _ = super().get_action_dist_params(obs)  # .(batch, B, A) each
        return means.flatten(1), log_stds.flatten(1), {}  # ......(batch, B A) each

    def action_log_prob(self, obs: PyTorchObs) -> tuple[Tensor, Tensor]:
        """Sample for SAC's losses: (batch, B, D) to actions, (batch, B A), and their log-probabilities, (batch,)."""
        hidden = self.latent_pi(self.extract_features(obs, self.features_extractor))  # (batch, B, hidden)
        return sample_and_score(hidden, self.mu.weight, self.mu.bias, *self.log_std.parts(hidden))


class RowCritic(ContinuousCritic):
    """Twin critics that map each row and its action to features, with the same weights, and value their mean."""

    def __init__(
        self, observation_space: spaces.Box, action_space: spaces.Box, net_arch: list[int], **settings: Any
    ) -> None:
        """Add the pooling to the parent's networks.

        Args:
            observation_space: Box (B, D).
            action_space: Box (B, A).
            net_arch: Widths of the layers before the pooling, at least one; one more layer of the last width follows.
            settings: Other arguments of the parent class.

        Raises:
            ValueError: If net_arch is empty.
        """
        if not net_arch:
            raise ValueError("RowPolicy's critics need a hidden layer, got net_arch=[]. Give at least one width.")
        row = _row(action_space)
        super().__init__(observation_space, row, net_arch, **settings)
        self.action_space = action_space
        inputs, activation = settings["features_dim"] + row.shape[0], settings["activation_fn"]
        for index in range(self.n_critics):
            each_row = create_mlp(inputs, -1, net_arch, activation)
            together = create_mlp(net_arch[-1], 1, net_arch[-1:], activation)
            self.q_networks[index] = nn.Sequential(*each_row, MeanOverRows(), *together)
            setattr(self, f"qf{index}", self.q_networks[index])

    def forward(self, obs: Tensor, actions: Tensor) -> tuple[Tensor, ...]:
        """Map (batch, B, D) and (batch, B A) to one value for each critic, (batch, 1).

        If the actions require a gradient, as in SAC's actor loss, the first layers get none, because SAC would discard
        it.
        """
        learns = torch.is_grad_enabled() and not actions.requires_grad
        with torch.set_grad_enabled(learns and not self.share_features_extractor):
            features = self.extract_features(obs, self.features_extractor)  # (batch, B, features)
        with torch.set_grad_enabled(learns):
            firsts = [cast(nn.Linear, network[0]) for network in self._networks]
            weight = torch.cat([layer.weight for layer in firsts])  # both critics in one product
            bias = torch.cat([layer.bias for layer in firsts])
            of_features, of_actions = weight.tensor_split([features.shape[-1]], dim=1)
            seen = functional.linear(features, of_features, bias).flatten(0, 1)  # (batch B, critics hidden)
        seen = torch.addmm(seen, actions.view(len(seen), -1), of_actions.T).view(*obs.shape[:2], -1)
        each = seen.chunk(self.n_critics, dim=-1)  # (batch, B, hidden) for each critic
        return tuple(network[1:](rows) for network, rows in zip(self._networks, each, strict=True))

    def q1_forward(self, obs: Tensor, actions: Tensor) -> Tensor:
        """Map as `forward` does, for the first critic only."""
        value: Tensor = self(obs, actions)[0]
        return value

    @property
    def _networks(self) -> list[nn.Sequential]:
        return cast(list[nn.Sequential], self.q_networks)


class MeanOverRows(nn.Module):
    """Average over rows, so that their order and number do not matter."""

    def forward(self, rows: Tensor) -> Tensor:
        """Map (batch, B, features) to (batch, features)."""
        return rows.mean(dim=1)


def _row(space: spaces.Box) -> spaces.Box:
    return spaces.Box(space.low[0], space.high[0], dtype=space.dtype)


def _check_rows(observation_space: spaces.Space[Any], action_space: spaces.Space[Any]) -> None:
    shapes = [space.shape for space in (observation_space, action_space) if isinstance(space, spaces.Box)]
    if not (len(shapes) == 2 and all(len(shape) == 2 for shape in shapes) and shapes[0][0] == shapes[1][0]):
        raise ValueError(
            "RowPolicy needs an observation space Box (B, D) and an action space Box (B, A) with the same B, got "
            f"{observation_space} and {action_space}. Use 'MlpPolicy' for rows that are separate environments."
        )
