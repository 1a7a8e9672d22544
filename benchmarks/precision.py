"""Measure the rounding error of the counterfactual: its size with no action, where it is 0 by definition, and with one.

    python benchmarks/precision.py [--device cuda]

On a GPU the passes with and without the shift run in bfloat16, compiled; on the CPU in float32.
"""

import argparse

import numpy as np

from hand_env import HandLatentEnv
from vae.images.synthetic import generate_hands

IMAGES, BATCH, EPOCHS = 256, 32, 25


def main() -> None:
    """Print both in nats per picture, over an episode."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--size", type=int, default=64, help="pixels a side")
    args = parser.parse_args()
    images = generate_hands(IMAGES, args.size, seed=0).images
    for name, strength in (("no action", 0.0), ("random corners", 1.0)):
        env = HandLatentEnv(
            images=images,
            batch_size=BATCH,
            epochs_per_episode=EPOCHS,
            reward="counterfactual",
            reward_scale=1.0,
            device=args.device,
        )
        env.reset(seed=0)
        rng = np.random.default_rng(0)
        rewards, ended = [], False
        while not ended:
            action = strength * rng.choice([-1.0, 1.0], env.action_space.shape)
            _, reward, terminated, truncated, _ = env.step(action.astype(np.float32))
            rewards.append(reward)
            ended = terminated or truncated
        print(
            f"{name}: mean {np.mean(rewards):.4f}, largest {np.abs(rewards).max():.4f} nats per picture, "
            f"{len(rewards)} steps on {args.device}"
        )


if __name__ == "__main__":
    main()
