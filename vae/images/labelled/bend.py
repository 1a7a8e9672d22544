"""Bend digits: nobody can count the segments of such a hand, and a judge has to say so."""

from __future__ import annotations

import torch

from vae.images.labelled.cut_and_paste import Axis, axis_of, lay, lift, pixel_grid, plain
from vae.images.labelled.hands import Hands
from vae.images.labelled.vocabulary import DOUBTS, FIRST_DIGIT
from vae.images.random_source import GeneratorSource

BENT = DOUBTS.index("bent")
MOST = 4  # largest number of folded digits in a hand


def bend(hands: Hands, random: GeneratorSource) -> None:
    """Fold one to four digits over the palm, in place; the label of the whole hand becomes unknown."""
    count = random.choice(1, MOST + 1)
    order = torch.rand(random.n, 5, generator=random.generator, device=random.device).argsort(1)
    for number in range(MOST):
        rows = torch.nonzero(count > number)[:, 0]
        if len(rows):
            some = hands.take(rows)
            _fold(some, order[rows, number], GeneratorSource(len(rows), random.generator))
            hands.put(rows, some)
    hands.whole[:] = torch.nan
    hands.extra[:] = -1
    hands.doubts[:, BENT] = 1.0


def _fold(hands: Hands, digit: torch.Tensor, random: GeneratorSource) -> None:
    """Cut a digit near its second joint, and fold the outer part back over the inner part."""
    axis = axis_of(hands, digit)
    fold = random.uniform(0.3, 0.6)
    _, base = lift(hands, digit, fold)
    layer = plain(random.n, random.device)
    layer.turn = torch.pi + random.uniform(-0.35, 0.35)
    layer.cut = (torch.zeros_like(fold), torch.full_like(fold, 1e-3), fold)
    layer.broad = random.uniform(0.95, 1.15)
    root = axis.root + (fold * axis.length).unsqueeze(1) * axis.ahead
    target = Axis(root, axis.ahead, axis.length, axis.breadth)
    dark = random.uniform(0.75, 1.05).view(-1, 1, 1, 1)
    source = hands.take(torch.arange(len(hands), device=random.device))
    source.images = (source.images * dark).clamp(0, 1)
    hands.images, cover = lay(source, base, digit, layer, target)
    mine = hands.digit_mask(digit)
    along, _ = axis.place(pixel_grid(hands.images))
    gone = mine & (along > ((fold + 0.08) * axis.length).view(-1, 1, 1)) & ~cover
    hands.regions = torch.where(gone, torch.zeros_like(hands.regions), hands.regions)
    hands.regions = torch.where(cover, (FIRST_DIGIT + digit).to(torch.uint8).view(-1, 1, 1), hands.regions)
    rows = torch.arange(len(hands), device=random.device)
    hands.states[rows, digit] = -1
    hands.forget_joints(digit, 1)
