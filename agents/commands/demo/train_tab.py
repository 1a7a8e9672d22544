"""The tab "Train": HandLatent-v0 live, with the agent of HandSchedule-v0 and without it, on the same few hands."""

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from agents.commands.demo.verdict import as_url
from agents.rl.baselines import NoAction
from agents.rl.schedule_actor import KAPPA, ScheduleActor
from agents.rl.schedule_agent import PACKAGED_FOR_DRAWN, load_agent
from hand_env import HandLatentEnv, image_grid
from hand_env.anatomy.judge import default_judge
from hand_env.drawn_score import DrawnScore
from vae.checks import LARGEST_SEED, integer
from vae.images import to_uint8
from vae.images.synthetic import generate_hands
from vae.torch_modes import usual_modes

SIDES = ("without", "with")
SHOWN = 16  # hands in a grid
CHUNK = 25  # training pictures drawn at a time
LEAST, MOST, MOST_EPOCHS = 32, 2000, 60
# The settings of `make demo`, in which the packaged agent for synthetic hands was trained, but for the length.
BATCH, TRAINING = 16, {"learning_rate": 1e-3, "kl_weight": 4.0}


@dataclass(frozen=True)
class TrainSettings:
    """How small the training is.

    Attributes:
        images: Synthetic hands to train on, LEAST..MOST.
        size: Pixels a side.
        epochs: Passes over them, 1..MOST_EPOCHS.
        seed: Seed of the hands, and of both VAEs: they differ in the agent alone.
    """

    images: int = 200
    size: Literal[32, 64] = 32
    epochs: int = 20
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse numbers out of range."""
        integer("images", self.images, LEAST, MOST)
        integer("epochs", self.epochs, 1, MOST_EPOCHS)
        integer("seed", self.seed, 0, LARGEST_SEED)


class Side:
    """One VAE in training: its environment, who acts, and what it draws."""

    def __init__(self, images: Tensor, settings: TrainSettings, acts: bool) -> None:
        """Build all from the seed."""
        self.env = HandLatentEnv(
            images,
            batch_size=BATCH,
            epochs_per_episode=settings.epochs,
            delta_scale=KAPPA if acts else 1.0,
            training=TRAINING,
        )
        assert isinstance(self.env.action_space, spaces.Box), "HandLatent-v0 has a Box"
        self.agent: ScheduleActor | NoAction = NoAction(self.env.action_space)
        if acts:
            self.agent = ScheduleActor(self.env, load_agent(PACKAGED_FOR_DRAWN), default_judge().correct)
        self.observation, _ = self.env.reset(seed=settings.seed)
        self.drawn = DrawnScore(self.env.trainer, SHOWN, None, "mixture")  # as the agent draws its hands
        self.losses = list[float]()  # of the epoch's steps
        self.last_loss: float | None = None  # mean over the last epoch

    def decide(self) -> dict[str, float] | None:
        """Let the agent decide if it is time to: it draws and judges 128 hands. Return the decision."""
        if isinstance(self.agent, ScheduleActor) and self.agent.decides_now:
            return self.agent.decide(self.last_loss)
        return None

    @usual_modes()
    def step(self) -> None:
        """Take a training step.

        Raises:
            ValueError: If the VAE diverged.
        """
        action, _ = self.agent.predict(self.observation)
        self.observation, _, diverged, _, info = self.env.step(action)
        if diverged:
            raise ValueError("The VAE diverged. Choose another seed.")
        self.losses.append(info["loss_nats"])

    @usual_modes()
    def end_epoch(self) -> dict[str, Any]:
        """Return the epoch's mean loss, a grid of hands drawn now, and their mean score by the rewarding judge."""
        self.last_loss, self.losses = float(np.mean(self.losses)), []
        pictures = self.drawn.draw()
        if pictures is None:
            raise ValueError("The VAE diverged. Choose another seed.")
        score = float(np.mean(self.drawn.judge(pictures).tolist()))
        grid = as_url(image_grid(to_uint8(pictures), columns=4))
        return {"epoch": self.env.trainer.epoch, "loss": self.last_loss, "score": score, "grid": grid}


def train(settings: TrainSettings) -> Generator[dict[str, Any], None, None]:
    """Train two VAEs from the same seed, an epoch of each in turn.

    Args:
        settings: How small.

    Yields:
        {"status": text} or {"done", "of"} between the steps; {"side", "epoch", "loss", "score", "grid"} after each
        epoch of a side; {"side": "with", "decision": text} after each decision of the agent.

    Raises:
        ValueError: If a VAE diverged.
    """
    images = []
    for first in range(0, settings.images, CHUNK):
        yield {"status": f"Rendering hands to train on: {first} of {settings.images}."}
        some = min(CHUNK, settings.images - first)
        images.append(generate_hands(some, settings.size, seed=settings.seed, first=first).images)
    yield {"status": "Building two VAEs from the same seed."}
    sides = {name: Side(torch.cat(images), settings, name == "with") for name in SIDES}
    steps = sides["with"].env.trainer.steps_per_epoch
    of, done = len(sides) * settings.epochs * steps, 0
    for epoch in range(1, settings.epochs + 1):
        for name, side in sides.items():
            if isinstance(side.agent, ScheduleActor) and side.agent.decides_now:
                yield {"status": "The agent draws 128 hands with its VAE, judges them and decides."}
            decision = side.decide()
            if decision is not None:
                yield {"side": name, "decision": in_words(epoch, decision)}
            for _ in range(steps):
                side.step()
                done += 1
                yield {"done": done, "of": of}
            yield {"side": name, **side.end_epoch()}


def in_words(epoch: int, decision: dict[str, float]) -> str:
    """Say what the agent decided before an epoch."""
    return (
        f"Before epoch {epoch}: shift latents by up to {decision['reach']:.2f}, mix {decision['mix']:.0%} of another "
        f"hand's in, pull {decision['pull']:.0%} towards 0."
    )
