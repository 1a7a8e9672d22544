"""Measure what an agent faces while a VAE trains: in which direction the loss moves its latents, and for how long.

    python benchmarks/learning_probe.py --data 11k-hands     # a minute on one core

Uses N = 80 photographs of 32 x 32 pixels and B = 16. Prints:

- for a training from scratch at the default settings: the minibatch's mean gradient of the loss with respect to a
  shift. It shows the gradient's length, and its cosine with the gradient some steps later;
- for several learning rates: how an epoch changes the loss of a VAE that was trained before. This matters because the
  first steps of a new AdamW are as long as any.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from learning import PRETRAINING, ROWS, Run, halfway, pictures

from vae import Trainer, TrainingConfig, VAEConfig, build_vae

LAGS = (1, 2, 5, 10, 20)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    args = parser.parse_args()
    torch.set_num_threads(1)
    images, others = pictures(args.data, Run())
    trainer = Trainer(build_vae(VAEConfig(images.shape[-1]), 0), images, TrainingConfig(80, ROWS), 0)
    generator, gradients = torch.Generator().manual_seed(0), []
    for _ in range(trainer.total_steps):
        gradients.append(trainer.loss_gradient(torch.zeros_like(trainer.encode()), generator).mean(0).numpy())
        trainer.step()
    lengths = np.linalg.norm(gradients, axis=1)  # (step,)
    directions = np.array(gradients) / lengths[:, None]  # (step, latent)
    print(f"{'steps':>12} {'nats per unit':>14}  cosine with the gradient {LAGS} steps later")
    for part in np.array_split(np.arange(len(lengths) - max(LAGS)), 4):
        cosines = [float((directions[part] * directions[part + lag]).sum(1).mean()) for lag in LAGS]
        print(f"{part[0]:>5} to {part[-1]:>3} {lengths[part].mean():14.0f}  {'  '.join(f'{c:5.2f}' for c in cosines)}")
    vae = halfway(images, 0)
    print(f"a VAE after {PRETRAINING} steps, other people's loss in nats, before and after an epoch of N / B steps:")
    for rate in (0.0, 5e-5, 5e-4):
        trainer = Trainer(
            build_vae(VAEConfig(images.shape[-1]), 0), images, TrainingConfig(1, ROWS, learning_rate=rate), 1
        )
        trainer.vae.load_state_dict(vae.state_dict())
        before = float(trainer.measure(others).total.mean())
        for _ in range(trainer.total_steps):
            trainer.step()
        after = float(trainer.measure(others).total.mean())
        print(f"  learning rate {rate:7.0e}: {before:8.0f} {after:8.0f}")


if __name__ == "__main__":
    main()
