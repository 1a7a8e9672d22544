"""The paper's setting, as far as the paper describes it."""

import numpy as np
from numpy.typing import NDArray
from stable_baselines3 import SAC
from torch import Tensor, nn

from agents.rl.sac import make_sac
from hand_env import HandLatentEnv

PAPER_IMAGES = (8, 80, 800)  # N of the paper's figures 3, 5 and 7
PAPER_BATCH = 8  # N = B for the smallest N; the paper gives no other B


def paper(images: Tensor | NDArray[np.uint8], seed: int, device: str = "cpu") -> SAC:
    """Build the agent and the environment of Mutzig 2024, ready for `learn`.

    The actor and the twin critics are dense ReLU networks. The actor's tanh keeps actions in [-1, 1]; the critics take
    state and action joined. Kappa is 1, and each episode is one epoch with a new VAE. The paper gives no widths, no
    batch size and no learning rate: here they come from Stable-Baselines3, `make_sac` and `PAPER_BATCH`. Its equation 4
    clips the temperature: pass `ClipTemperature(low, high)` to `learn`. The paper gives no limits for it.

    Args:
        images: (N, 3, S, S) uint8, N at least `PAPER_BATCH`; `PAPER_IMAGES` are the paper's N.
        seed: >= 0.
        device: Device of the VAE and of the agent's networks.

    Returns:
        Stable-Baselines3's SAC, untrained, with its environment. Train it with `model.learn(total_timesteps=...)`; an
        episode has N / 8 steps.

    Raises:
        ValueError: If there are too few pictures.
    """
    if isinstance(images, Tensor | np.ndarray) and images.ndim == 4 and len(images) < PAPER_BATCH:
        raise ValueError(f"images must be at least {PAPER_BATCH}, one minibatch, got {len(images)}. Read more of them.")
    env = HandLatentEnv(images, batch_size=PAPER_BATCH, epochs_per_episode=1, delta_scale=1.0, device=device)
    networks = {"net_arch": [256, 256], "activation_fn": nn.ReLU}
    return make_sac(env, seed, device, policy_kwargs=networks)
