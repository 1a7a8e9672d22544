"""Fill the gap between two spread fingers with skin, so that they become one broad finger."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from vae.images.labelled.cut_and_paste import INDEX, LITTLE, axis_of, pixel_grid, soften, wider
from vae.images.labelled.hands import Hands
from vae.images.labelled.vocabulary import EXTRA, FUSED
from vae.images.random_source import GeneratorSource

FADING = 6  # rounds of blur that spread the fingers' colour into the gap


def web(hands: Hands, random: GeneratorSource) -> None:
    """Fill the gap between two neighbouring fingers with skin, in place, up to at least half their length."""
    digit = random.choice(INDEX, LITTLE)
    axes = axis_of(hands, digit), axis_of(hands, digit + 1)
    pixels = pixel_grid(hands.images)
    places = [axis.place(pixels) for axis in axes]
    apart = axes[1].root - axes[0].root
    sides = [sign * (axis.aside * apart).sum(1).sign().view(-1, 1, 1) for axis, sign in zip(axes, (1, -1), strict=True)]
    between = (places[0][1] * sides[0] > 0) & (places[1][1] * sides[1] > 0)
    length = torch.minimum(axes[0].length, axes[1].length).view(-1, 1, 1)
    reach = random.uniform(0.6, 0.97).view(-1, 1, 1) * length
    along = (places[0][0] + places[1][0]) / 2
    between &= (along > -0.05 * length) & (along < reach)
    both = hands.digit_mask(digit) | hands.digit_mask(digit + 1)
    inner = 1 - F.max_pool2d((~both).unsqueeze(1).float(), 3, 1, 1)  # the fingers without their dark edge
    weight, colour = inner, hands.images * inner
    for _ in range(FADING):
        weight, colour = (F.avg_pool2d(x, 7, 1, 3) for x in (weight, colour))
    cover = soften(wider(between, 1)) * (weight > 1e-3)
    hands.images = hands.images.lerp(colour / weight.clamp(min=1e-3), cover)
    hands.regions = torch.where(both | (cover[:, 0] > 0.5), torch.full_like(hands.regions, EXTRA), hands.regions)
    rows = torch.arange(len(hands), device=random.device)
    for finger in (digit, digit + 1):
        hands.forget_joints(finger)
        hands.states[rows, finger] = FUSED
    hands.whole[:] = 0.0
