"""Train RLlib's PPO on the vector form of HandLatent-v0, in which each latent is a separate environment.

    pip install -e ".[rllib]"
    python examples/06_rllib.py

Takes about half a minute on two cores. Prints the mean return of each iteration. Tested with Python 3.11 and ray
2.60.0, which requires gymnasium 1.2.2: install it in a separate virtual environment, without constraints.txt.
"""

import ray
from ray.rllib.algorithms.ppo import PPOConfig

ROWS = 16


def config(n_images: int = 80) -> PPOConfig:
    """Configure the algorithm; `SACConfig` takes the same `environment` and `env_runners`.

    Args:
        n_images: Synthetic hands to train the VAE on.

    Returns:
        The configuration, which can build an algorithm.
    """
    settings = {"n_images": n_images, "latent_dim": 16, "epochs_per_episode": 4}  # HandLatentEnv's arguments
    return (
        PPOConfig()
        .environment("hand_env:HandLatent-v0", env_config=settings)  # named with its package: other processes import it
        .env_runners(num_env_runners=0, num_envs_per_env_runner=ROWS, gym_env_vectorize_mode="vector_entry_point")
        .training(train_batch_size_per_learner=512, minibatch_size=128, num_epochs=4)
    )


def main(iterations: int = 3, n_images: int = 80) -> list[float]:
    """Train for a few iterations of 512 latents.

    Args:
        iterations: Number of calls of `train`.
        n_images: As for `config`.

    Returns:
        The mean return of a row's episode in each iteration.
    """
    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False)
    algorithm = config(n_images).build_algo()
    try:
        return [float(algorithm.train()["env_runners"]["episode_return_mean"]) for _ in range(iterations)]
    finally:
        algorithm.stop()
        ray.shutdown()


if __name__ == "__main__":
    for number, paid in enumerate(main(), start=1):
        print(f"iteration {number}: {paid:+.2f}")
