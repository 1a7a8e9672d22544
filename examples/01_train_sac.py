"""Train stock Stable-Baselines3 SAC on HandLatent-v0: one episode is the training of one VAE.

    python examples/01_train_sac.py

Takes about half a minute on two cores. Prints the sum of the rewards of each epoch.
"""

from collections import defaultdict

import gymnasium as gym
from stable_baselines3 import SAC
from stable_baselines3.common.callbacks import BaseCallback

import hand_env


class EpochRewards(BaseCallback):
    """Add up the rewards of each epoch."""

    def __init__(self) -> None:
        """Start with no rewards."""
        super().__init__()
        self.sums: dict[int, float] = defaultdict(float)

    def _on_step(self) -> bool:
        self.sums[self.locals["infos"][0]["epoch"]] += float(self.locals["rewards"][0])
        return True


def main(n_images: int = 64, epochs: int = 6) -> dict[int, float]:
    """Train for one episode.

    Args:
        n_images: Synthetic hands to train the VAE on.
        epochs: Passes over them.

    Returns:
        The sum of the rewards of each epoch, from 1.
    """
    env = gym.make("hand_env:HandLatent-v0", n_images=n_images, epochs_per_episode=epochs)
    assert isinstance(env.unwrapped, hand_env.HandLatentEnv)
    agent = SAC("MlpPolicy", env, buffer_size=1_000, batch_size=32, learning_starts=8, seed=0)
    rewards = EpochRewards()
    agent.learn(total_timesteps=epochs * n_images // 4, callback=rewards)
    return dict(rewards.sums)


if __name__ == "__main__":
    for epoch, reward in main().items():
        print(f"epoch {epoch}: reward {reward:+.3f}")
