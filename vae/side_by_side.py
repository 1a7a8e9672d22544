"""Train several VAEs side by side, each with its own seed, pictures and shift of the latents."""

import warnings
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from vae.acceleration.stacked import Stack, probe
from vae.acceleration.stacked_weights import StackedWeights
from vae.evaluation import Losses
from vae.training import Trainer, stack


class SideBySide:
    """Take the next step of K trainers together.

    On the CPU the trainers take their steps in turn, bit for bit as alone. On a GPU all weights are stacked, and one
    pair of CUDA graphs trains all VAEs; the results are the same within rounding. Between two steps each trainer is as
    usable as alone: it can be measured, drawn from and saved. After all of them have loaded states, or taken steps
    alone, the weights are stacked again.
    """

    def __init__(self, trainers: Sequence[Trainer], *, stacked: bool | None = None) -> None:
        """Stack the weights, on a GPU.

        Args:
            trainers: K trainers with VAEs of one architecture, equally many pictures, and the same settings except seed
                and KL weight. All have done the same number of steps.
            stacked: Whether to stack the weights; None: on a GPU, if `torch.func.vmap` can compute this architecture.
                Else a warning says so, and the trainers take their steps in turn.

        Raises:
            ValueError: If the trainers differ in what they must share.
        """
        self.trainers = list(trainers)
        _check(self.trainers)
        if stacked is None:
            stacked = self.trainers[0].device.type == "cuda" and _can_stack(self.trainers)
        self._stack = self._stack_weights() if stacked else None
        self._index: Tensor | None = None  # of the encoded minibatches

    def encode(self) -> Tensor:
        """Encode the minibatches that the next `step` trains on; until then, repeated calls return the same.

        Returns:
            (K, B, D) float32, detached posterior means.

        Raises:
            ValueError: If some of the trainers have taken steps alone, or loaded states of other steps.
        """
        if self._stack is None:
            return torch.stack([trainer.encode() for trainer in self.trainers])
        if not self._stack.stacked.holds([trainer.optimizer for trainer in self.trainers]):
            _check(self.trainers)
            self._stack, self._index = self._stack_weights(), None
        if self._index is None:
            self._index = torch.stack([trainer.next_index() for trainer in self.trainers])
            affine = [trainer.next_affine() for trainer in self.trainers]
            drawn = [numbers for numbers in affine if numbers is not None]
            noise = torch.stack([trainer.next_noise() for trainer in self.trainers])
            augmenting, first = torch.stack(drawn) if drawn else None, self.trainers[0]
            self._stack.encode(self._index, augmenting, noise, first.next_rate, first.next_blend)
        return self._stack.encoded[1].detach().clone()  # the caller may keep or change them

    def step(self, shift: Tensor | None = None) -> Losses:
        """Train each VAE on its minibatch: sampling, KL and decoding use mean + shift.

        Args:
            shift: (K, B, D) float32 on the device, or None.

        Returns:
            The losses before the optimiser step, with (K, B) tensors and without decoded pictures.

        Raises:
            ValueError: If the shift has another shape, or `encode` raises.
        """
        expected = (len(self.trainers), self.trainers[0].config.batch_size, self.trainers[0].vae.latent_dim)
        if shift is not None and shift.shape != expected:  # before any VAE has taken a step
            raise ValueError(f"shift must have the shape (VAE, picture, latent), {expected}, got {tuple(shift.shape)}.")
        if self._stack is None:
            shifts = [None] * len(self.trainers) if shift is None else list(shift)
            losses = [trainer.step(own) for trainer, own in zip(self.trainers, shifts, strict=True)]
            columns = zip(*((own.index, own.reconstruction, own.kl) for own in losses), strict=True)
            places, reconstruction, kl = (torch.stack(column) for column in columns)
            return Losses(places, reconstruction, kl)
        self.encode()
        index = self._index
        assert index is not None, "encode() fills it"
        self._stack.step(shift)
        reconstruction, kl = (scored.clone() for scored in self._stack.scored[:2])
        for trainer in self.trainers:
            trainer.step_is_done()
        self._index = None
        return Losses(index, reconstruction, kl)

    def _stack_weights(self) -> Stack:
        vaes, averages = [t.vae for t in self.trainers], [t.averaged for t in self.trainers]
        for trainer in self.trainers:
            trainer.forget()
        return stack(self.trainers, StackedWeights(vaes, averages, [t.optimizer for t in self.trainers]))


def _can_stack(trainers: Sequence[Trainer]) -> bool:
    """Whether the VAEs can be computed at once; a lone one can always. If not, a warning says why."""
    if len(trainers) == 1:
        return True
    try:
        probe([trainer.vae for trainer in trainers], trainers[0].images[0])
    except Exception as error:  # whatever a user's own VAE does that vmap cannot compute
        warnings.warn(f"The VAEs train in turn, not stacked, and slower: {error}", stacklevel=3)
        return False
    return True


def _check(trainers: list[Trainer]) -> None:
    first = trainers[0]
    for number, trainer in enumerate(trainers):
        shared = {
            "settings": (replace(trainer.config, kl_weight=1.0), replace(first.config, kl_weight=1.0)),
            "number of pictures": (len(trainer.images), len(first.images)),
            "steps done": (trainer.steps_done, first.steps_done),
            "device": (trainer.device, first.device),
            "weights' shapes": (_shapes(trainer), _shapes(first)),
            "frozen weights": (_frozen(trainer), _frozen(first)),
        }
        for name, (own, other) in shared.items():
            if own != other:
                raise ValueError(
                    f"Trainers side by side must share their {name}, got {own!r} at {number} and {other!r} at 0. "
                    "Only seed, pictures and kl_weight may differ."
                )


def _shapes(trainer: Trainer) -> dict[str, tuple[int, ...]]:
    return {name: tuple(parameter.shape) for name, parameter in trainer.vae.named_parameters()}


def _frozen(trainer: Trainer) -> list[str]:
    return [name for name, parameter in trainer.vae.named_parameters() if not parameter.requires_grad]
