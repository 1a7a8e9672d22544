"""Settings of the training of a VAE."""

from dataclasses import dataclass

from vae.checks import check_above_zero, check_at_least, check_between, check_bool, integer


@dataclass(frozen=True)
class TrainingConfig:
    """Configure the training of a VAE.

    Attributes:
        epochs: >= 1, passes over the training pictures; during them the learning rate decays to 1 % of its peak.
        batch_size: B >= 1, pictures per minibatch, at most the number of training pictures.
        learning_rate: >= 0, peak of AdamW's learning rate; 0 freezes the model, including the variance of its pixels.
        warmup_steps: >= 0, optimiser steps over which the learning rate rises from 0, at most a tenth of all steps.
        gradient_norm: > 0, the gradient of the loss, in nats per colour value, is clipped to this norm.
        averaging: in [0, 1), decay per step of the exponential moving average of the weights, used to draw samples.
        augment: Whether to flip, rotate, shift and scale the pictures a little.
        kl_weight: >= 0, factor of the KL term in the objective (beta of beta-VAE, Higgins et al. 2017). The losses that
            a step returns do not contain it.
        graphed: Whether to capture the step as CUDA graphs on a GPU. The results are the same within rounding. A VAE
            that cannot be captured trains without graphs, and a warning says so. Its buffers must change in place.
        compiled: Whether torch.compile joins small kernels on a GPU, before a capture or without one. It takes a minute
            or more; the results are the same within rounding. `SideBySide` does not use it.
    """

    epochs: int = 40
    batch_size: int = 32
    learning_rate: float = 5e-4
    warmup_steps: int = 200
    gradient_norm: float = 1.0
    averaging: float = 0.998
    augment: bool = True
    kl_weight: float = 1.0
    graphed: bool = True
    compiled: bool = False

    def __post_init__(self) -> None:
        """Reject invalid settings.

        Raises:
            TypeError: If a field that counts is no integer, or one that says whether is no bool.
            ValueError: If a field is out of its range.
        """
        for name, low in (("epochs", 1), ("batch_size", 1), ("warmup_steps", 0)):
            object.__setattr__(self, name, integer(f"TrainingConfig.{name}", getattr(self, name), low))
        for name in ("learning_rate", "kl_weight"):
            check_at_least(0, **{f"TrainingConfig.{name}": getattr(self, name)})
        check_bool(**{f"TrainingConfig.{name}": getattr(self, name) for name in ("augment", "graphed", "compiled")})
        check_above_zero(**{"TrainingConfig.gradient_norm": self.gradient_norm})
        check_between("TrainingConfig.averaging", self.averaging, 0.0, 1.0, without="high")
