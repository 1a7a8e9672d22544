"""Keep the earlier losses that rewards compare with, and score each step."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hand_env.checks import check_finite, check_rows
from hand_env.rewards import Array, Reward, Visit
from vae.evaluation import Losses
from vae.training import Trainer

ScoreFn = Callable[[Tensor], Any]
"""A judge: a function from (n, 3, S, S) float32 pictures in [0, 1] to (n,) finite scores, a tensor or an array."""
LOSSES = ("loss_nats", "reconstruction_nats", "kl_nats")  # info's other terms are changes


@torch.no_grad()
def judge_pictures(judge: ScoreFn, pictures: Tensor) -> Array:
    """Score pictures with a judge and check its scores.

    Args:
        judge: The judge; see `HandLatentEnv`.
        pictures: (batch, 3, S, S) float32 in [0, 1].

    Returns:
        (batch,) float64 scores.

    Raises:
        ValueError: If the judge does not give one finite number for each picture.
    """
    scores = judge(pictures)
    if isinstance(scores, Tensor) and not scores.is_complex():  # bfloat16, too, which NumPy lacks
        scores = scores.double().cpu().numpy()
    return check_rows("judge", scores, (len(pictures),))


class Scorer:
    """Keep each picture's loss at its last visit and the validation loss at the end of the last epoch."""

    def __init__(
        self,
        reward: Reward,
        trainer: Trainer,
        validation: Tensor | None,
        judge: ScoreFn | None,
        drawn_wrong: Callable[[], float] | None = None,
        drawn_every: int = 1,
        first_drawn: bool = True,
    ) -> None:
        """Start without losses; if an episode is one epoch, measure the losses that stand for epoch 0.

        Args:
            reward: The reward function.
            trainer: The episode's trainer.
            validation: (image, 3, S, S) uint8, or None.
            judge: A function from (batch, 3, S, S) float32 pictures in [0, 1] to (batch,) scores, or None.
            drawn_wrong: Measures W, 1 - the mean score of drawn hands; see `hand_env.drawn_score`; None: unpaid.
            drawn_every: Epochs from one measurement of W to the next, >= 1; the last epoch also has one.
            first_drawn: Whether to measure W_0 now; else the caller sets `last_drawn`.
        """
        self.drawn_wrong, self.drawn_every = drawn_wrong, drawn_every
        self.last_drawn = drawn_wrong() if drawn_wrong is not None and first_drawn else None
        self.reward, self.trainer, self.validation, self.judge = reward, trainer, validation, judge
        self.knows_epoch_0 = trainer.config.epochs == 1
        self.last_loss = np.zeros(len(trainer.images))
        self.last_validation: float | None = None
        if self.knows_epoch_0:
            self.last_loss = _numbers(trainer.measure().total)
            self.last_validation = self._measure_validation()

    @property
    def needs_without_shift(self) -> bool:
        """Whether a step must also be measured without the shift."""
        needed = bool(getattr(self.reward, "needs_without_shift", False))
        return needed or (self.judge is not None and self.drawn_wrong is None)  # else the judge is for drawn hands

    @property
    def terms(self) -> tuple[str, ...]:
        """Names of info's terms, the same in each step of an episode."""
        named = {
            "counterfactual_nats": self.needs_without_shift,
            "anatomy_change": self.needs_without_shift and self.judge is not None,
            "validation_change_nats": self.validation is not None,
            "drawn_change": self.drawn_wrong is not None,
        }
        return (*LOSSES, "loss_change_nats", *(name for name, is_measured in named.items() if is_measured))

    @np.errstate(invalid="ignore")  # of a VAE that has diverged: infinity less infinity; the episode ends with it
    def score(self, losses: Losses, epoch: int) -> tuple[Array, dict[str, Array]]:
        """Score the last step.

        Args:
            losses: The losses of the step.
            epoch: The epoch of the step, from 1.

        Returns:
            (batch,) float64 rewards of its rows before lambda, and info's terms, (batch,) float64 each.

        Raises:
            ValueError: If the reward or the judge does not give one finite number for each row.
        """
        columns = [column.double() for column in (losses.reconstruction, losses.kl, losses.index)]
        reconstruction, kl, places = _numbers(torch.stack(columns))  # (batch,) each, in one transfer from a GPU
        loss, index = reconstruction + kl, places.astype(np.int64)
        before = self.last_loss[index] if epoch > 1 or self.knows_epoch_0 else loss
        self.last_loss[index] = loss
        visit = Visit(
            loss=loss,
            loss_before=before,
            loss_without=None if losses.without is None else _numbers(losses.without.total),
            anatomy_change=self._anatomy_change(losses),
            share=len(loss) / len(self.last_loss),
            validation_change=self._validation_change(),
            drawn_change=self._drawn_change(),
        )
        terms = {
            "loss_nats": loss,
            "reconstruction_nats": reconstruction,
            "kl_nats": kl,
            "loss_change_nats": visit.share * (loss - before),
        }
        if visit.loss_without is not None:
            terms["counterfactual_nats"] = loss - visit.loss_without
        if visit.anatomy_change is not None:
            terms["anatomy_change"] = visit.anatomy_change
        if visit.validation_change is not None:
            terms["validation_change_nats"] = np.full_like(loss, visit.validation_change)
        if visit.drawn_change is not None:
            terms["drawn_change"] = np.full_like(loss, visit.drawn_change)
        if not all(np.isfinite(term).all() for term in terms.values()):
            return np.zeros_like(loss), terms  # the environment ends the episode
        return check_rows("reward", self.reward(visit), loss.shape), terms

    def move_drawn(self, wrong: float) -> float:
        """Keep a new W, measured after the last step, and return its change since the last one, if there was one."""
        before, self.last_drawn = self.last_drawn, wrong
        return 0.0 if before is None else wrong - before

    def state_dict(self) -> dict[str, Any]:
        """Copy the losses that are kept."""
        return {
            "last_loss": self.last_loss.copy(),
            "last_validation": self.last_validation,
            "last_drawn": self.last_drawn,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self.last_loss = check_finite("last_loss", state["last_loss"], self.last_loss.shape, np.float64)
        last = {"last_validation": state["last_validation"], "last_drawn": state.get("last_drawn")}  # newer than others
        self.last_validation, self.last_drawn = (
            None if own is None else float(check_finite(name, own, (), np.float64)) for name, own in last.items()
        )
        if self.drawn_wrong is not None and self.last_drawn is None:
            raise ValueError("its reward needs no drawn hands")

    def _anatomy_change(self, losses: Losses) -> Array | None:
        if self.judge is None or losses.without is None or losses.decoded is None or losses.without.decoded is None:
            return None
        pictures = torch.cat([losses.decoded, losses.without.decoded]).clamp(0, 1)
        if not pictures.isfinite().all():
            return np.full(len(losses.index), np.nan)  # the VAE diverged: nothing to judge
        shifted, unshifted = judge_pictures(self.judge, pictures).reshape(2, -1)
        return shifted - unshifted

    def _validation_change(self) -> float | None:
        if self.validation is None:
            return None
        if self.trainer.steps_done % self.trainer.steps_per_epoch:
            return 0.0
        before, self.last_validation = self.last_validation, self._measure_validation()
        assert self.last_validation is not None, "there are pictures"
        return 0.0 if before is None else self.last_validation - before

    def _drawn_change(self) -> float | None:
        if self.drawn_wrong is None:
            return None
        if self.trainer.steps_done % self.trainer.steps_per_epoch:
            return 0.0
        if self.trainer.epoch % self.drawn_every and self.trainer.epoch < self.trainer.config.epochs:
            return 0.0
        return self.move_drawn(self.drawn_wrong())

    def _measure_validation(self) -> float | None:
        return None if self.validation is None else float(_numbers(self.trainer.measure(self.validation).total).mean())


def _numbers(values: Tensor) -> Array:
    numbers: Array = values.double().cpu().numpy()
    return numbers
