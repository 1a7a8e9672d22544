"""Train the VAEs of one group side by side, each with its own way of acting on the latents."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.sac.policies import SACPolicy
from torch import Tensor

from agents.commands.curriculum.agent_training import train_rows, train_with_agent
from agents.commands.curriculum.args import CurriculumArgs
from agents.commands.curriculum.jobs import Job
from agents.commands.curriculum.methods import AGENT, ALONE, PAPER, ROWS
from hand_env.schedule.deltas import combine, draw_noise, stack_choices, step_generator
from vae.model import VAEConfig, build_vae
from vae.progress import progress_bar
from vae.seeds import first_weights
from vae.side_by_side import SideBySide
from vae.training import Trainer

PAPER_KAPPA = 0.1  # the default of HandLatent-v0
Act = Callable[[Trainer, Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class FinishedJob:
    """A trained VAE.

    Attributes:
        job: What was asked for.
        trainer: Holds the VAE and its averaged weights.
        seconds: Its share of the time that its group took.
    """

    job: Job
    trainer: Trainer
    seconds: float


def groups(jobs: Sequence[Job], at_most: int) -> list[list[Job]]:
    """Divide jobs of one N and one number of epochs into groups that are trained together."""
    together = [job for job in jobs if job.method.acts not in ALONE]
    led: dict[str, list[Job]] = {}
    for job in jobs:
        if job.method.acts == AGENT:
            led.setdefault(job.method.name, []).append(job)
    alone = [[job] for job in jobs if job.method.acts == ROWS]
    return [part for whole in (together, *led.values()) for part in _parts(whole, at_most)] + alone


def train_group(jobs: Sequence[Job], args: CurriculumArgs, device: str) -> list[FinishedJob]:
    """Train the VAEs of a group from fresh weights to the end.

    Args:
        jobs: Jobs from one of `groups`.
        args: Settings.
        device: "cpu", "cuda" or "cuda:N".

    Returns:
        The trained VAEs, in the order of the jobs.
    """
    began = time.monotonic()
    if jobs[0].method.acts == ROWS:
        trainers = [train_rows(job, args, device) for job in jobs]
    elif jobs[0].method.acts == AGENT:
        trainers = train_with_agent(jobs, args, device)
    else:
        trainers = [_trainer(job, args, device) for job in jobs]
        _train(SideBySide(trainers), jobs, trainers)
    seconds = (time.monotonic() - began) / len(jobs)
    return [FinishedJob(job, trainer, seconds) for job, trainer in zip(jobs, trainers, strict=True)]


def _parts(jobs: Sequence[Job], at_most: int) -> list[list[Job]]:
    return [list(jobs[start : start + at_most]) for start in range(0, len(jobs), at_most)]


def _trainer(job: Job, args: CurriculumArgs, device: str) -> Trainer:
    vae = build_vae(VAEConfig(args.size, args.latent_dim), job.seed)
    return Trainer(vae, job.images, job.config(args), job.seed, device)


def _train(stack: SideBySide, jobs: Sequence[Job], trainers: Sequence[Trainer]) -> None:
    actors = {
        place: untrained_agent(job, trainers[place]) for place, job in enumerate(jobs) if job.method.acts == PAPER
    }
    steps = trainers[0].total_steps
    for step in progress_bar(range(steps), f"Training {len(jobs)} VAEs"):
        stack.step(make_shifts(jobs, trainers, stack.encode(), step / steps, actors))


@torch.no_grad()
def make_shifts(
    jobs: Sequence[Job], trainers: Sequence[Trainer], latents: Tensor, done: float, actors: dict[int, Act]
) -> Tensor | None:
    """Shift the latents of each VAE in its own way.

    Args:
        jobs: K jobs.
        trainers: Their trainers, which have encoded a minibatch each.
        latents: (K, batch, latent) float32, the posterior means.
        done: Share of the training that is done, in [0, 1).
        actors: Agents by the places of their jobs.

    Returns:
        (K, batch, latent) float32; None if nothing acts on any of them.
    """
    choices = [job.method.deltas(done) for job in jobs]
    moving = [choice.reach > 0 for choice in choices]
    if not any(moving) and not actors:
        return None
    shape = (*latents.shape[1:-1], latents.shape[-1] + 1)
    still = torch.full(shape, 0.5, device=latents.device)
    noise = [
        draw_noise(own, step_generator(trainer)) if moves else still
        for own, trainer, moves in zip(latents, trainers, moving, strict=True)
    ]
    shifts = combine(latents, torch.stack(noise), stack_choices(choices, latents.device))
    for place, act in actors.items():
        shifts[place] = act(trainers[place], latents[place])
    return shifts


def untrained_agent(job: Job, trainer: Trainer) -> Act:
    """Build the paper's agent as it is before it learns: a SAC policy over the flat (B, D) batch, with kappa 0.1.

    Args:
        job: Its seed decides the policy's weights.
        trainer: Its batch and its VAE decide the shapes.

    Returns:
        A function from a trainer and its (B, D) latents to a shift, drawn from the policy.
    """
    shape = (trainer.config.batch_size, trainer.vae.latent_dim)
    box = spaces.Box(-np.inf, np.inf, shape, np.float32), spaces.Box(-1.0, 1.0, shape, np.float32)
    with first_weights(job.seed):
        actor = SACPolicy(*box, lr_schedule=lambda _: 0.0).actor.to(trainer.device).eval()

    def act(trainer: Trainer, latents: Tensor) -> Tensor:
        mean, log_std, _ = actor.get_action_dist_params(latents[None])  # (1, B D) each
        noise = torch.randn(mean.shape, generator=step_generator(trainer), device=mean.device)
        deltas: Tensor = torch.tanh(mean + log_std.exp() * noise)
        return PAPER_KAPPA * deltas.reshape(shape)

    return act
