"""Put together what one step of training sees."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import torch
from torch import Generator, Tensor

from hand_env.anatomy.training.imitate import Imitator
from vae.images.labelled.bend import bend
from vae.images.labelled.drawn import Pool
from vae.images.labelled.hands import Hands, join
from vae.images.labelled.malform import EDITS, ring, shift_digit, wristband
from vae.images.labelled.mixes import MIXES
from vae.images.labelled.pull_apart import PARTING, spread
from vae.images.labelled.scenes import composable, compose
from vae.images.labelled.style import reframe, restyle, shrink
from vae.images.labelled.vocabulary import NO_EXTRA, NORMAL
from vae.images.labelled.web import web
from vae.images.random_source import GeneratorSource

ALL_EDITS = {**EDITS, **PARTING, "web": web}
OFTEN = {"add_thumb": 3.0, "add_finger": 1.5, "fuse": 1.5, "resize": 1.5, "silhouette": 3.0, "averaged": 2.0}
"""How often an edit or a mixture is made, where not once: of additional digits those that are hidden do not count."""
HARMLESS = {"shift_digit": shift_digit, "spread": spread, "ring": ring, "wristband": wristband}


@dataclass(frozen=True)
class Recipe:
    """Say what a batch is made of; all are shares.

    Attributes:
        photographs: Of the pictures; the rest are synthetic.
        malformed: Of the photographs; of the synthetic hands that were drawn right, half of it.
        harmless: Of the same, edited so that they stay right.
        mixed: Of all pictures, replaced by mixtures and no hands.
        imitated: Of all pictures, reconstructed or sampled by an imitator.
        strength: Of the change of style.
        composed: Of all pictures, laid on other grounds, if there are any.
        bent: Of the right hands on other grounds, with digits folded over.
    """

    photographs: float = 0.45
    malformed: float = 0.6
    harmless: float = 0.15
    mixed: float = 0.12
    imitated: float = 0.36
    strength: float = 1.0
    composed: float = 0.5
    bent: float = 0.1


@dataclass
class Batches:
    """Make batches on a device.

    Attributes:
        photographs: Labelled photographs, uint8, on the device.
        pool: Synthetic hands.
        generator: On the device.
        recipe: What a batch is made of.
        imitators: None at first; then photographs' and everything's.
        grounds: (g, 3, T, T) uint8, on the device, or None: then nothing is composed.
    """

    photographs: Hands
    pool: Pool
    generator: Generator
    recipe: Recipe
    imitators: list[Imitator] = field(default_factory=list)
    grounds: Tensor | None = None

    def labelled(self, n: int) -> Hands:
        """Return n hands in good style: some malformed, some drawn, some mixed, each in its own frame."""
        hands = self._edited(n)
        self._mix(hands)
        reframe(hands, GeneratorSource(n, self.generator))
        return hands

    def scenes(self, n: int) -> Hands:
        """Return n hands on other grounds: right, malformed, bent, mixed; those that cannot be cut out stay."""
        assert self.grounds is not None, "there are grounds to lay hands on"
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
        """Return n hands as they are photographed and drawn, some malformed."""
        device = self.generator.device
        real = round(self.recipe.photographs * n)
        rows = torch.randint(0, len(self.photographs), (real,), generator=self.generator, device=device)
        drawn = torch.randint(0, self.pool.held, (n - real,), generator=self.generator, device=device)
        hands = join([self.photographs.take(rows), self.pool.draw(drawn)])
        hands.images = hands.images.float() / 255
        self._edit(hands, torch.where(torch.arange(n, device=device) < real, 1.0, 0.5))
        return hands

    def batch(self, n: int, size: int) -> Hands:
        """Return n hands as training sees them, at a number of pixels a side, in random order."""
        composed = 0 if self.grounds is None else round(self.recipe.composed * n)
        hands = self.labelled(n - composed).take(self._order(n - composed))
        self._imitate(hands)
        if composed:
            hands = join([hands, self.scenes(composed)]).take(self._order(n))
        restyle(hands, size, GeneratorSource(n, self.generator), self.recipe.strength)
        return hands.take(self._order(n))

    def _order(self, n: int) -> Tensor:
        return torch.randperm(n, generator=self.generator, device=self.generator.device)

    def _kinds(self, names: Iterable[str], n: int) -> Tensor:
        """Choose a number of a kind for each of n hands, by `OFTEN`."""
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
        """Reconstruct some by an imitator, or put samples in their place."""
        if not self.imitators:
            return
        n, share = len(hands), self.recipe.imitated
        photographs, everything = self.imitators[0], self.imitators[-1]
        third = round(share * n / 3)
        right = torch.nonzero(hands.whole[: n - 2 * third] == 1)[:, 0]
        if len(right):  # drawn with repetition: always as many, or cuDNN would look for its fastest way each time
            right = right[torch.randint(0, len(right), (third,), generator=self.generator, device=right.device)]
            some = hands.take(right)
            photographs.reconstruct(some)
            hands.put(right, some)
        rows = torch.arange(n - third, n, device=self.generator.device)
        some = hands.take(rows)
        everything.reconstruct(some)
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
