"""Keep the losses that rewards compare with, and score each step."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from hand_env.rewards import Array, Reward, Visit
from vae.evaluation import Losses
from vae.training import Trainer


class Scorer:
    """Remember each picture's loss at its last visit and the validation loss at the last epoch's end."""

    def __init__(self, reward: Reward, trainer: Trainer, validation: Tensor | None) -> None:
        """Remember nothing yet; where an episode is one epoch, measure the losses that stand in for epoch 0.

        Args:
            reward: What a step is paid for.
            trainer: The episode's.
            validation: (image, 3, S, S) uint8, or None.
        """
        self.reward, self.trainer, self.validation = reward, trainer, validation
        self.knows_epoch_0 = trainer.config.epochs == 1
        self.last_loss = np.zeros(len(trainer.images))
        self.last_validation: float | None = None
        if self.knows_epoch_0:
            self.last_loss = trainer.measure().total.double().cpu().numpy()
            self.last_validation = self._measure_validation()

    @property
    def needs_loss_without(self) -> bool:
        """Whether the reward asks for the losses without the shift."""
        return bool(getattr(self.reward, "needs_loss_without", False))

    def score(self, losses: Losses, epoch: int) -> tuple[float, dict[str, float]]:
        """Score a step that has just been taken.

        Args:
            losses: The step's.
            epoch: The epoch that it belonged to, from 1.

        Returns:
            The mean reward of its rows before lambda, and info's terms.

        Raises:
            ValueError: If the reward does not give one finite number for each row.
        """
        parts = torch.stack([losses.reconstruction, losses.kl]).double().cpu().numpy()  # (2, batch)
        loss, index = parts.sum(0), losses.index.cpu().numpy()
        before = self.last_loss[index] if epoch > 1 or self.knows_epoch_0 else loss
        self.last_loss[index] = loss
        without = None if losses.without_shift is None else losses.without_shift.double().cpu().numpy()
        visit = Visit(loss, before, without, len(loss) / len(self.last_loss), self._validation_change())
        terms = {
            "loss_nats": float(loss.mean()),
            "reconstruction_nats": float(parts[0].mean()),
            "kl_nats": float(parts[1].mean()),
            "loss_change_nats": float((loss - before).mean() * visit.share),
        }
        if without is not None:
            terms["counterfactual_nats"] = float((loss - without).mean())
        if self.validation is not None:
            terms["validation_change_nats"] = visit.validation_change
        if not np.isfinite(list(terms.values())).all():
            return 0.0, terms  # the environment ends the episode
        return float(_checked(self.reward(visit), loss.shape).mean()), terms

    def state_dict(self) -> dict[str, Any]:
        """Copy what is remembered."""
        return {"last_loss": self.last_loss.copy(), "last_validation": self.last_validation}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` returned."""
        self.last_loss, self.last_validation = np.array(state["last_loss"]), state["last_validation"]

    def _validation_change(self) -> float:
        if self.validation is None or self.trainer.steps_done % self.trainer.steps_per_epoch:
            return 0.0
        before, self.last_validation = self.last_validation, self._measure_validation()
        assert self.last_validation is not None, "there are pictures"
        return 0.0 if before is None else self.last_validation - before

    def _measure_validation(self) -> float | None:
        return None if self.validation is None else float(self.trainer.measure(self.validation).total.double().mean())


def _checked(reward: Any, shape: tuple[int, ...]) -> Array:
    rows: Array = np.asarray(reward, np.float64)
    if rows.shape != shape or not np.isfinite(rows).all():
        raise ValueError(f"reward must give finite numbers of shape {shape}, one for each row, got {reward!r}.")
    return rows
