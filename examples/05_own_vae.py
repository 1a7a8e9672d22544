"""Use your own encoder and decoder in HandLatent-v0: any pair of modules that keeps the contract of `vae.VAE`.

    python examples/05_own_vae.py

Takes about ten seconds on two cores. Prints the loss of the first and of the last epoch, in nats per picture.
"""

from typing import Any

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor, nn

from vae import VAE

SIZE, DIM = 32, 16  # pixels a side, dimensions of a latent


class DenseEncoder(nn.Module):
    """Map (batch, 3, S, S) pictures in [0, 1] to means and log-variances, (batch, D) each."""

    def __init__(self) -> None:
        """Build two layers."""
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(3 * SIZE**2, 256), nn.GELU(), nn.Linear(256, 2 * DIM))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Encode; no layer may couple the pictures of a batch, as batch normalisation does."""
        mean, log_var = self.body(images).chunk(2, dim=1)  # (batch, D) each
        return mean, log_var


def build(seed: int) -> VAE:
    """Build a VAE from a seed: the environment calls this at each reset."""
    with torch.random.fork_rng(devices=[]):  # so that the weights depend only on the seed
        torch.manual_seed(seed)
        decoder = nn.Sequential(
            nn.Linear(DIM, 256), nn.GELU(), nn.Linear(256, 3 * SIZE**2), nn.Unflatten(1, (3, SIZE, SIZE))
        )
        return VAE(DenseEncoder(), decoder, size=SIZE, latent_dim=DIM)


def main(n_images: int = 200, epochs: int = 20) -> list[float]:
    """Train it with random actions, and return the mean loss of each epoch, nats per picture."""
    settings: dict[str, Any] = {"n_images": n_images, "size": SIZE, "batch_size": 20, "epochs_per_episode": epochs}
    # vae may also be build(0): each reset copies that VAE
    env = gym.make("hand_env:HandLatent-v0", vae=build, delta_scale=0.01, **settings)
    env.action_space.seed(0)
    env.reset(seed=0)
    losses = [env.step(env.action_space.sample())[4]["loss_nats"] for _ in range(epochs * n_images // 20)]
    return [float(epoch) for epoch in np.reshape(losses, (epochs, -1)).mean(axis=1)]


if __name__ == "__main__":
    per_epoch = main()
    print(f"first epoch: {per_epoch[0]:.0f} nats, last: {per_epoch[-1]:.0f} nats")
