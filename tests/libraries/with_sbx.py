"""Train algorithms of SBX, Stable-Baselines3 in JAX, in both forms of HandLatent-v0."""

from typing import Any

import gymnasium as gym
import jax
import numpy as np
from hands import HANDS, SEEN, ran
from sbx import PPO, SAC, TQC, CrossQ

from agents import GymnasiumVecEnv

OFF_POLICY: dict[str, Any] = {"learning_starts": 8, "buffer_size": 100, "batch_size": 8}
ALGORITHMS = {SAC: OFF_POLICY, TQC: OFF_POLICY, CrossQ: OFF_POLICY, PPO: {"n_steps": 6, "batch_size": 6}}


def train(algorithm: Any, env: Any) -> None:
    """Train for 24 steps of the environment, and see that the agent and the VAE learned."""
    agent = algorithm("MlpPolicy", env, seed=0, **ALGORITHMS[algorithm])
    agent.learn(24 * agent.n_envs)
    assert agent._n_updates > 0
    assert all(np.isfinite(weights).all() for weights in jax.tree.leaves(agent.policy.actor_state.params))
    SEEN.check(24)


if __name__ == "__main__":
    for algorithm in ALGORITHMS:
        train(algorithm, gym.make("HandLatent-v0", flat=True, **HANDS))
        train(algorithm, GymnasiumVecEnv(gym.make_vec("HandLatent-v0", 4, autoreset_mode="SameStep", **HANDS)))
        ran(f"{algorithm.__name__}: single, flat; rows")
