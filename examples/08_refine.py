"""Freeze a VAE, let SAC learn to correct latents before they are decoded, and keep the corrections that help.

    python examples/08_refine.py

Takes about two minutes on one core. Writes refined.png: twelve new hands above the same twelve, corrected. Prints the
mean score before and after, by the judge that rewarded the agent. To report a result, use another judge.
"""

from collections.abc import Callable
from pathlib import Path

import gymnasium as gym
import numpy as np
import torch

from agents import make_sac
from hand_env import LogitScore, image_grid, refine
from vae import Mixture, Trainer, TrainingConfig, VAEConfig, build_vae, encode_all
from vae.images import save_overview, to_uint8
from vae.images.synthetic import generate_hands

Judge = Callable[[torch.Tensor], object]  # from pictures to scores


def main(
    n_images: int = 600, epochs: int = 20, steps: int = 40, judge: Judge | None = None, path: Path = Path("refined.png")
) -> dict[str, float]:
    """Train a VAE for `epochs`, then SAC for `steps` of 64 latents; return the printed numbers.

    Args:
        n_images: Synthetic hands to train the VAE on.
        epochs: Passes over them.
        steps: Environment steps.
        judge: None for the package's judge: its log-odds that a hand is correct.
        path: Path of the picture to write.
    """
    hands = generate_hands(n_images, size=32, seed=0).images
    config = TrainingConfig(epochs=epochs, batch_size=20, learning_rate=1e-3)
    trainer = Trainer(build_vae(VAEConfig(size=32, latent_dim=32), seed=0), hands, config, seed=0)
    for _ in range(trainer.total_steps):
        trainer.step()
    vae, judge = trainer.averaged_vae, judge or LogitScore()
    sampler = Mixture.fit(*encode_all(vae, trainer.images))

    name, rows = "hand_env:HandRefine-v0", 64
    env = gym.make_vec(name, rows, vae=vae, sampler=sampler, judge=judge, autoreset_mode="SameStep")
    agent = make_sac(env, seed=0, batch_size=256, learning_rate=1e-3, gradient_steps=48)  # judging is the slow part
    agent.learn(rows * steps)

    latents = sampler.sample(200, seed=1)
    refined = refine(agent, latents, vae, judge)
    with torch.no_grad():
        pictures = to_uint8(vae.decode(torch.cat([latents[:12], refined.latents[:12]])))
    save_overview(path, image_grid(pictures, columns=12))  # no reader takes it for a hand
    return {"before": float(np.mean(refined.score_before)), "after": float(np.mean(refined.score))}


if __name__ == "__main__":
    print(", ".join(f"{name}: {score:+.2f}" for name, score in main().items()))
