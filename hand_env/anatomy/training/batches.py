"""Build the batches that the judge is trained on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import torch
from torch import Generator, Tensor

from hand_env.anatomy.training.imitate import Imitator
from vae.images.labelled.bend import bend
from vae.images.labelled.compositing import composable, compose
from vae.images.labelled.hands import Hands, join
from vae.images.labelled.malform import EDITS, ring, shift_digit, wristband
from vae.images.labelled.not_hands import MIXES
from vae.images.labelled.pull_apart import PARTING, spread
from vae.images.labelled.smear import smear
from vae.images.labelled.style import reframe, restyle, shrink
from vae.images.labelled.synthetic_pool import SyntheticPool
from vae.images.labelled.vocabulary import NO_EXTRA, NORMAL
from vae.images.labelled.webbing import web
from vae.images.random_source import GeneratorSource

ALL_EDITS = {**EDITS, **PARTING, "web": web}
OFTEN = {"add_thumb": 3.0, "add_finger": 1.5, "fuse": 1.5, "resize": 1.5, "silhouette": 3.0, "averaged": 3.0}
"""Relative frequency of an edit or a mixture; 1 if not listed. Added digits are frequent: hidden ones do not count."""
HARMLESS = {"shift_digit": shift_digit, "spread": spread, "ring": ring, "wristband": wristband}


@dataclass(frozen=True)
class Recipe:
    """Composition of a batch; all but `strength` are shares.

    Attributes:
        photographs: Share of photographs; the other pictures are synthetic hands.
        malformed: Share of the photographs that are malformed; for correct synthetic hands, half of it.
        harmless: Share that is edited but stays correct; for synthetic hands, half of it.
        mixed: Share of all pictures that are replaced by mixtures and by pictures without a hand.
        imitated: Share of all pictures that an imitator reconstructs or samples.
        strength: Strength of the change of style.
        composed: Share of all pictures that get another background, if backgrounds are given.
        bent: Share of the correct hands on other backgrounds that get folded digits.
        smeared: Share of all pictures that get the look of a small VAE's samples; the labels stay.
    """

    photographs: float = 0.45
    malformed: float = 0.6
    harmless: float = 0.15
    mixed: float = 0.12
    imitated: float = 0.48
    strength: float = 1.0
    composed: float = 0.5
    bent: float = 0.1
    smeared: float = 0.2


@dataclass
class JudgeBatches:
    """Make batches on a device.

    Attributes:
        photographs: Labelled photographs, uint8, on the device.
        pool: Synthetic hands.
        generator: Source of random numbers, on the device.
        recipe: Composition of a batch.
        imitators: Empty at first; then the one trained on photographs and the one trained on everything.
        grounds: (g, 3, T, T) uint8, backgrounds on the device; None: no hand gets another background.
    """

    photographs: Hands
    pool: SyntheticPool
    generator: Generator
    recipe: Recipe
    imitators: list[Imitator] = field(default_factory=list)
    grounds: Tensor | None = None

    def labelled(self, n: int) -> Hands:
        """Return n randomly framed hands before the change of style: some malformed, some synthetic, some mixed."""
        hands = self._edited(n)
        self._mix(hands)
        reframe(hands, GeneratorSource(n, self.generator))
        return hands

    def scenes(self, n: int) -> Hands:
        """Return n hands on other backgrounds: correct, malformed, bent or mixed; hands that cannot be cut out stay."""
        assert self.grounds is not None, "scenes need backgrounds"
        hands = self._edited(n)
        random = GeneratorSource(n, self.generator)
        known = ~torch.isnan(hands.joints).flatten(1).any(1) & (hands.whole == 1)
        bent = torch.nonzero(known & random.chance(self.recipe.bent))[:, 0]
        if len(bent):
            some = hands.take(bent)
            bend(some, GeneratorSource(len(bent), self.generator))
            hands.put(bent, some)
        rows = torch.nonzero(composable(hands))[:, 0]
        made = hands.take(rows)
        compose(made, self.grounds, GeneratorSource(len(rows), self.generator))
        reframe(hands, random)
        hands.put(rows, made)
        self._mix(hands)
        return hands

    def _edited(self, n: int) -> Hands:
        """Return n photographed and synthetic hands, some of them malformed."""
        device = self.generator.device
        real = round(self.recipe.photographs * n)
        rows = torch.randint(0, len(self.photographs), (real,), generator=self.generator, device=device)
        drawn = torch.randint(0, self.pool.held, (n - real,), generator=self.generator, device=device)
        hands = join([self.photographs.take(rows), self.pool.draw(drawn)])
        hands.images = hands.images.float() / 255
        self._edit(hands, torch.where(torch.arange(n, device=device) < real, 1.0, 0.5))
        return hands

    def batch(self, n: int, size: int) -> Hands:
        """Return a training batch of n hands, `size` x `size` pixels, in random order."""
        composed = 0 if self.grounds is None else round(self.recipe.composed * n)
        hands = self.labelled(n - composed).take(self._order(n - composed))
        self._imitate(hands)
        if composed:
            hands = join([hands, self.scenes(composed)])
        hands = hands.take(self._order(n))
        rows = torch.arange(round(self.recipe.smeared * n), device=self.generator.device)
        some = hands.take(rows)
        smear(some, GeneratorSource(len(rows), self.generator))
        hands.put(rows, some)
        restyle(hands, size, GeneratorSource(n, self.generator), self.recipe.strength)
        return hands.take(self._order(n))

    def _order(self, n: int) -> Tensor:
        return torch.randperm(n, generator=self.generator, device=self.generator.device)

    def _kinds(self, names: Iterable[str], n: int) -> Tensor:
        """Draw the index of a name for each of n hands, with the frequencies of `OFTEN`."""
        weights = torch.tensor([OFTEN.get(name, 1.0) for name in names], device=self.generator.device)
        return torch.multinomial(weights, n, replacement=True, generator=self.generator)

    def _edit(self, hands: Hands, shares: Tensor) -> None:
        random = GeneratorSource(len(hands), self.generator)
        chance = random.uniform(0, 1)
        known = ~torch.isnan(hands.joints).flatten(1).any(1)
        right = known & (hands.states == NORMAL).all(1) & (hands.extra == NO_EXTRA)
        wrong = right & (chance < shares * self.recipe.malformed)
        harmless = right & (chance > 1 - shares * self.recipe.harmless)
        roomy = torch.nonzero(right & random.chance(0.6))[:, 0]
        smaller = hands.take(roomy)
        shrink(smaller, GeneratorSource(len(roomy), self.generator))
        hands.put(roomy, smaller)
        for edits, rows in ((ALL_EDITS, wrong), (HARMLESS, harmless)):
            kind = self._kinds(edits, len(hands))
            for number, edit in enumerate(edits.values()):
                chosen = torch.nonzero(rows & (kind == number))[:, 0]
                if len(chosen):
                    some = hands.take(chosen)
                    edit(some, GeneratorSource(len(chosen), self.generator))
                    hands.put(chosen, some)

    def _mix(self, hands: Hands) -> None:
        n = len(hands)
        random = GeneratorSource(n, self.generator)
        kind = torch.where(random.chance(self.recipe.mixed), self._kinds(MIXES, n), torch.full_like(hands.extra, -1))
        for number, mix in enumerate(MIXES.values()):
            rows = torch.nonzero(kind == number)[:, 0]
            if len(rows):
                others = hands.take(torch.randint(0, n, (len(rows),), generator=self.generator, device=random.device))
                hands.put(rows, mix(hands.take(rows), others, GeneratorSource(len(rows), self.generator)))

    def _imitate(self, hands: Hands) -> None:
        """Replace some pictures by reconstructions or samples of an imitator."""
        if not self.imitators:
            return
        n, share = len(hands), self.recipe.imitated
        photographs, everything = self.imitators[0], self.imitators[-1]
        third = round(share * n / 3)
        right = torch.nonzero(hands.whole[: n - 2 * third] == 1)[:, 0]
        if len(right):  # with repetition: at a new size cuDNN would search for its fastest algorithm
            right = right[torch.randint(0, len(right), (third,), generator=self.generator, device=right.device)]
            some = hands.take(right)
            photographs.reconstruct(some, GeneratorSource(third, self.generator))
            hands.put(right, some)
        rows = torch.arange(n - third, n, device=self.generator.device)
        some = hands.take(rows)
        everything.reconstruct(some, GeneratorSource(third, self.generator))
        hands.put(rows, some)
        real = torch.randint(0, len(self.photographs), (2 * third,), generator=self.generator, device=rows.device)
        seen = self.photographs.take(real)
        seen.images = seen.images.float() / 255
        made = photographs.sample(
            seen.take(torch.arange(third, device=rows.device)),
            seen.take(torch.arange(third, 2 * third, device=rows.device)),
            GeneratorSource(third, self.generator),
        )
        hands.put(rows - third, made)
