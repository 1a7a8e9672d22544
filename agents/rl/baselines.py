"""Baselines for a trained agent: agents that do not learn, with the `predict` of Stable-Baselines3."""

from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray

from hand_env import HandLatentEnv, HandLatentVectorEnv
from vae.checks import check_above_zero, integer
from vae.seeds import seeded

Array = NDArray[np.float32]


class NoAction:
    """Do not change the latents: all actions are zeros."""

    def __init__(self, action_space: spaces.Box) -> None:
        """Store the action space."""
        self.action_space = action_space

    def predict(
        self, observation: Array, state: Any = None, episode_start: Any = None, deterministic: bool = False
    ) -> tuple[Array, None]:
        """Return zeros.

        Args:
            observation: One observation or a batch of them, float32.
            state: Unused; for Stable-Baselines3's signature.
            episode_start: Unused.
            deterministic: Unused.

        Returns:
            Zeros, float32, one action per observation, and no state.
        """
        return np.zeros(_actions_shape(self.action_space, observation), np.float32), None

    def state_dict(self) -> dict[str, Any]:
        """Return nothing: there is no state."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Do nothing: there is no state."""


class RandomAction:
    """The paper's untrained agent: deltas drawn uniformly from the action space."""

    def __init__(self, action_space: spaces.Box, seed: int = 0) -> None:
        """Seed a separate generator.

        Args:
            action_space: Has finite bounds.
            seed: >= 0.

        Raises:
            ValueError: If a bound is infinite.
        """
        if not action_space.is_bounded():
            raise ValueError(
                f"action_space must have finite bounds, got {action_space}. Rescale its actions to [-1, 1]."
            )
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
            Uniform between the bounds of the action space, float32, one action per observation, and no state.
        """
        shape = _actions_shape(self.action_space, observation)
        return self.generator.uniform(self.action_space.low, self.action_space.high, shape).astype(np.float32), None

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the generator, to resume exactly."""
        return {"generator": self.generator.bit_generator.state}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self.generator.bit_generator.state = state["generator"]


class GradientSteps:
    """Lower the loss of the minibatch by gradient descent on its latents: the strong baseline.

    An agent sees only the latents. This baseline sees the pictures and differentiates the VAE, as in semi-amortised
    inference (Kim, Wiseman, Miller, Sontag & Rush 2018). It does not see the latent noise that the step will draw. Each
    gradient step costs one forward and one backward pass through the decoder.

    The gradient steps of `handlatent compare` are others: `hand_env.gradient_ascent` raises the score of drawn hands.
    """

    def __init__(
        self, env: HandLatentEnv | HandLatentVectorEnv, steps: int = 10, step_size: float = 0.4, seed: int = 0
    ) -> None:
        """Store the environment whose latents are shifted.

        Args:
            env: The unwrapped environment; `predict` uses its next minibatch.
            steps: k >= 1, gradient steps per prediction.
            step_size: > 0, in units of the action: Adam's learning rate on delta. The default is the best of five that
                benchmarks/learning.py tried.
            seed: >= 0, seed of the latent noise that the gradient steps draw.

        Raises:
            TypeError: If an argument is no number.
            ValueError: If it is out of its range.
        """
        check_above_zero(step_size=step_size)
        self.env = env.env if isinstance(env, HandLatentVectorEnv) else env
        self.steps, self.step_size = integer("steps", steps, 1), step_size
        self.generator = seeded(seed, self.env.device)

    def predict(
        self, observation: Array, state: Any = None, episode_start: Any = None, deterministic: bool = False
    ) -> tuple[Array, None]:
        """Find deltas that lower the loss of the environment's next minibatch.

        Args:
            observation: The environment's current observation; only its shape is used.
            state: Unused; for Stable-Baselines3's signature.
            episode_start: Unused.
            deterministic: Unused.

        Returns:
            Deltas in [-1, 1], float32, in the observation's shape, and no state.
        """
        trainer, kappa = self.env.trainer, self.env.delta_scale
        delta = torch.zeros_like(trainer.encode())  # (batch, latent)
        # Adam's steps, written out: torch.optim.Adam rounds in another order. At 64 pixels, its delta differed by up to
        # 6e-4 after two to ten steps, and results must stay the same bit for bit.
        first, second = torch.zeros_like(delta), torch.zeros_like(delta)
        for step in range(1, self.steps + 1):
            gradient = kappa * trainer.loss_gradient(kappa * delta, self.generator)
            first = torch.lerp(gradient, first, 0.9)
            second = torch.lerp(gradient.square(), second, 0.99)
            direction = first / (1 - 0.9**step) / (second / (1 - 0.99**step)).sqrt().add(1e-12)
            delta = (delta - self.step_size * direction).clamp(-1, 1)
        return np.asarray(delta.cpu().numpy().reshape(observation.shape), np.float32), None

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the generator, to resume exactly."""
        return {"generator": self.generator.get_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self.generator.set_state(state["generator"])


def _actions_shape(action_space: spaces.Box, observation: Array) -> tuple[int, ...]:
    lead = observation.shape[: observation.ndim - len(action_space.shape)]
    return (*lead, *action_space.shape)
