"""Make batches of photographs and synthetic hands, in random framing, light and pose, with labels of the regions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Generator, Tensor

from vae.images.labelled.hands import Hands, join
from vae.images.labelled.pull_apart import spread
from vae.images.labelled.style import place
from vae.images.random_source import GeneratorSource

TURN = 0.12  # radians, largest rotation in either direction


@dataclass
class Batches:
    """Make batches on a device.

    Attributes:
        photographs: Labelled photographs of right hands, uint8, on the device; None for synthetic hands only.
        drawn: Labelled synthetic hands, uint8, on the device.
        posed: Share of the photographs in which two neighbouring fingers are moved a little apart or together.
        mode: How pictures are resampled. A decoder draws no sharper than the pictures that it and its critics see, and
            "bilinear" takes a tenth of their sharpness (`benchmarks/resampling.py`).
    """

    photographs: Hands | None
    drawn: Hands
    posed: float = 0.4
    mode: Literal["bicubic", "bilinear"] = "bicubic"

    def batch(self, real: int, drawn: int, generator: Generator, rows: Tensor | None = None) -> Hands:
        """Return photographs, followed by synthetic hands.

        Args:
            real: Number of photographs.
            drawn: Number of synthetic hands.
            generator: Source of random numbers, on the device.
            rows: (m,) int64 on the device, the hands of this batch to return, in this order; the others are chosen
                and not edited. None: all.

        Returns:
            real + drawn pictures, or m of them; images (n, 3, 128, 128) float32 in [0, 1].
        """
        sides = [(self.photographs, real), (self.drawn, drawn)]
        hands = join([_some(hands, n, generator) for hands, n in sides if hands is not None and n])
        n = len(hands)
        known = ~torch.isnan(hands.joints).flatten(1).any(1) & (torch.arange(n, device=generator.device) < real)
        posed = known & GeneratorSource(n, generator).chance(self.posed)
        hands = hands if rows is None else hands.take(rows)
        hands.images = hands.images.float() / 255
        self._pose(hands, posed, rows, generator)
        random = GeneratorSource(n, generator, rows)
        foot = torch.tensor([0.5, 1.0], device=random.device).expand(len(hands), 2)
        to = foot + torch.stack([random.uniform(-0.03, 0.03), random.uniform(-0.01, 0.03)], 1)
        place(hands, random.uniform(0.94, 1.06), TURN * random.uniform(-1, 1), to, foot, random.sign(), self.mode)
        hands.images = _lit(hands.images, random)
        return hands

    def _pose(self, hands: Hands, posed: Tensor, rows: Tensor | None, generator: Generator) -> None:
        """Move fingers in some hands of a batch: `posed` says in which, `rows` which of the batch are here."""
        chosen, places = torch.nonzero(posed)[:, 0], None
        if not (n := len(chosen)):
            return
        if rows is not None:
            places = (posed.cumsum(0) - 1)[rows][posed[rows]]  # among all that are posed
            chosen = torch.nonzero(posed[rows])[:, 0]
        some = hands.take(chosen)
        spread(some, GeneratorSource(n, generator, places), self.mode)
        hands.put(chosen, some)


def _some(hands: Hands, n: int, generator: Generator) -> Hands:
    return hands.take(torch.randint(0, len(hands), (n,), generator=generator, device=generator.device))


def _lit(images: Tensor, random: GeneratorSource) -> Tensor:
    colours = random.columns(-1, 1, 3).view(-1, 3, 1, 1)
    gamma = torch.exp(0.2 * random.uniform(-1, 1)).view(-1, 1, 1, 1)
    return (images.clamp(1e-4, 1) ** gamma * (1 + 0.015 * colours)).clamp(0, 1)
