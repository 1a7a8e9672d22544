"""Environments in which an agent steers the latents of a VAE that draws hands; importing the package registers them."""

import gymnasium as gym

import hand_env._names  # noqa: F401 - first: it refuses somebody else's package vae
from hand_env.latent_env import HandLatentEnv
from hand_env.latent_vector_env import HandLatentVectorEnv
from hand_env.refine_env import HandRefineEnv
from hand_env.refine_vector_env import HandRefineVectorEnv
from hand_env.refinement import LogitScore, Refined, best_of, keep_best, keep_better, refine
from hand_env.rendering import image_grid
from hand_env.rewards import REWARDS, Reward, Visit
from hand_env.schedule.schedule_env import HandScheduleEnv
from hand_env.schedule.schedule_vector_env import HandScheduleVectorEnv
from hand_env.scoring import ScoreFn

gym.register(
    id="HandLatent-v0",
    entry_point="hand_env.latent_env:HandLatentEnv",
    vector_entry_point="hand_env.latent_vector_env:HandLatentVectorEnv",
)
gym.register(
    id="HandRefine-v0",
    entry_point="hand_env.refine_env:HandRefineEnv",
    vector_entry_point="hand_env.refine_vector_env:HandRefineVectorEnv",
)
gym.register(
    id="HandSchedule-v0",
    entry_point="hand_env.schedule.schedule_env:HandScheduleEnv",
    vector_entry_point="hand_env.schedule.schedule_vector_env:HandScheduleVectorEnv",
)

__all__ = [
    "REWARDS",
    "HandLatentEnv",
    "HandLatentVectorEnv",
    "HandRefineEnv",
    "HandRefineVectorEnv",
    "HandScheduleEnv",
    "HandScheduleVectorEnv",
    "LogitScore",
    "Refined",
    "Reward",
    "ScoreFn",
    "Visit",
    "best_of",
    "image_grid",
    "keep_best",
    "keep_better",
    "refine",
]
