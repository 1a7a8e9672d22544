"""Seeds of random numbers: a stream for each purpose, and generators."""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum

import numpy as np
import torch

from vae.checks import LARGEST_SEED, integer


class Purpose(IntEnum):
    """What random numbers are for: one stream each, so that one use of a seed does not repeat another.

    A new purpose takes a new value. A changed value would change results.
    """

    ORDER = 0
    AUGMENT = 1
    LATENT = 2
    EVALUATE = 3
    DRAWN_SCORE = 4
    SCHEDULE = 5
    RECIPE_HANDS = 10
    RECIPE_VARIED = 11
    RECIPE_POOL = 12
    RECIPE_SELECTION = 13
    RECIPE_REJECTION = 14
    FIGURES_VARIED = 16
    FIGURES_HELD_OUT = 17
    TASK_HANDS = 18
    # `AdversarialTrainer` shares the values of `Trainer`: these are other names of the same streams. No command gives
    # both trainers the same seed. Other values would change the VAEs that it trains.
    ADVERSARIAL_BATCH = 0
    ADVERSARIAL_LATENT = 1
    ADVERSARIAL_DELTAS = 2


def stream_seed(*entropy: int) -> int:
    """Combine a seed, the purpose of random numbers and a step into the seed of an independent stream.

    Args:
        entropy: The seed, the `Purpose`, the step; each in 0..2**32 - 1, else two streams may be the same.

    Returns:
        A seed for `torch.Generator`, in 0..2**63 - 1.
    """
    return int(np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0] >> np.uint64(1))


def seeded(seed: int, device: torch.device | str = "cpu") -> torch.Generator:
    """Return a source of random numbers that depends on a seed alone, an integer in 0..2**63 - 1 of any kind."""
    return torch.Generator(device).manual_seed(integer("seed", seed, 0, LARGEST_SEED))


@contextmanager
def first_weights(seed: int) -> Iterator[None]:
    """Let networks that are built on the CPU inside `with` draw their first weights from a seed, and nothing else."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed GPUs, too
        yield
