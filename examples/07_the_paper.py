"""Run the paper's setting: one epoch per episode, kappa = 1, N = 8, 80 and 800, an untrained and a trained agent.

    python examples/07_the_paper.py

An episode trains a fresh VAE for one epoch; its rewards add up to -lambda times the change of the loss. Prints the mean
return of the first episodes, in which SAC acts at random, and of the last.
"""

import numpy as np

from agents import PAPER_IMAGES, ClipTemperature, paper
from vae.images.synthetic import generate_hands

EPISODES = 4  # averaged, at the start and at the end


def main(n_images: tuple[int, ...] = PAPER_IMAGES, steps: int = 400) -> dict[int, tuple[float, float]]:
    """Train the paper's agent at each N; return the mean returns of the first and the last episodes."""
    returns = {}
    for n in n_images:
        model = paper(generate_hands(n, size=32, seed=0).images, seed=0)
        model.learn(max(steps, 2 * EPISODES * -(-n // 8)), callback=ClipTemperature(1e-6, 1e-2))
        env = model.get_env()
        assert env is not None
        seen = env.env_method("get_episode_rewards")[0]  # Stable-Baselines3's Monitor keeps them
        returns[n] = float(np.mean(seen[:EPISODES])), float(np.mean(seen[-EPISODES:]))
    return returns


if __name__ == "__main__":
    for n, (first, last) in main().items():
        print(f"N = {n}: mean return of the first {EPISODES} episodes {first:.2f}, of the last {last:.2f}")
