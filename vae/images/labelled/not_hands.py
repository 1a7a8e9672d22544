"""Make pictures that do not show an anatomical hand: mixtures of hands, and pictures without a hand.

The functions in `MIXES` do not change the hands that they are given; those without a use for other hands ignore them.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from vae.images.labelled.cut_and_paste import pixel_grid, sample, soften
from vae.images.labelled.hands import Hands, nothing_known
from vae.images.labelled.style import place
from vae.images.labelled.vocabulary import GROUND
from vae.images.random_source import GeneratorSource

SQUARES = (2, 3, 4, 6)  # a side, in a shuffled picture
DIFFERENT = 0.05  # mean absolute difference above which a mixture of two pictures is never a correct hand


def shuffled(hands: Hands, others: Hands, random: GeneratorSource) -> Hands:
    """Cut a picture into squares and put them in another order."""
    images = hands.images.clone()
    counts = torch.tensor(SQUARES, device=random.device)[random.choice(0, len(SQUARES))]
    size = images.shape[-1]
    for count in SQUARES:
        rows = torch.nonzero(counts == count)[:, 0]
        side = size // count
        whole = images[rows, :, : side * count, : side * count]
        squares = F.unfold(whole, side, stride=side)
        order = torch.rand(len(rows), 1, count**2, generator=random.generator, device=random.device).argsort(-1)
        squares = squares.gather(2, order.expand(-1, squares.shape[1], -1))
        mixed = F.fold(squares, (side * count, side * count), side, stride=side)
        images[rows] = F.interpolate(mixed, size=(size, size), mode="bilinear") if len(rows) else images[rows]
    return _no_hand(images)


def silhouette(hands: Hands, others: Hands, random: GeneratorSource) -> Hands:
    """Fill the outline of a hand with one colour."""
    n = len(hands)
    inside = (hands.regions != GROUND).unsqueeze(1).float()
    mean = (hands.images * inside).flatten(2).sum(2) / inside.flatten(2).sum(2).clamp(min=1)
    anything = torch.rand(n, 3, generator=random.generator, device=random.device)
    colour = torch.where(random.chance(0.7).unsqueeze(1), mean, anything)
    keep = random.uniform(0.0, 0.06).view(-1, 1, 1, 1)
    flat = colour[..., None, None].lerp(hands.images, keep)
    ground = torch.where(random.chance(0.5).view(-1, 1, 1, 1), hands.images, torch.ones_like(flat) * 0.97)
    return _no_hand(ground.lerp(flat, soften(inside)))


def averaged(hands: Hands, others: Hands, random: GeneratorSource) -> Hands:
    """Average two hands, or a hand and a slightly moved copy of it."""
    n = len(hands)
    aside = hands.take(torch.arange(n, device=random.device))
    turn, size = random.sign() * random.uniform(0.05, 0.2), random.uniform(0.9, 1.1)
    to = torch.stack([random.uniform(0.42, 0.58), random.uniform(0.92, 1.08)], 1)
    place(aside, size, turn, to, torch.tensor([0.5, 1.0], device=random.device).expand(n, 2), torch.ones_like(size))
    itself = random.chance(0.4).view(-1, 1, 1, 1)
    second = torch.where(itself, aside.images, others.images)
    weight = random.uniform(0.3, 0.7).view(-1, 1, 1, 1)
    different = (hands.images - second).abs().mean((1, 2, 3)) > DIFFERENT
    mixed = nothing_known(hands.images.lerp(second, weight))
    mixed.whole = torch.where(different | itself.flatten(), mixed.whole, torch.full_like(mixed.whole, torch.nan))
    return mixed


def mosaic(hands: Hands, others: Hands, random: GeneratorSource) -> Hands:
    """Combine parts of two pictures of hands, with soft seams."""
    cells = torch.randn(len(hands), 1, 4, 4, generator=random.generator, device=random.device)
    steep = random.uniform(1.5, 6.0).view(-1, 1, 1, 1)
    mask = torch.sigmoid(steep * F.interpolate(cells, size=hands.images.shape[-2:], mode="bicubic"))
    images = hands.images.lerp(others.images, mask)
    away = torch.minimum((images - hands.images).abs().mean((1, 2, 3)), (images - others.images).abs().mean((1, 2, 3)))
    mixed = nothing_known(images)
    mixed.whole = torch.where(away > 0.5 * DIFFERENT, mixed.whole, torch.full_like(mixed.whole, torch.nan))
    return mixed


def melted(hands: Hands, others: Hands, random: GeneratorSource) -> Hands:
    """Distort the shape of a hand, in some places more than in others."""
    n = len(hands)
    cells = torch.randn(n, 2, 7, 7, generator=random.generator, device=random.device)
    pull = F.interpolate(cells, size=hands.images.shape[-2:], mode="bicubic") * random.uniform(5.0, 8.0).view(
        -1, 1, 1, 1
    )
    places = (pixel_grid(hands.images) + pull.permute(0, 2, 3, 1)) / hands.images.shape[-1]
    return nothing_known(sample(hands.images, places))


def close_up(hands: Hands, others: Hands, random: GeneratorSource) -> Hands:
    """Cut out a part of a hand."""
    zoom = random.uniform(1.7, 3.0).view(-1, 1, 1, 1)
    middle = torch.stack([random.uniform(0.3, 0.7), random.uniform(0.3, 0.8)], 1).view(-1, 1, 1, 2)
    places = middle + (pixel_grid(hands.images) / hands.images.shape[-1] - 0.5) / zoom
    return nothing_known(sample(hands.images, places))


def texture(hands: Hands, others: Hands, random: GeneratorSource) -> Hands:
    """Fill a picture with random colour spots around the mean colour of a hand's picture."""
    n, size = len(hands), hands.images.shape[-1]
    picture = torch.zeros_like(hands.images)
    for cells in (3, 8, 24):
        noise = torch.randn(n, 3, cells, cells, generator=random.generator, device=random.device)
        picture = picture + random.uniform(0.0, 0.2).view(-1, 1, 1, 1) * F.interpolate(
            noise, size=size, mode="bilinear"
        )
    pixels = torch.randint(0, size * size, (n, 1, size), generator=random.generator, device=random.device)
    ground = hands.images.flatten(2).gather(2, pixels.expand(-1, 3, -1)).mean(2)
    return _no_hand((picture + ground[..., None, None]).clamp(0, 1))


MIXES: dict[str, Callable[[Hands, Hands, GeneratorSource], Hands]] = {
    "shuffled": shuffled,
    "silhouette": silhouette,
    "averaged": averaged,
    "mosaic": mosaic,
    "melted": melted,
    "enlarged": close_up,
    "texture": texture,
}
"""Each takes n hands, n other hands and random numbers, and returns n pictures with `whole` 0, or NaN where a mixture
could pass for a hand."""


def _no_hand(images: Tensor) -> Hands:
    hands = nothing_known(images)
    hands.hand[:] = 0.0
    return hands
