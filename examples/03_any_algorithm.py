"""Train other algorithms, unchanged, on rows of HandLatent-v0: TD3 and PPO, and TQC from sb3-contrib.

    pip install sb3-contrib
    python examples/03_any_algorithm.py

Takes about a minute on two cores. Prints the mean return of each algorithm in its first and in its last episodes. Three
hundred steps show that it runs, not that it has learned.
"""

from typing import Any

import gymnasium as gym
from sb3_contrib import TQC
from stable_baselines3 import PPO, TD3
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.vec_env import VecMonitor

from agents import GymnasiumVecEnv

ROWS = 16
OFF_POLICY: dict[str, Any] = {"buffer_size": 10_000, "learning_starts": 10 * ROWS, "gradient_steps": 2}
ALGORITHMS: dict[str, tuple[type[BaseAlgorithm], dict[str, Any]]] = {
    "TD3": (TD3, OFF_POLICY),
    "PPO": (PPO, {"n_steps": 20, "batch_size": 64}),
    "TQC": (TQC, OFF_POLICY),
}


def main(name: str, n_images: int = 80, steps: int = 300) -> list[float]:
    """Train one algorithm; a new VAE starts every four epochs.

    Args:
        name: A key of `ALGORITHMS`.
        n_images: Synthetic hands to train the VAE on.
        steps: Environment steps, each on a minibatch of `ROWS`.

    Returns:
        The return of each row in each complete episode, in order.
    """
    algorithm, settings = ALGORITHMS[name]
    env = gym.make_vec(  # each latent of the minibatch is a separate environment
        "hand_env:HandLatent-v0",
        ROWS,
        autoreset_mode="SameStep",
        n_images=n_images,
        latent_dim=16,
        epochs_per_episode=4,
    )
    agent = algorithm("MlpPolicy", VecMonitor(GymnasiumVecEnv(env)), seed=0, stats_window_size=10_000, **settings)
    agent.learn(total_timesteps=steps * ROWS)
    return [float(episode["r"]) for episode in agent.ep_info_buffer or []]


if __name__ == "__main__":
    for name in ALGORITHMS:
        returns = main(name)
        first, last = returns[:ROWS], returns[-ROWS:]
        print(f"{name}: {sum(first) / ROWS:+.2f} at first, {sum(last) / ROWS:+.2f} in the end")
