"""Agents that learn nothing, with the `predict` of Stable-Baselines3: what a trained agent is measured against."""

from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

Array = NDArray[np.float32]


class NoAction:
    """Leave the latents alone: always zeros."""

    def __init__(self, action_space: spaces.Box) -> None:
        """Remember the action's shape."""
        self.action_space = action_space

    def predict(
        self, observation: Array, state: Any = None, episode_start: Any = None, deterministic: bool = False
    ) -> tuple[Array, None]:
        """Give zeros.

        Args:
            observation: One observation or a batch of them, float32.
            state: Unused; for Stable-Baselines3's signature.
            episode_start: Unused.
            deterministic: Unused.

        Returns:
            Zeros, float32, an action for each observation, and no state.
        """
        return np.zeros(_actions_shape(self.action_space, observation), np.float32), None

    def state_dict(self) -> dict[str, Any]:
        """Return nothing: there is no state."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take nothing."""


class RandomAction:
    """The paper's untrained agent: deltas drawn uniformly from the action space."""

    def __init__(self, action_space: spaces.Box, seed: int = 0) -> None:
        """Seed a generator of its own."""
        self.action_space = action_space
        self.generator = np.random.default_rng(seed)

    def predict(
        self, observation: Array, state: Any = None, episode_start: Any = None, deterministic: bool = False
    ) -> tuple[Array, None]:
        """Draw an action.

        Args:
            observation: One observation or a batch of them, float32.
            state: Unused; for Stable-Baselines3's signature.
            episode_start: Unused.
            deterministic: Unused: this agent is always random.

        Returns:
            Uniform in [-1, 1], float32, an action for each observation, and no state.
        """
        shape = _actions_shape(self.action_space, observation)
        return self.generator.uniform(-1.0, 1.0, shape).astype(np.float32), None

    def state_dict(self) -> dict[str, Any]:
        """Return the generator's state, to go on from it exactly."""
        return {"generator": self.generator.bit_generator.state}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` returned."""
        self.generator.bit_generator.state = state["generator"]


def _actions_shape(action_space: spaces.Box, observation: Array) -> tuple[int, ...]:
    lead = observation.shape[: observation.ndim - len(action_space.shape)]
    return (*lead, *action_space.shape)
