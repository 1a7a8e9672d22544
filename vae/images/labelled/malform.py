"""Edit single digits of hands, on the device: malform hands, or move digits a little so that hands stay correct.

Every edit uses pixels of the picture itself. It lifts a digit out with its region and lays it on the picture, with or
without the original digit. The digit may be rotated, shifted, mirrored, or scaled along parts of its axis. Harmless
edits take the same steps, so traces of editing do not show whether a hand is malformed.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from vae.images.labelled.cut_and_paste import (
    INDEX,
    LITTLE,
    THUMB,
    Axis,
    Layer,
    axis_of,
    ground_of,
    lay,
    lift,
    pixel_grid,
    plain,
    soften,
)
from vae.images.labelled.hands import IGNORE, Hands
from vae.images.labelled.vocabulary import (
    ABSENT,
    EXTRA,
    EXTRA_FINGER,
    EXTRA_GHOST,
    EXTRA_THUMB,
    FIRST_DIGIT,
    GHOST,
    GROUND,
    NORMAL,
    PALM,
    SEGMENT_ADDED,
    SEGMENT_MISSING,
    TOO_LONG,
    TOO_SHORT,
)
from vae.images.random_source import GeneratorSource

SEEN = 0.4  # of an added digit must lie beside the hand, or no digit is added: it would not be recognisable


def erase(hands: Hands, random: GeneratorSource) -> None:
    """Remove a digit; sometimes a short stump is left."""
    digit = random.choice(0, 5)
    start = torch.where(random.chance(0.6), torch.zeros(random.n, device=random.device), random.uniform(0.0, 0.36))
    start = torch.where(digit == THUMB, start * 0.8, start)
    _, hands.images = lift(hands, digit, start)
    _clear(hands, digit, start)
    _say(hands, digit, ABSENT)


def fade(hands: Hands, random: GeneratorSource) -> None:
    """Make a digit half transparent, sometimes in two places at once."""
    digit, layer = random.choice(0, 5), plain(random.n, random.device)
    layer.opacity = random.uniform(0.28, 0.68)
    _, base = lift(hands, digit, random.uniform(0.0, 0.2) * random.chance(0.5))
    twice = random.chance(0.35)
    second = plain(random.n, random.device)
    second.turn = random.sign() * random.uniform(0.12, 0.3)
    second.opacity = torch.where(twice, 1 - layer.opacity, torch.zeros_like(layer.turn))
    laid, _ = lay(hands, base, digit, second)
    hands.images, _ = lay(hands, laid, digit, layer)
    _say(hands, digit, GHOST)


def resize(hands: Hands, random: GeneratorSource) -> None:
    """Make a digit too long or too short."""
    digit, long = random.choice(0, 5), random.chance(0.5)
    factor = torch.where(long, random.uniform(1.4, 1.85), random.uniform(0.35, 0.64))
    first = random.uniform(0.0, 0.3)
    _scale(hands, digit, first, factor, random)
    _say(hands, digit, torch.where(long, TOO_LONG, TOO_SHORT))


def add_segment(hands: Hands, random: GeneratorSource) -> None:
    """Repeat the middle part of a finger other than the little finger."""
    digit, layer = random.choice(INDEX, LITTLE), plain(random.n, random.device)
    start, long = random.uniform(0.42, 0.52), random.uniform(0.26, 0.36)
    _, base = lift(hands, digit)
    layer.cut = (start + long, start + long + 1e-3, start)  # jumps back, then continues
    hands.images, cover = lay(hands, base, digit, layer)
    _mark(hands, cover, FIRST_DIGIT + digit)
    _say(hands, digit, SEGMENT_ADDED)


def drop_segment(hands: Hands, random: GeneratorSource) -> None:
    """Leave out the middle part of a finger other than the little finger."""
    digit, layer = random.choice(INDEX, LITTLE), plain(random.n, random.device)
    start, long = random.uniform(0.3, 0.45), random.uniform(0.24, 0.34)
    _, base = lift(hands, digit)
    layer.cut = (start, start + 1e-3, start + long)
    hands.images, cover = lay(hands, base, digit, layer)
    _clear(hands, digit)
    _mark(hands, cover, FIRST_DIGIT + digit)
    _say(hands, digit, SEGMENT_MISSING)


def add_finger(hands: Hands, random: GeneratorSource) -> None:
    """Lay a copy of a finger beside it, usually at the outer side of the hand; sometimes half transparent."""
    digit, layer = random.choice(INDEX, LITTLE + 1), plain(random.n, random.device)
    outer = torch.where(random.chance(0.5), INDEX, LITTLE)
    free = random.chance(0.6)
    digit = torch.where(free, outer, digit)
    axis = axis_of(hands, digit)
    across = ((hands.joints[:, 17] - hands.joints[:, 5]) * axis.aside).sum(1).sign()
    side = torch.where(free, torch.where(digit == LITTLE, across, -across), random.sign())
    layer.turn = side * random.uniform(0.1, 0.5)
    layer.right = side * random.uniform(0.25, 1.1) * axis.breadth
    layer.ahead = -random.uniform(0.0, 0.25) * axis.length
    layer.broad = random.uniform(0.75, 1.1)
    scale = random.uniform(0.7, 1.0)
    layer.cut = (torch.zeros_like(scale), scale, torch.ones_like(scale))
    ghost = random.chance(0.25)
    layer.opacity = torch.where(ghost, random.uniform(0.35, 0.65), torch.ones_like(scale))
    _over_or_under(hands, digit, layer, random, torch.where(ghost, EXTRA_GHOST, EXTRA_FINGER))


def add_thumb(hands: Hands, random: GeneratorSource) -> None:
    """Add a second thumb, on the other side of the hand or beside the first."""
    digit = random.choice(THUMB, THUMB + 1)
    layer, axis, size = plain(random.n, random.device), axis_of(hands, digit), hands.images.shape[-1]
    joints = hands.joints * size
    up = F.normalize(joints[:, 9] - joints[:, 0], dim=1)
    mirrored = 2 * (axis.ahead * up).sum(1, keepdim=True) * up - axis.ahead
    across = joints[:, 17] - joints[:, 5]
    height = random.uniform(0.15, 0.6).unsqueeze(1)
    root = joints[:, 17] + height * (joints[:, 0] - joints[:, 17]) - 0.02 * across
    away = F.normalize(across - (across * up).sum(1, keepdim=True) * up, dim=1)
    opposite = random.chance(0.6)
    mirrored = F.normalize(mirrored + 0.25 * away, dim=1)
    turned = _turn(axis.ahead, random.sign() * random.uniform(0.4, 0.9))
    beside = axis.root - random.uniform(0, 0.3).unsqueeze(1) * axis.length.unsqueeze(1) * up
    root = torch.where(opposite.unsqueeze(1), root, beside)
    target = Axis(root, torch.where(opposite.unsqueeze(1), mirrored, turned), axis.length, axis.breadth)
    layer.broad = torch.where(opposite, -random.uniform(0.85, 1.1), random.uniform(0.85, 1.1))
    images, cover = lay(hands, hands.images, digit, layer, target)
    _add(hands, images, cover, torch.full_like(digit, EXTRA_THUMB))


def shift_digit(hands: Hands, random: GeneratorSource) -> None:
    """Rotate and scale a digit a little; the hand stays correct. People's thumbs differ most."""
    digit, layer = random.choice(0, 5), plain(random.n, random.device)
    _, base = lift(hands, digit)
    layer.turn = random.uniform(-0.05, 0.05)
    scale = torch.where(digit == THUMB, random.uniform(0.86, 1.2), random.uniform(0.92, 1.09))
    layer.cut = (torch.zeros_like(scale), scale, torch.ones_like(scale))
    hands.images, cover = lay(hands, base, digit, layer)
    _clear(hands, digit)
    _mark(hands, cover, FIRST_DIGIT + digit)


def ring(hands: Hands, random: GeneratorSource) -> None:
    """Put a ring on a finger; the hand stays correct."""
    digit = random.choice(INDEX, LITTLE + 1)
    axis = axis_of(hands, digit)
    mine = hands.digit_mask(digit)
    _band(hands, axis, mine, random.uniform(0.2, 0.55) * axis.length, random.uniform(0.02, 0.09) * axis.length, random)


def wristband(hands: Hands, random: GeneratorSource) -> None:
    """Put a watch or a bracelet on the wrist; the hand stays correct."""
    size = hands.images.shape[-1]
    wrist, knuckle = hands.joints[:, 0] * size, hands.joints[:, 9] * size
    length = (wrist - knuckle).norm(dim=1).clamp(min=4.0)
    axis = Axis(wrist, (wrist - knuckle) / length.unsqueeze(1), length, length)
    skin = hands.regions == PALM
    _band(hands, axis, skin, random.uniform(0.0, 0.25) * length, random.uniform(0.03, 0.16) * length, random)


EDITS: dict[str, Callable[[Hands, GeneratorSource], None]] = {
    "erase": erase,
    "fade": fade,
    "resize": resize,
    "add_segment": add_segment,
    "drop_segment": drop_segment,
    "add_finger": add_finger,
    "add_thumb": add_thumb,
}
"""Edits that malform a hand; `pull_apart.PARTING` has more, which cut the hand and move its parts."""


def _band(hands: Hands, axis: Axis, where: Tensor, place: Tensor, half: Tensor, random: GeneratorSource) -> None:
    """Paint a band across an axis: its centre is `place` along the axis, and it is 2 * `half` pixels wide."""
    along, across = axis.place(pixel_grid(hands.images))
    bow = random.uniform(-0.25, 0.25).view(-1, 1, 1) * across.square() / axis.breadth.view(-1, 1, 1)
    cover = (half.view(-1, 1, 1) + 0.5 - (along + bow - place.view(-1, 1, 1)).abs()).clamp(0, 1) * where
    n = len(hands)
    tint = torch.rand(n, 3, 1, 1, generator=random.generator, device=random.device)
    grey = random.uniform(0.05, 0.95).view(-1, 1, 1, 1)
    pattern = torch.randn(n, 1, 32, 32, generator=random.generator, device=random.device)
    pattern = 0.25 * F.interpolate(pattern, size=hands.images.shape[-2:], mode="bilinear")
    colour = (grey.lerp(tint, random.uniform(0, 0.6).square().view(-1, 1, 1, 1)) + pattern).clamp(0, 1)
    hands.images = hands.images.lerp(colour, soften(cover.unsqueeze(1)))


def _scale(hands: Hands, digit: Tensor, first: Tensor, factor: Tensor, random: GeneratorSource) -> None:
    """Scale the part of a digit from `first`, a share of its length, to its tip."""
    layer = plain(random.n, random.device)
    _, base = lift(hands, digit)
    layer.cut = (first, first + (1 - first) * factor, torch.ones_like(factor))
    slim = random.chance(0.3)
    layer.broad = torch.where(slim, factor.clamp(0.75, 1.2), torch.ones_like(factor))
    hands.images, cover = lay(hands, base, digit, layer)
    _clear(hands, digit)
    _mark(hands, cover, FIRST_DIGIT + digit)


def _over_or_under(hands: Hands, digit: Tensor, layer: Layer, random: GeneratorSource, extra: Tensor) -> None:
    """Add a copy of a digit in front of the hand or behind it."""
    over, cover = lay(hands, hands.images, digit, layer)
    blank = ground_of(hands)
    behind, _ = lay(hands, blank, digit, layer)
    hand = soften((hands.regions != GROUND).unsqueeze(1).float())
    under = behind.lerp(hands.images, hand)
    choice = random.chance(0.6)
    images = torch.where(choice.view(-1, 1, 1, 1), over, under)
    _add(hands, images, cover & (choice.view(-1, 1, 1) | (hands.regions == GROUND)), extra)


def _add(hands: Hands, images: Tensor, cover: Tensor, extra: Tensor) -> None:
    """Keep the pictures with an added digit where enough of it is visible beside the hand."""
    beside = (cover & (hands.regions == GROUND)).flatten(1).sum(1)
    seen = (beside > SEEN * cover.flatten(1).sum(1)) & (beside > 40)
    hands.images = torch.where(seen.view(-1, 1, 1, 1), images, hands.images)
    _mark(hands, cover & seen.view(-1, 1, 1), torch.full_like(extra, EXTRA))
    hands.extra = torch.where(seen, extra, hands.extra)
    hands.whole = torch.where(seen, torch.zeros_like(hands.whole), hands.whole)


def _say(hands: Hands, digit: Tensor, state: Tensor | int) -> None:
    rows = torch.arange(len(hands), device=digit.device)
    hands.states[rows, digit] = state
    hands.whole[:] = 0.0
    hands.forget_joints(digit, 1)  # the others have moved or no longer exist
    assert NORMAL == 0, "the label of the digits that were not edited"


def _clear(hands: Hands, digit: Tensor, start: Tensor | None = None) -> None:
    """Label a digit's region as background; with `start`, only beyond it, and the stump before it as `IGNORE`."""
    mine = hands.digit_mask(digit)
    value = torch.full_like(hands.regions, GROUND)
    if start is not None:
        axis = axis_of(hands, digit)
        along, _ = axis.place(pixel_grid(hands.images))
        stump = along < (start * axis.length + 0.3 * axis.breadth).view(-1, 1, 1)
        value = torch.where(stump, torch.full_like(value, IGNORE), value)
    hands.regions = torch.where(mine, value, hands.regions)


def _mark(hands: Hands, cover: Tensor, region: Tensor) -> None:
    hands.regions = torch.where(cover, region.to(torch.uint8).view(-1, 1, 1), hands.regions)


def _turn(vectors: Tensor, angle: Tensor) -> Tensor:
    aside = torch.stack([-vectors[:, 1], vectors[:, 0]], 1)
    return torch.cos(angle).unsqueeze(1) * vectors + torch.sin(angle).unsqueeze(1) * aside
