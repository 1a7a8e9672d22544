"""Log a run while it trains: progress bar, metrics.csv, TensorBoard."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from agents.rl.schedule_agent import N_DRAWN
from agents.runs.log_intervals import ends_of_mean, ends_of_share
from hand_env import image_grid
from vae.files import save_text
from vae.images.image_set import to_float, to_uint8
from vae.progress import Bar, progress_bar
from vae.sampling.sampler import StandardNormal
from vae.training import Trainer, learning_rate

if TYPE_CHECKING:
    from agents.runs.tensorboard_events import Events

METRICS: dict[str, tuple[str, str]] = {
    # name: (unit, good direction)
    "epoch": ("epochs", "-"),
    "loss_nats": (
        "nats per image, mean over the epoch's steps, on augmented pictures with shifted latents",
        "down",
    ),
    "reconstruction_nats": ("nats per image, likewise", "down"),
    "kl_nats": ("nats per image, likewise", "-"),
    "validation_loss_nats": (
        "nats per image, other people, averaged weights, no augmentation: sharper pictures, so above loss_nats",
        "down",
    ),
    "reward": ("lambda times nats, sum over the epoch", "up"),
    "learning_rate": ("per step, at the end of the epoch", "-"),
    "images_per_second": ("training pictures per second, including all other work of the run", "up"),
    "entropy_coefficient": ("temperature of 'sac-flat'", "-"),
    "critic_loss": ("squared reward, likewise", "down"),
    "actor_loss": ("reward, likewise", "down"),
    "reach": ("the decision of 'sac' for this epoch: uniform deltas lie in [-reach, reach]", "-"),
    "mix": ("share of the way to another row's latent, likewise", "-"),
    "pull": ("share of the way to the origin, likewise", "-"),
    "drawn_wrong": (
        "W when it decided: 1 - the share of right hands by the rewarding judge, of 128 from a mixture of Gaussians",
        "down",
    ),
}
_SUMMED = ("loss_nats", "reconstruction_nats", "kl_nats", "reward")
_SQUARED = ("loss_nats", "kl_nats", "reward")  # these get intervals, from the sums of their squares
_OVER = {
    "loss_nats": "the epoch's steps",
    "kl_nats": "the epoch's steps",
    "validation_loss_nats": "pictures",
    "reward": "the epoch's steps",
    "drawn_wrong": "the 128 hands",
}
METRICS |= {
    f"{name}_{end}": (f"{end} end of the 95 % interval of {name} over {over}", "-")
    for name, over in _OVER.items()
    for end in ("low", "high")
}
_SAC = {
    "entropy_coefficient": "train/ent_coef",
    "critic_loss": "train/critic_loss",
    "actor_loss": "train/actor_loss",
}


class TrainingLog:
    """Log each step of one run; each epoch gives a row of metrics.csv, and some epochs a grid of pictures."""

    def __init__(self, run: Path, trainer: Trainer, validation: Tensor) -> None:
        """Open the logs.

        Args:
            run: The run's folder.
            trainer: The run's trainer.
            validation: (image, 3, S, S) uint8, pictures of people not trained on; may be empty.
        """
        self.run, self.trainer, self.validation = run, trainer, validation
        self.rows: list[dict[str, float]] = []
        self.sums = _nothing()
        self.agent_log: dict[str, float] = {}
        self.started, self.seconds_before = time.monotonic(), 0.0
        self._bar: Bar | None = None
        self._events: Events | None = None

    @property
    def images_seen(self) -> int:
        """Pictures trained on so far, including the earlier parts of a resumed run."""
        return self.trainer.steps_done * self.trainer.config.batch_size

    @property
    def seconds(self) -> float:
        """Time spent on training so far, including the earlier parts of a resumed run."""
        return self.seconds_before + time.monotonic() - self.started

    def state_dict(self) -> dict[str, Any]:
        """Return the rows so far, the sums of the current epoch, the agent's last values, and the time spent."""
        return {
            "rows": [dict(row) for row in self.rows],
            "sums": dict(self.sums),
            "agent_log": dict(self.agent_log),
            "seconds": self.seconds,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned; drop rows that were written after it."""
        self.rows, self.sums, self.agent_log = state["rows"], _nothing() | state["sums"], state["agent_log"]
        self.seconds_before = state["seconds"]

    def open(self) -> None:
        """Start the clock, the progress bar and the TensorBoard file."""
        self.started = time.monotonic()
        total = self.trainer.total_steps * self.trainer.config.batch_size
        self._bar = progress_bar(title="Training", unit="pictures", total=total, initial=self.images_seen, leave=True)
        from agents.runs.tensorboard_events import Events  # here: other commands do without TensorBoard

        self._events = Events(self.run, first_step=len(self.rows) + 1)

    def close(self) -> None:
        """Close what `open` opened."""
        if self._bar is not None:
            self._bar.close()
        if self._events is not None:
            self._events.close()

    def note_agent(self, log: Mapping[str, Any]) -> None:
        """Keep the last values of SAC's updates in Stable-Baselines3's logger."""
        self.agent_log |= {name: float(log[key]) for name, key in _SAC.items() if key in log}

    def note_decision(self, decision: Mapping[str, float]) -> None:
        """Keep the last decision of the agent 'sac'."""
        self.agent_log |= {**decision, **ends_of_share("drawn_wrong", decision["drawn_wrong"], N_DRAWN)}

    @property
    def last_loss(self) -> float | None:
        """Nats per image, mean over the last epoch; None before the first."""
        return self.rows[-1]["reconstruction_nats"] + self.rows[-1]["kl_nats"] if self.rows else None

    def note_step(self, reward: float, info: dict[str, Any]) -> bool:
        """Add one step.

        Args:
            reward: The reward of the step.
            info: The info of the step.

        Returns:
            Whether the step ended an epoch.
        """
        assert self._bar is not None, "open() makes it"
        for name in _SUMMED[:3]:
            self.sums[name] += info[name]
        self.sums["reward"] += reward
        for name in _SQUARED:
            self.sums[f"{name}_squares"] += (reward if name == "reward" else info[name]) ** 2
        self._bar.set_postfix(loss=f"{info['loss_nats']:.0f}", reward=f"{reward:+.2f}", refresh=False)
        self._bar.update(self.trainer.config.batch_size)
        ended = self.trainer.steps_done % self.trainer.steps_per_epoch == 0
        if ended:
            self._close_epoch()
        return ended

    def _close_epoch(self) -> None:
        trainer, epochs = self.trainer, self.trainer.config.epochs
        row = {name: self.sums[name] / trainer.steps_per_epoch for name in _SUMMED[:3]}
        row |= {"epoch": trainer.epoch, "reward": self.sums["reward"], **self._ends()}
        row["learning_rate"] = learning_rate(trainer.steps_done, trainer.total_steps, trainer.config)
        row["images_per_second"] = self.images_seen / self.seconds
        row |= self.agent_log
        looks = trainer.epoch % max(1, epochs // 50) == 0 or trainer.epoch == epochs
        if looks and len(self.validation):
            losses = trainer.measure(self.validation, averaged=True).total
            row["validation_loss_nats"] = float(losses.mean())
            total, squares = float(losses.double().sum()), float(losses.double().square().sum())
            row |= ends_of_mean("validation_loss_nats", total, squares, len(losses))
        self.rows.append(row)
        self.sums = _nothing()
        self._write(row, trainer.epoch, looks)

    def _ends(self) -> dict[str, float]:
        """Return the ends of the intervals over the epoch's steps; the reward is a sum over them, not a mean."""
        steps, ends = self.trainer.steps_per_epoch, dict[str, float]()
        for name in _SQUARED:
            found = ends_of_mean(name, self.sums[name], self.sums[f"{name}_squares"], steps)
            ends |= {end: value * (steps if name == "reward" else 1) for end, value in found.items()}
        return ends

    def _write(self, row: dict[str, float], epoch: int, with_pictures: bool) -> None:
        assert self._events is not None, "open() makes it"
        for name, value in row.items():
            if not name.endswith(("_low", "_high")):
                self._events.add_scalar(name, value, epoch)
        if with_pictures:
            self._events.add_image("samples_standard_normal", self._samples(), epoch)
            self._events.add_image("pictures_and_reconstructions", self._pairs(), epoch)
            save_text(self.run / "metrics.csv", metrics_csv(self.rows))

    @torch.no_grad()
    def _samples(self) -> NDArray[np.uint8]:
        vae = self.trainer.averaged_vae
        latents = StandardNormal(vae.latent_dim).sample(16, seed=0).to(self.trainer.device)
        return image_grid(to_uint8(vae.decode(latents)), columns=8)

    @torch.no_grad()
    def _pairs(self) -> NDArray[np.uint8]:
        vae = self.trainer.averaged_vae
        shown = self.validation[:8] if len(self.validation) else self.trainer.images[:8]
        pictures = to_float(shown.to(self.trainer.device))
        return image_grid(
            torch.cat([to_uint8(pictures), to_uint8(vae.decode(vae.encode(pictures)[0]))]), columns=len(shown)
        )


def _nothing() -> dict[str, float]:
    return dict.fromkeys([*_SUMMED, *(f"{name}_squares" for name in _SQUARED)], 0.0)


def metrics_csv(rows: list[dict[str, float]]) -> str:
    """Return the rows as the text of metrics.csv, columns as in `METRICS`; cells that were not measured are empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(METRICS), restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
