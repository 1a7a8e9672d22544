"""The tab "Move": walk through the latents, along principal directions or from one hand to another."""

import math
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any

import torch
from sklearn.decomposition import PCA
from torch import Tensor

from agents.commands.demo.verdict import decoded_hand
from agents.runs.run import Run
from vae.checks import LARGEST_SEED, check_between, integer
from vae.sampling.rejection import innermost

DIRECTIONS = 8  # principal directions, at most
FITTED = 400  # latents that the directions are fitted to
FARTHEST = 3.0  # standard deviations that a slider reaches
FRAMES = 9  # hands from one to the other, both included
KEPT = 16  # latents that are not drawn again while a slider moves


@dataclass(frozen=True)
class MoveSettings:
    """Where to go from a hand.

    Attributes:
        weights: One of the sets that the page offers.
        seed: Seed of the hand.
        shifts: Standard deviations along each of the first principal directions, in [-FARTHEST, FARTHEST]; those that
            are not given are 0.
    """

    weights: str
    seed: int = 0
    shifts: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Refuse numbers out of range."""
        integer("seed", self.seed, 0, LARGEST_SEED)
        if len(self.shifts) > DIRECTIONS:
            raise ValueError(f"shifts must have at most {DIRECTIONS} numbers, got {len(self.shifts)}.")
        for shift in self.shifts:
            check_between("shifts", shift, -FARTHEST, FARTHEST)


@dataclass(frozen=True)
class BetweenSettings:
    """Which two hands to go between: two seeds, of one set of weights."""

    weights: str
    first: int = 0
    second: int = 1

    def __post_init__(self) -> None:
        """Refuse numbers out of range."""
        integer("first", self.first, 0, LARGEST_SEED)
        integer("second", self.second, 0, LARGEST_SEED)


class Walk:
    """Where one can go from the hands of a run: the principal directions of its sampler's latents."""

    def __init__(self, run: Run) -> None:
        """Fit the directions to `FITTED` latents of the innermost sampler: re-encoding and rejection take long."""
        self.run, self._latents = run, dict[int, Tensor]()
        drawn = innermost(run.samplers[run.sampler_name()]).sample(FITTED, 0)
        pca = PCA(min(DIRECTIONS, drawn.shape[1]), random_state=0).fit(drawn.numpy())
        deviations = torch.from_numpy(pca.explained_variance_).sqrt().unsqueeze(1)
        self.steps = (torch.from_numpy(pca.components_) * deviations).float()  # (direction, latent), one deviation each
        self.shares = [float(share) for share in pca.explained_variance_ratio_]

    def latent(self, seed: int) -> Tensor:
        """Draw the latent of `handlatent generate --n 1 --no-refine` with this seed, (D,); the last ones are kept."""
        if seed not in self._latents:
            if len(self._latents) >= KEPT:
                self._latents.pop(next(iter(self._latents)))
            self._latents[seed] = self.run.samplers[self.run.sampler_name()].sample(1, seed)[0]
        return self._latents[seed]


def move(walk: Walk, settings: MoveSettings) -> dict[str, Any]:
    """Return {"hand": the hand of a seed, moved; "shares": of the variance, for each direction; "farthest"}."""
    known = walk.steps[: len(settings.shifts)]
    moved = walk.latent(settings.seed) + torch.tensor(settings.shifts[: len(known)], dtype=torch.float32) @ known
    return {"hand": decoded_hand(walk.run, moved), "shares": walk.shares, "farthest": FARTHEST}


def between(walk: Walk, settings: BetweenSettings) -> Generator[dict[str, Any], None, None]:
    """Go from one hand to another.

    Args:
        walk: The weights and their latents.
        settings: Which two.

    Yields:
        {"hand": what `verdict.decoded_hand` returns, "share": 0..1 of the way} for each of `FRAMES` hands.
    """
    first, second = (walk.latent(seed) for seed in (settings.first, settings.second))
    for number in range(FRAMES):
        share = number / (FRAMES - 1)
        yield {"hand": decoded_hand(walk.run, spherical(first, second, share)), "share": share}


def spherical(first: Tensor, second: Tensor, share: float) -> Tensor:
    """Go a share of the way between two latents along an arc around the origin.

    Latents of many dimensions lie on a shell. The straight line between two of them leaves it, and what is decoded
    there may be a blurred mixture. Measured with both packaged sets of weights, 20 pairs each, 3/8 and 5/8 of the way:
    44 of 80 hands are correct along the arc, 31 along the line (`python benchmarks/between.py`). In the set that
    learned from photographs, it is the other way round: 18 and 23 of 40.

    Args:
        first: (D,).
        second: (D,).
        share: 0 is the first, 1 the second.

    Returns:
        (D,), with the lengths between the two lengths; on the line where there is no arc.

    Source: Shoemake 1985, "Animating Rotation with Quaternion Curves"; White 2016, for latents.
    """
    lengths = first.norm(), second.norm()
    if not all(length > 0 for length in lengths):
        return torch.lerp(first, second, share)
    directions = first / lengths[0], second / lengths[1]
    angle = math.acos(max(-1.0, min(1.0, float(directions[0] @ directions[1]))))
    if math.sin(angle) < 1e-4:  # the same direction, or opposite ones, between which no arc is the shortest
        return torch.lerp(first, second, share)
    weights = math.sin((1 - share) * angle), math.sin(share * angle)
    arc = (weights[0] * directions[0] + weights[1] * directions[1]) / math.sin(angle)
    found: Tensor = arc * torch.lerp(*lengths, share)
    return found
