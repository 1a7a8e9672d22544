"""Train one VAE or several for a stretch of epochs, each with deltas made in its own way, and say what it pays."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from hand_env.drawn_score import wrong_together
from hand_env.latent_env import HandLatentEnv
from hand_env.rewards import drawn_change
from hand_env.schedule.deltas import Deltas, combine, draw_noise, shift_latents, stack_choices, step_generator
from hand_env.scoring import LOSSES
from vae.progress import progress_bar
from vae.side_by_side import SideBySide


@dataclass(frozen=True)
class Paid:
    """Hold what a stretch gave.

    Attributes:
        reward: Before lambda: the sum over the stretch's steps of their mean over the minibatch.
        terms: For info; losses are means over the stretch's last epoch, changes are sums over the stretch.
    """

    reward: float
    terms: dict[str, float]


def pays_only_at_the_end(env: HandLatentEnv) -> bool:
    """Whether nothing is measured before a stretch's end, so that its steps need not be scored one by one."""
    return env.reward is drawn_change and env.validation_images is None


def terms_of(env: HandLatentEnv) -> tuple[str, ...]:
    """Name the terms that `train` gives, before it has given any."""
    return (*LOSSES, "drawn_change") if pays_only_at_the_end(env) else env.scorer.terms


def train(envs: Sequence[HandLatentEnv], together: SideBySide, choices: Sequence[Deltas], steps: int) -> list[Paid]:
    """Train the VAEs of several environments for as many steps.

    Args:
        envs: K environments, reset, which differ only in seed and pictures. They measure W at the stretch's end.
        together: Takes the steps of their trainers.
        choices: K, how each one's deltas are made.
        steps: >= 1, up to the end of an epoch.

    Returns:
        K, what the stretch gave.
    """
    if not pays_only_at_the_end(envs[0]):
        return [_train_and_score(env, choice, steps) for env, choice in zip(envs, choices, strict=True)]
    losses = _train_unscored(together, choices, steps).cpu().numpy()
    wrong = wrong_together([env.drawn_score for env in envs if env.drawn_score is not None])
    changes = [env.scorer.move_drawn(value) for env, value in zip(envs, wrong, strict=True)]
    rows = zip(losses.sum(1), losses[:, 0], losses[:, 1], changes, strict=True)
    return [
        Paid(-change, dict(zip((*LOSSES, "drawn_change"), map(float, (*means, change)), strict=True)))
        for *means, change in rows
    ]


def _train_unscored(together: SideBySide, choices: Sequence[Deltas], steps: int) -> Tensor:
    """Train without waiting for a GPU; return (K, 2) float64 nats, mean reconstruction and KL over the last epoch."""
    trainers = together.trainers
    numbers, last_epoch = stack_choices(choices, trainers[0].device), steps - trainers[0].steps_per_epoch
    kept = []
    for step in progress_bar(range(steps), "Training VAEs"):
        latents = together.encode()  # (K, B, D)
        pairs = zip(latents, trainers, strict=True)
        noise = torch.stack([draw_noise(own, step_generator(trainer)) for own, trainer in pairs])
        losses = together.step(combine(latents, noise, numbers))
        if step >= last_epoch:
            kept.append(torch.stack([losses.reconstruction, losses.kl], 1))  # (K, 2, B)
    return torch.stack(kept).double().mean((0, 3))


def _train_and_score(env: HandLatentEnv, choice: Deltas, steps: int) -> Paid:
    """Train one VAE and score each step, as `HandLatentEnv` does."""
    trainer, scorer, reward = env.trainer, env.scorer, 0.0
    summed: dict[str, float] = {}
    last_epoch = max(0, steps - trainer.steps_per_epoch)  # the rest of an epoch, after an interrupted stretch
    for step in progress_bar(range(steps), "Training a VAE"):
        shift, epoch = shift_latents(trainer.encode(), choice, step_generator(trainer)), trainer.epoch + 1
        losses = trainer.step(shift, measure_without=scorer.needs_without_shift)
        scores, terms = scorer.score(losses, epoch)
        reward += float(np.mean(scores))
        for name, term in terms.items():
            share = (step >= last_epoch) / (steps - last_epoch) if name in LOSSES else 1.0
            summed[name] = summed.get(name, 0.0) + share * float(np.mean(term))
    return Paid(reward, summed)
