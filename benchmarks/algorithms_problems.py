"""The two problems of algorithms.py: what an agent learns on, and how it is measured.

Both use synthetic hands and one small VAE, which is trained once, without an agent. The rewarding judge pays the
agents and the reporting judge measures them.

- HandRefine-v0: latents from a mixture of Gaussians, one correction each with kappa 1, paid in log-odds. The agent is
  measured on fixed latents that training never draws; no correction is dropped.
- HandSchedule-v0: each episode trains the VAE further, on few pictures that it has not seen. A VAE with fresh weights
  draws no right hand within so few steps. The agent is measured on other pictures and seeds, the same ones each time.
"""

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from hand_env import HandScheduleVectorEnv
from hand_env.anatomy.judge import default_judge
from hand_env.refinement import Agent, correct, decode
from vae import VAE, Mixture, Pool, Trainer, TrainingConfig, VAEConfig, build_vae, encode_all
from vae.evaluation import decode_all
from vae.files import save_tensors
from vae.images import to_float
from vae.images.synthetic import generate_hands
from vae.sampling.local_gaussians import LocalGaussians, group_count

HELD_OUT_SEED = 2**31  # of what agents are measured on; training seeds are below
MIXTURE = ("weights", "means", "factors")


@dataclass(frozen=True)
class Scale:
    """How large the problems are; `QUICK` is small enough for a CPU and shows only that everything runs."""

    size: int = 32
    latent_dim: int = 300
    hands: int = 2_000  # that the VAE is trained on
    vae_epochs: int = 40
    others: int = 640  # further hands for HandSchedule-v0, and as many to measure agents on
    latents: int = 256  # that HandRefine-v0's agents are measured on
    pool: int = 20_480  # latents that a run draws in advance
    refine_every: int = 1_280  # samples between two measurements
    images: int = 80  # N of HandSchedule-v0
    batch_size: int = 16
    epochs: int = 20  # of an episode
    epochs_per_step: int = 5
    drawn: int = 64  # hands that W is measured on
    reward_scale: float = 50.0  # lambda of HandSchedule-v0
    schedule_every: int = 128
    rows_measured: int = 8  # VAEs that an agent is measured on
    judged: int = 128  # hands drawn from each of them


QUICK = Scale(
    latent_dim=8,
    hands=40,
    vae_epochs=1,
    others=20,
    latents=4,
    pool=16,
    refine_every=8,
    images=8,
    batch_size=4,
    epochs=2,
    epochs_per_step=1,
    drawn=1,
    schedule_every=8,
    rows_measured=2,
    judged=2,
)


@dataclass(frozen=True, eq=False)
class Material:
    """What both problems start from.

    Attributes:
        hands: (n, 3, S, S) uint8: `Scale.hands` that the VAE was trained on, then twice `Scale.others`.
        vae: The trained VAE, in evaluation mode, on the CPU.
        sampler: Fitted to the latents of the hands that it was trained on.
    """

    hands: Tensor
    vae: VAE
    sampler: Mixture


def read_material(path: Path, scale: Scale, device: str) -> Material:
    """Read the material, or draw the hands, train the VAE and write both.

    Args:
        path: A .safetensors file.
        scale: Its sizes.
        device: Where the VAE is trained.
    """
    vae = build_vae(VAEConfig(scale.size, scale.latent_dim), seed=0)
    if not path.is_file():
        hands = generate_hands(scale.hands + 2 * scale.others, scale.size, seed=0).images
        known = hands[: scale.hands].to(device)
        trainer = Trainer(vae, known, TrainingConfig(scale.vae_epochs, 32, 1e-3), seed=0, device=device)
        for _ in range(trainer.total_steps):
            trainer.step()
        trained = trainer.averaged_vae
        sampler = Mixture.fit(*encode_all(trained, known), seed=0)
        parts = {name: getattr(sampler, name) for name in MIXTURE}
        path.parent.mkdir(parents=True, exist_ok=True)
        save_tensors(path, {"hands": hands, **parts, **trained.state_dict()})
    tensors = load_file(path)
    hands, sampler = tensors.pop("hands"), Mixture(*(tensors.pop(name) for name in MIXTURE))
    vae.load_state_dict(tensors)
    return Material(hands, vae.eval(), sampler)


class Refine:
    """HandRefine-v0's rows."""

    environment = "HandRefine-v0"
    nothing = 0.0  # each number of the action that changes nothing

    def __init__(self, material: Material, scale: Scale, device: str) -> None:
        """Put the VAE on the device."""
        self.scale, self.device, self.agent_device, self.every = scale, device, device, scale.refine_every
        self.vae, self.sampler = copy.deepcopy(material.vae).to(device), material.sampler

    def make(self, rows: int, seed: int) -> gym.vector.VectorEnv[Any, Any, Any]:
        """Build the environment of a run."""
        return gym.make_vec(
            self.environment,
            num_envs=rows,
            vae=self.vae,
            sampler=Pool(self.sampler, self.scale.pool, seed),
            device=self.device,
            autoreset_mode="SameStep",
        )

    def measure(self, agent: Agent) -> dict[str, float]:
        """Correct the fixed latents once and judge their pictures."""
        latents = self.sampler.sample(self.scale.latents, HELD_OUT_SEED).numpy()
        actions, _ = agent.predict(latents, deterministic=True)
        return judged(decode(self.vae, correct(latents, actions, 1.0)))


class Schedule:
    """HandSchedule-v0's rows, whose episodes train the VAE further."""

    environment = "HandSchedule-v0"
    agent_device = "cpu"  # networks of 128 units are no faster on a GPU
    nothing = -1.0

    def __init__(self, material: Material, scale: Scale, device: str) -> None:
        """Divide the hands that the VAE has not seen."""
        self.scale, self.device, self.every, self.vae = scale, device, scale.schedule_every, material.vae
        unseen = material.hands[scale.hands :].to(device)
        self.training, self.held_out = unseen[: scale.others], unseen[scale.others :]

    def make(self, rows: int, seed: int) -> HandScheduleVectorEnv:
        """Build the environment of a run: each row trains on hands of its own choice."""
        return self._rows(self.training, rows, seed, "SameStep")

    def measure(self, agent: Agent) -> dict[str, float]:
        """Let the agent act on the same VAEs as always to the end of their training, and judge what they draw."""
        env = self._rows(self.held_out, self.scale.rows_measured, HELD_OUT_SEED, "Disabled")
        observations, _ = env.reset(seed=HELD_OUT_SEED)
        trainers = [row.env.trainer for row in env.envs]
        for _ in range(-(-self.scale.epochs // self.scale.epochs_per_step)):
            actions, _ = agent.predict(observations, deterministic=True)
            observations, *_ = env.step(actions)
        return judged(torch.cat([self._draw(trainer, number) for number, trainer in enumerate(trainers)]))

    def _rows(self, hands: Tensor, rows: int, seed: int, mode: str) -> HandScheduleVectorEnv:
        scale, generator = self.scale, np.random.default_rng(seed)
        chosen = [torch.from_numpy(generator.permutation(len(hands))[: scale.images]) for _ in range(rows)]
        return HandScheduleVectorEnv(
            rows,
            autoreset_mode=mode,
            images=[hands[own.to(hands.device)] for own in chosen],
            vae=self.vae,
            batch_size=scale.batch_size,
            epochs_per_episode=scale.epochs,
            epochs_per_step=scale.epochs_per_step,
            training={"learning_rate": 1e-3, "averaging": 0.95},  # the averaged weights follow within 20 steps
            n_drawn=scale.drawn,
            drawn_from="mixture",
            reward_scale=scale.reward_scale,
            device=self.device,
        )

    def _draw(self, trainer: Trainer, number: int) -> Tensor:
        """Draw hands from noise that W was not measured on."""
        vae, generator = trainer.averaged_vae, torch.Generator().manual_seed(HELD_OUT_SEED + number)
        starts = torch.randperm(len(trainer.images), generator=generator)[: group_count(len(trainer.images))]
        sampler = LocalGaussians.fit(*encode_all(vae, trainer.images), starts.to(trainer.device))
        return to_float(decode_all(vae, sampler.sample(self.scale.judged, HELD_OUT_SEED + number))).to(self.device)


Problem = Refine | Schedule
PROBLEMS: dict[str, type[Refine] | type[Schedule]] = {each.environment: each for each in (Refine, Schedule)}


def judged(pictures: Tensor) -> dict[str, float]:
    """Judge pictures, (n, 3, S, S) float in [0, 1]: share of right hands and mean scores."""
    device = str(pictures.device)
    reporter, parser = (default_judge(name, device) for name in ("reporter", "parser"))
    means = {
        "correct": reporter.correct(pictures).mean(),
        "score": reporter.score(pictures).mean(),
        "score_by_parser": parser.score(pictures).mean(),
    }
    return {name: round(float(value), 5) for name, value in means.items()}
