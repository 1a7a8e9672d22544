"""Give pictures the look of a small VAE's samples, and change nothing about the hand.

Such samples have soft edges, pale or dark patches, faint traces of other poses and ringing. Correct and malformed hands
get them alike, so the look alone does not show whether a hand is correct.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from vae.images.labelled.cut_and_paste import pooled, soften
from vae.images.labelled.hands import Hands
from vae.images.labelled.vocabulary import GROUND
from vae.images.random_source import GeneratorSource

DOUBLED, PATCHED, ECHOED, PALE, RINGING, DULL = 0.4, 0.6, 0.4, 0.4, 0.3, 0.3  # shares of the smeared pictures
BEHIND = 0.2  # how strong a patch on the background is, compared with one on the hand
MOST_ECHO, MOST_PALE = 0.16, 0.2  # opacities; a ghost digit of `malform.fade` is at least twice as faint


def smear(hands: Hands, random: GeneratorSource) -> None:
    """Smear pictures, in place; the labels stay.

    Args:
        hands: Hands with float images.
        random: Random numbers.
    """
    images = _doubled(hands.images, random)
    images = _patched(images, soften((hands.regions != GROUND).unsqueeze(1).float()), random)
    soft = _blurred(images, 16)
    images = images.lerp(soft, _spots(images, 8, random) * _amount(0, MOST_PALE, PALE, random))
    others = _blurred(images.roll(1, 0).flip(3), 4)
    images = images.lerp(others, _spots(images, 4, random) * _amount(0, MOST_ECHO, ECHOED, random))
    little, much = _blurred(images, 2), _blurred(images, 4)
    blurred = torch.where(random.chance(0.5).view(-1, 1, 1, 1), little, much)
    more = _blurred(blurred, 8)
    images = images.lerp(blurred, (_amount(0.3, 1, 1, random) + 0.5 * _spots(images, 5, random)).clamp(0, 1))
    images = images.lerp(more, _spots(images, 5, random) * _amount(0, 0.45, 0.5, random))
    images = images + _amount(0.3, 1.0, RINGING, random) * (images - _blurred(images, 4))
    images = images.lerp(images.mean((2, 3), keepdim=True), _amount(0, 0.35, DULL, random))
    hands.images = images.clamp(0, 1)


def _amount(low: float, high: float, share: float, random: GeneratorSource) -> Tensor:
    """Draw one number per picture, (n, 1, 1, 1): uniform in a share of them, 0 in the others."""
    return (random.uniform(low, high) * random.chance(share)).view(-1, 1, 1, 1)


def _spots(images: Tensor, cells: int, random: GeneratorSource) -> Tensor:
    """Return soft spots, (n, 1, S, S) in [0, 1], that cover less than half of the picture."""
    noise = torch.randn(len(images), 1, cells, cells, generator=random.generator, device=random.device)
    return F.interpolate(noise, size=images.shape[-2:], mode="bicubic").clamp(0, 1)


def _doubled(images: Tensor, random: GeneratorSource) -> Tensor:
    """Average pictures with copies in nearly the same place, at most two pixels of 128 away."""
    turn, size = random.uniform(-0.015, 0.015), random.uniform(0.985, 1.015)
    shift = torch.stack([random.uniform(-0.02, 0.02), random.uniform(-0.02, 0.02)], 1)
    cos, sin = size * torch.cos(turn), size * torch.sin(turn)
    theta = torch.stack([torch.stack([cos, -sin, shift[:, 0]], 1), torch.stack([sin, cos, shift[:, 1]], 1)], 1)
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    copies = F.grid_sample(images, grid, padding_mode="border", align_corners=False)
    return images.lerp(copies, _amount(0.3, 0.7, DOUBLED, random))


def _patched(images: Tensor, hand: Tensor, random: GeneratorSource) -> Tensor:
    """Make patches darker or paler, about as large as the width of a digit or larger; faint on the background."""
    where = BEHIND + (1 - BEHIND) * hand
    for cells in (5, 12):
        noise = torch.randn(len(images), 1, cells, cells, generator=random.generator, device=random.device)
        patches = F.interpolate(noise, size=images.shape[-2:], mode="bicubic")
        images = images * (1 + _amount(0, 0.13, PATCHED, random) * where * patches)
    return images.clamp(0, 1)


def _blurred(images: Tensor, side: int) -> Tensor:
    """Blur pictures by averaging squares of `side` pixels and interpolating between them."""
    return F.interpolate(pooled(images, side), size=images.shape[-2:], mode="bilinear")
