"""Callbacks for Stable-Baselines3."""

import math

import torch
from stable_baselines3.common.callbacks import BaseCallback


class ClipTemperature(BaseCallback):
    """Keep SAC's automatic temperature alpha in [low, high]: the paper's equation 4.

    The equation clips alpha after every update. A callback runs between calls of `train`, so this is exact with
    `gradient_steps=1`. With more gradient steps, alpha is clipped after each `train` and may leave the range before.
    The optimiser's state does not change, as in any projected gradient step.

    It works with any algorithm that has an automatic temperature in `log_ent_coef`: SAC of Stable-Baselines3, and TQC
    and CrossQ of sb3-contrib.

    Source: Mutzig 2024, "Generating Hands with Reinforcement Learning", equation 4.
    """

    def __init__(self, low: float, high: float, verbose: int = 0) -> None:
        """Set the bounds.

        Args:
            low: alpha_min, above 0.
            high: alpha_max, at least low, finite.
            verbose: Unused; for Stable-Baselines3's signature.

        Raises:
            ValueError: If the bounds are not 0 < low <= high < infinity.
        """
        super().__init__(verbose)
        if not 0 < low <= high < math.inf:
            raise ValueError(f"ClipTemperature needs 0 < low <= high < infinity, got low={low!r} and high={high!r}.")
        self.low, self.high = low, high

    def _on_training_start(self) -> None:
        self._clip()

    def _on_rollout_start(self) -> None:
        self._clip()  # `train` has just returned, if it was called

    def _on_step(self) -> bool:
        return True

    def _on_training_end(self) -> None:
        self._clip()  # after the last `train`

    def _clip(self) -> None:
        log_alpha = getattr(self.model, "log_ent_coef", None)
        if not isinstance(log_alpha, torch.Tensor) or not log_alpha.requires_grad:
            name = type(self.model).__name__
            raise ValueError(
                f"ClipTemperature needs an automatic temperature; this {name} has none. Use SAC with ent_coef='auto'."
            )
        with torch.no_grad():
            log_alpha.clamp_(math.log(self.low), math.log(self.high))
