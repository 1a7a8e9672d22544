"""Turn a few numbers into a shift of a minibatch's latents; environments and plain training scripts both use it.

shift = schedule(trainer.steps_done / trainer.total_steps)   # a Deltas: how far, in what way
losses = trainer.step(shift_latents(trainer.encode(), shift, step_generator(trainer)))
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Generator, Tensor

from vae.checks import check_at_least, check_between
from vae.seeds import Purpose, stream_seed
from vae.training import Trainer

MAX_REACH = 8.0
MOST_MIXED = 0.35  # the largest share of the way to another row: at half of it all rows meet, and VAEs learn nothing
MOST_PULLED = 0.25  # the largest share of the way to the origin: at 0.4 only the rewarding judge's scores rise


@dataclass(frozen=True)
class Deltas:
    """Say how the deltas of a training step are made; the default is no shift at all.

    Attributes:
        reach: >= 0, uniform deltas lie in [-reach, reach].
        mix: In [0, 1], share of the way that each latent moves towards another row's.
        pull: In [0, 1], share of the way that each latent moves towards the origin.
    """

    reach: float = 0.0
    mix: float = 0.0
    pull: float = 0.0

    def __post_init__(self) -> None:
        """Reject invalid numbers.

        Raises:
            ValueError: If a field is out of its range.
        """
        check_at_least(0, **{"Deltas.reach": self.reach})
        for name in ("mix", "pull"):
            check_between(f"Deltas.{name}", getattr(self, name), 0.0, 1.0)

    @classmethod
    def from_action(cls, action: Sequence[float] | np.ndarray, max_reach: float = MAX_REACH) -> "Deltas":
        """Decode an agent's action. A square makes the steps fine where the numbers are small.

        Args:
            action: 3 numbers in [-1, 1]: reach, mix, pull; -1 means 0.
            max_reach: > 0, the reach of the action 1.

        Returns:
            Deltas, each field its largest value times ((number + 1) / 2)^2.

        Raises:
            ValueError: If a number is not in [-1, 1].
        """
        for number in action:
            check_between("an action's number", float(number), -1.0, 1.0)
        reach, mix, pull = (((float(number) + 1) / 2) ** 2 for number in action)
        return cls(max_reach * reach, MOST_MIXED * mix, MOST_PULLED * pull)

    def to_action(self, max_reach: float = MAX_REACH) -> np.ndarray:
        """Return the action, (3,) float32 in [-1, 1], that means these deltas; larger deltas are clipped."""
        shares = np.array([self.reach / max_reach, self.mix / MOST_MIXED, self.pull / MOST_PULLED])
        action: np.ndarray = (2 * np.sqrt(shares.clip(0, 1)) - 1).astype(np.float32)
        return action


Schedule = Callable[[float], Deltas]
"""Says for each share of the training that is done, in [0, 1], how the deltas are made."""


def constant(reach: float) -> Schedule:
    """Return the schedule of uniform deltas that always reach as far."""
    deltas = Deltas(reach)
    return lambda done: deltas


def falling(reach: float) -> Schedule:
    """Return the schedule of uniform deltas whose reach falls in a line, to 0 at the end of the training."""
    first = Deltas(reach)
    return lambda done: Deltas(first.reach * max(0.0, 1 - done))


def step_generator(trainer: Trainer) -> Generator:
    """Return the source of random numbers for the deltas of a trainer's next step.

    They depend only on the trainer's seed and its step, so a resumed training repeats them.
    """
    return Generator(trainer.device).manual_seed(stream_seed(trainer.seed, Purpose.SCHEDULE, trainer.steps_done))


def draw_noise(latents: Tensor, generator: Generator) -> Tensor:
    """Draw the random numbers that a minibatch's deltas are made from.

    Args:
        latents: (batch, latent) float32; only the shape counts.
        generator: On the latents' device.

    Returns:
        (batch, latent + 1) float32 in [0, 1): for the uniform deltas, and one to shuffle the rows by.
    """
    batch, dim = latents.shape
    return torch.rand(batch, dim + 1, generator=generator, device=latents.device)


def stack_choices(choices: Sequence[Deltas], device: torch.device) -> Tensor:
    """Copy choices to the device once for many steps: (env, 3) float32, the columns reach, mix and pull."""
    return torch.tensor([[choice.reach, choice.mix, choice.pull] for choice in choices], device=device)


def combine(latents: Tensor, noise: Tensor, choices: Tensor) -> Tensor:
    """Make the shifts of several minibatches, each in its own way; a pure function.

    Args:
        latents: (env, batch, latent) float32, posterior means mu.
        noise: (env, batch, latent + 1) float32, from `draw_noise`.
        choices: (env, 3) float32, from `stack_choices`.

    Returns:
        (env, batch, latent) float32: -pull * mu + mix * (mu of another row - mu) + reach * u, u uniform in [-1, 1).
        "Another row" follows a random order of the rows; now and then it is the row itself.
    """
    reach, mix, pull = choices[..., None, None].unbind(1)  # (env, 1, 1) each
    order = noise[..., -1:].argsort(dim=1, stable=True).expand_as(latents)  # (env, batch, latent)
    others = latents.gather(1, order)
    uniform = 2 * noise[..., :-1] - 1
    return mix * (others - latents) - pull * latents + reach * uniform


def shift_latents(latents: Tensor, choice: Deltas, generator: Generator) -> Tensor:
    """Make the shift of one minibatch.

    Args:
        latents: (batch, latent) float32, posterior means, as `Trainer.encode` returns them.
        choice: How far and in what way.
        generator: On the latents' device; `step_generator` gives the one for the trainer's next step.

    Returns:
        (batch, latent) float32, for `Trainer.step`; zeros if the choice is `Deltas()`. See `combine` for the formula.
    """
    noise = draw_noise(latents, generator)
    return combine(latents[None], noise[None], stack_choices([choice], latents.device))[0]
