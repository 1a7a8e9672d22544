"""Environments in which an agent steers the latents of a VAE that draws hands; importing this registers them."""

import gymnasium as gym

from hand_env.latent_env import HandLatentEnv
from hand_env.latent_vector_env import HandLatentVectorEnv
from hand_env.rendering import image_grid
from hand_env.rewards import REWARDS, Reward, Visit

gym.register(
    id="HandLatent-v0",
    entry_point="hand_env.latent_env:HandLatentEnv",
    vector_entry_point="hand_env.latent_vector_env:HandLatentVectorEnv",
)

__all__ = ["REWARDS", "HandLatentEnv", "HandLatentVectorEnv", "Reward", "Visit", "image_grid"]
