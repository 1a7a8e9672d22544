"""The agent on HandLatent-v0: SAC on single latents of a frozen VAE."""

from typing import Any

import gymnasium as gym
from torch import Tensor

from agents.rl.row_agent import RowAgent
from agents.rl.sac import make_sac
from vae.model import VAE
from vae.progress import Bar, progress_bar

ROWS = 64  # latents per step, if there are as many pictures
DELTA_SCALE, REWARD_SCALE = 0.1, 0.1  # the best found: docs/loss.md
WIDTHS = (256, 256)


def train_latent_agent(vae: VAE, images: Tensor, samples: int, seed: int, device: str) -> RowAgent:
    """Train SAC to lower the loss of pictures by shifting their latents, with the reward "counterfactual".

    Args:
        vae: A trained VAE; it is copied and not trained further.
        images: (n, 3, S, S) uint8.
        samples: Number of latents to learn from.
        seed: >= 0.
        device: "cpu", "cuda" or "cuda:N".

    Returns:
        The agent; the encoder gave its latents, not a sampler.
    """
    env = gym.make_vec(
        "hand_env:HandLatent-v0",
        num_envs=min(ROWS, len(images)),
        images=images,
        vae=vae,
        training={"learning_rate": 0.0, "compiled": False},  # compiling would take longer than all steps
        reward="counterfactual",
        delta_scale=DELTA_SCALE,
        reward_scale=REWARD_SCALE,
        device=device,
        autoreset_mode="SameStep",
    )
    model = make_sac(env, seed, device, policy_kwargs={"net_arch": list(WIDTHS)})
    with progress_bar(title="Learning on HandLatent-v0", unit="latents", total=samples) as bar:
        model.learn(samples, callback=lambda given, _: _count(bar, given))
    env.close()
    return RowAgent.of(
        model, env_id="HandLatent-v0", delta_scale=DELTA_SCALE, steps_per_episode=1, sampler="encoder", seed=seed
    )


def _count(bar: Bar, given: dict[str, Any]) -> bool:
    """Count a step of all rows; Stable-Baselines3 continues if this is true."""
    bar.update(len(given["rewards"]))
    return True
