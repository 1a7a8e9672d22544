"""Reward functions: each maps a step's `Visit` to one number for each row of the minibatch, higher is better.

The reward is `reward_scale` (the paper's lambda) times their mean over the rows.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Visit:
    """Hold what is known about a minibatch after a step; all losses in nats.

    Attributes:
        loss: (batch,) float64, each picture's loss, with its latent shifted by the agent.
        loss_before: (batch,) float64, its loss at the last visit; equal to `loss` at the first visit.
        loss_without: (batch,) float64, its loss without the shift, with the same weights and noise. None unless the
            reward has a true attribute `needs_without_shift`.
        anatomy_change: (batch,) float64, the judge's score of each decoded picture minus its score without the shift.
            None if the environment has no judge, or if the reward has `needs_drawn` and not `needs_without_shift`: the
            judge is then for drawn hands alone.
        share: B / N, the minibatch's fraction of the training set.
        validation_change: Change of the mean validation loss over the epoch that has just ended; 0 at other steps, None
            if the environment has no validation pictures.
        drawn_change: Change of W over the epoch that has just ended, where W is 1 - the mean score of K drawn hands; 0
            at other steps. None unless the reward has a true attribute `needs_drawn`.
    """

    loss: Array
    loss_before: Array
    loss_without: Array | None
    anatomy_change: Array | None
    share: float
    validation_change: float | None
    drawn_change: float | None = None


Reward = Callable[[Visit], Array]


def loss_change(visit: Visit) -> Array:
    """Reward the fall of each picture's loss since its last visit: the paper's reward.

    The paper's reward is R_t = -lambda * (L_t - L_(t-1)), where L_t is the mean loss of epoch t. Here L_t is the mean
    over the pictures of their loss at their last visit in epoch t. The changes over an epoch's visits, each divided by
    N, therefore add up to L_t - L_(t-1). This sum telescopes, whether or not B divides N.
    """
    return visit.share * (visit.loss_before - visit.loss)


def validation_loss_change(visit: Visit) -> Array:
    """Reward each row for the fall of the mean validation loss at the end of an epoch; 0 at other steps."""
    if visit.validation_change is None:
        raise ValueError("validation_loss_change needs validation_images: give some to the environment.")
    return np.full_like(visit.loss, -visit.validation_change)


def counterfactual(visit: Visit) -> Array:
    """Reward the effect of the action alone: the loss without the shift minus the loss with it."""
    if visit.loss_without is None:
        raise ValueError(
            "counterfactual needs the loss without the shift: set needs_without_shift = True on the reward."
        )
    return visit.loss_without - visit.loss


def anatomy(visit: Visit) -> Array:
    """Reward the action's effect on the judge's score: that of the decoded picture minus that without the shift."""
    if visit.anatomy_change is None:
        raise ValueError(
            "anatomy needs a judge's scores with and without the shift: give the environment a judge, and set "
            "needs_without_shift = True on a reward of your own."
        )
    return visit.anatomy_change


def drawn_change(visit: Visit) -> Array:
    """Reward each row for what the VAE draws better at the end of an epoch; 0 at other steps.

    This is the paper's reward with another loss: R_t = -lambda * (W_t - W_(t-1)). The sum over an episode telescopes to
    -lambda * (W_T - W_0), its whole gain.
    """
    if visit.drawn_change is None:
        raise ValueError("drawn_change needs drawn hands: set needs_drawn = True on the reward.")
    return np.full_like(visit.loss, -visit.drawn_change)


drawn_change.needs_drawn = True  # type: ignore[attr-defined]  # a function may have attributes

for _reward in (counterfactual, anatomy):
    _reward.needs_without_shift = True  # type: ignore[attr-defined]  # a function may have attributes

REWARDS: dict[str, Reward] = {
    reward.__name__: reward for reward in (loss_change, validation_loss_change, counterfactual, anatomy, drawn_change)
}


def resolve_reward(reward: str | Reward) -> Reward:
    """Find a reward by its name, or return a function unchanged.

    Raises:
        ValueError: If there is no reward of that name.
    """
    if callable(reward):
        return reward
    if not isinstance(reward, str) or reward not in REWARDS:
        raise ValueError(f"reward must be one of {tuple(REWARDS)} or a function of a Visit, got {reward!r}.")
    return REWARDS[reward]


def check_given(reward: Reward, judge: object, validation_images: object) -> None:
    """Refuse a reward without what it needs.

    Raises:
        ValueError: If "anatomy" has no judge, or "validation_loss_change" has no pictures.
    """
    if reward is anatomy and judge is None:
        raise ValueError("reward 'anatomy' needs a judge: a function from pictures to scores.")
    if reward is validation_loss_change and validation_images is None:
        raise ValueError("reward 'validation_loss_change' needs validation_images: pictures not trained on.")
