"""What the examples in this folder share: a HandLatent-v0 of seconds, and a look at whether agent and VAE learned."""

from typing import Any

import numpy as np
from torch import Tensor, nn

import hand_env

assert hand_env.__name__, "importing it registers the environments"


class Seen:
    """The paper's reward, which keeps each step's mean loss: so a library's own loop shows that the VAE trained."""

    def __init__(self) -> None:
        """Start without a loss."""
        self.losses: list[float] = []

    def __call__(self, visit: hand_env.Visit) -> Any:
        """Pay as "loss_change" does."""
        self.losses.append(float(visit.loss.mean()))
        return hand_env.REWARDS["loss_change"](visit)

    def __deepcopy__(self, _: Any) -> "Seen":
        """Stay one: Gymnasium copies the defaults of an id, as my_hands.py sets them."""
        return self

    def check(self, least: int) -> None:
        """Refuse a VAE that took too few steps, or whose loss is not finite or did not fall within an episode."""
        assert len(self.losses) >= least, f"the VAE took {len(self.losses)} steps, not {least}"
        assert np.isfinite(self.losses).all(), "a loss is not finite"
        assert self.losses[EPISODE - 1] < self.losses[0], "the VAE did not learn"
        self.losses.clear()


SEEN = Seen()
HANDS: dict[str, Any] = {"n_images": 8, "latent_dim": 4, "epochs_per_episode": 3, "reward": SEEN}  # 4 of 8 a step
EPISODE = 6  # steps


def ran(what: str) -> None:
    """Say what ran, for the record of tests/libraries/run.py."""
    print(f"ran: {what}")


def copied(module: nn.Module) -> list[Tensor]:
    """Copy a network's weights."""
    return [weight.detach().clone() for weight in module.parameters()]


def check_learned(before: list[Tensor], module: nn.Module) -> None:
    """Refuse a network with a weight that is not finite, or all of whose weights are as they were."""
    after = list(module.parameters())
    assert all(weight.isfinite().all() for weight in after), "a weight is not finite"
    assert any(not old.equal(new) for old, new in zip(before, after, strict=True)), "no weight changed"
