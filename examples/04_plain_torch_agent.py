"""Train a policy gradient in plain torch, in one file, on rows of HandLatent-v0: it learns to correct latents.

    python examples/04_plain_torch_agent.py

Takes about half a minute on two cores. A VAE is trained briefly and then frozen. The reward of REINFORCE (Williams
1992) is the nats by which an action lowers its picture's loss. Prints its mean before, after and with random actions.
"""

from typing import Any

import gymnasium as gym
import torch
from torch import nn

from vae import Trainer, TrainingConfig, VAEConfig, build_vae
from vae.images.synthetic import generate_hands

DIM = 8  # dimensions of a latent
PAID: dict[str, Any] = {"reward": "counterfactual", "reward_scale": 1.0, "delta_scale": 0.3}


def main(pretraining: int = 100, steps: int = 300, rows: int = 64) -> dict[str, float]:
    """Train a VAE for `pretraining` steps, then an agent on `rows` latents per step; return the printed numbers."""
    hands = generate_hands(128, size=32, seed=0).images
    trainer = Trainer(build_vae(VAEConfig(32, DIM), seed=0), hands, TrainingConfig(50, 32, 1e-3), seed=0)
    for _ in range(pretraining):
        trainer.step()
    form: dict[str, Any] = {"epochs_per_episode": 20, "training": {"learning_rate": 0.0}, "autoreset_mode": "SameStep"}
    env = gym.make_vec("hand_env:HandLatent-v0", num_envs=rows, images=hands, vae=trainer.vae, **form, **PAID)
    env.action_space.seed(0)
    torch.manual_seed(0)
    actor = nn.Sequential(nn.Linear(DIM, 64), nn.Tanh(), last := nn.Linear(64, DIM))
    nn.init.zeros_(last.weight)  # starts with almost no action
    critic = nn.Sequential(nn.Linear(DIM, 64), nn.Tanh(), nn.Linear(64, 1))  # the baseline of each row
    log_std = nn.Parameter(torch.full((DIM,), -1.2))
    optimizer = torch.optim.Adam([*actor.parameters(), *critic.parameters(), log_std], lr=3e-3)

    def score(at_random: bool = False) -> float:
        observation, paid = env.reset(seed=1)[0], 0.0  # the agent trains on seed 0
        for _ in range(20):
            action = actor(torch.tensor(observation)).detach().clamp(-1, 1).numpy()
            observation, reward, *_ = env.step(env.action_space.sample() if at_random else action)
            paid += float(reward.mean()) / 20
        return paid

    before, observation = score(), env.reset(seed=0)[0]
    for _ in range(steps):
        latents = torch.tensor(observation)  # (row, latent)
        policy: Any = torch.distributions.Normal(actor(latents), log_std.exp())  # torch does not type its methods
        observation, reward, *_ = env.step((action := policy.sample()).clamp(-1, 1).numpy())
        surprise = torch.tensor(reward / 100, dtype=torch.float32) - critic(latents)[:, 0]  # (row,) hundreds of nats
        advantage = (surprise / surprise.std()).detach()
        optimizer.zero_grad()
        (surprise.square().mean() - (advantage * policy.log_prob(action).sum(dim=1)).mean()).backward()
        optimizer.step()
    return {"before": before, "after": score(), "at random": score(at_random=True)}


if __name__ == "__main__":
    print(", ".join(f"{name}: {nats:+.1f} nats" for name, nats in main().items()))
