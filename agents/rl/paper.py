"""The paper's own setting, as far as the paper says it."""

import numpy as np
from numpy.typing import NDArray
from stable_baselines3 import SAC
from torch import Tensor, nn

from agents.rl.sac import make_sac
from hand_env import HandLatentEnv

PAPER_IMAGES = (8, 80, 800)  # N of the paper's figures 3, 5 and 7
PAPER_BATCH = 8  # N = B for the smallest; the paper names no other


def paper(images: Tensor | NDArray[np.uint8], seed: int, device: str = "cpu") -> SAC:
    """Build the agent and the environment of Mutzig 2024, ready for `learn`.

    Dense ReLU networks for the actor, whose tanh keeps an action in [-1, 1], and for the twin critics, which take state
    and action joined; kappa = 1; one epoch an episode, each with a fresh VAE. The paper gives no widths, no batch and
    no learning rate: those are Stable-Baselines3's and `make_sac`'s, and `PAPER_BATCH`. Its equation 4 clips the
    temperature: pass `ClipTemperature(low, high)` to `learn`; the paper gives no limits either.

    Args:
        images: (N, 3, S, S) uint8, N at least `PAPER_BATCH`; `PAPER_IMAGES` are the paper's N.
        seed: >= 0.
        device: Of the VAE and of the agent's networks.

    Returns:
        Stable-Baselines3's SAC, untrained, its environment inside; `model.learn(total_timesteps=...)`, N / 8 steps
        an episode.

    Raises:
        ValueError: If there are too few pictures.
    """
    env = HandLatentEnv(images, batch_size=PAPER_BATCH, epochs_per_episode=1, delta_scale=1.0, device=device)
    networks = {"net_arch": [256, 256], "activation_fn": nn.ReLU}
    return make_sac(env, seed, device, policy_kwargs=networks)
