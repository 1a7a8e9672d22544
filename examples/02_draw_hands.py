"""Train a VAE without an agent, fit a mixture to its latents, and draw new hands.

    python examples/02_draw_hands.py

Takes about a minute on two cores. Writes hands.png: twelve synthetic training hands above twelve new ones from the VAE.
"""

from pathlib import Path

import torch

from hand_env import image_grid
from vae import Mixture, Trainer, TrainingConfig, VAEConfig, build_vae, encode_all
from vae.images import save_overview, to_uint8
from vae.images.synthetic import generate_hands


def main(n_images: int = 600, epochs: int = 20, path: Path = Path("hands.png")) -> Path:
    """Train, fit and draw.

    Args:
        n_images: Synthetic hands to train on.
        epochs: Passes over them.
        path: Path of the picture to write.

    Returns:
        The path.
    """
    hands = generate_hands(n_images, size=32, seed=0).images
    vae = build_vae(VAEConfig(size=32, latent_dim=64), seed=0)
    trainer = Trainer(vae, hands, TrainingConfig(epochs=epochs, batch_size=20, learning_rate=1e-3), seed=0)
    for _ in range(trainer.total_steps):
        trainer.step()
    sampler = Mixture.fit(*encode_all(trainer.averaged_vae, trainer.images))
    with torch.no_grad():
        drawn = to_uint8(trainer.averaged_vae.decode(sampler.sample(12, seed=0)))
    save_overview(path, image_grid(torch.cat([hands[:12], drawn]), columns=12))  # no reader takes it for a hand
    return path


if __name__ == "__main__":
    print(main())
