"""Cut digits out of pictures and paste them: the parts of an edit."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from vae.images.labelled.hands import Hands
from vae.images.labelled.vocabulary import GROUND

THUMB, INDEX, MIDDLE, RING, LITTLE = range(5)
BEYOND = 1.13  # where the skin ends, in distances from the digit's root to its last landmark


@dataclass
class Axis:
    """Position of one digit in each of n pictures, in pixels.

    Attributes:
        root: (n, 2), the MCP joint (knuckle).
        ahead: (n, 2), unit vector from the root to the tip.
        length: (n,), pixels from the root to the end of the tip.
        breadth: (n,), width in pixels.
    """

    root: Tensor
    ahead: Tensor
    length: Tensor
    breadth: Tensor

    @property
    def aside(self) -> Tensor:
        """(n, 2), the unit vector across the digit."""
        return torch.stack([-self.ahead[:, 1], self.ahead[:, 0]], 1)

    def place(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Return coordinates of pixels along and across the digit, each shaped like `pixels` without its last axis."""
        away = pixels - _wide(self.root)
        return (away * _wide(self.ahead)).sum(-1), (away * _wide(self.aside)).sum(-1)

    def pixel(self, along: Tensor, across: Tensor) -> Tensor:
        """Undo `place`."""
        ahead, aside = _wide(self.ahead), _wide(self.aside)
        return _wide(self.root) + along.unsqueeze(-1) * ahead + across.unsqueeze(-1) * aside


def axis_of(hands: Hands, digit: Tensor) -> Axis:
    """Find the axis of one digit of each hand; all joints must be known."""
    rows, size = torch.arange(len(hands), device=digit.device), hands.images.shape[-1]
    first = 1 + 4 * digit + (digit == THUMB)
    root, tip = hands.joints[rows, first] * size, hands.joints[rows, 4 + 4 * digit] * size
    length = (tip - root).norm(dim=1).clamp(min=4.0)
    knuckles = (hands.joints[:, 5] - hands.joints[:, 17]).norm(dim=1) * size / 3
    mine = hands.digit_mask(digit).flatten(1).sum(1).float()
    breadth = torch.minimum(mine / (0.85 * length), 1.1 * knuckles).clamp(min=3.0)
    return Axis(root, (tip - root) / length.unsqueeze(1), BEYOND * length, breadth)


@dataclass
class Layer:
    """How `lay` pastes a digit; (n,) float32 each.

    Attributes:
        turn: Rotation about its root, radians.
        right: Shift across its axis, pixels.
        ahead: Shift along its axis, pixels.
        cut: Fractions of its length: two positions on the result between which it is stretched, and the source
            position of the second; see `_stretched`.
        broad: Factor of the width.
        opacity: [0, 1], 1 is solid.
    """

    turn: Tensor
    right: Tensor
    ahead: Tensor
    cut: tuple[Tensor, Tensor, Tensor]
    broad: Tensor
    opacity: Tensor


def plain(n: int, device: torch.device) -> Layer:
    """Return layers that paste digits unchanged."""
    zero, one = torch.zeros(n, device=device), torch.ones(n, device=device)
    return Layer(zero, zero, zero, (zero + 0.5, one, one), one, one)


def ground_of(hands: Hands) -> Tensor:
    """Fill in the background behind the hand with a blur of the visible background, (n, 3, S, S)."""
    free = (wider(hands.regions != GROUND, 2) < 0.5).float()
    seen, weight = hands.images * free, free
    ground, filled = torch.zeros_like(seen), torch.zeros_like(free)
    for scale in (4, 16, 64, hands.images.shape[-1]):
        share = pooled(weight, scale)
        coarse = pooled(seen, scale) / share.clamp(min=1e-4)
        sure = (share > 0.1).float()
        up = [F.interpolate(x, size=seen.shape[-2:], mode="bilinear") for x in (coarse * sure, sure)]
        value = up[0] / up[1].clamp(min=1e-3)
        use = (up[1] > 0.3).float() * (1 - filled)
        ground, filled = ground + use * value, filled + use
    ground = torch.where(filled > 0, ground, torch.full_like(ground, 0.9))
    return free * hands.images + (1 - free) * ground


def pooled(images: Tensor, side: int) -> Tensor:
    """Average squares; on a GPU ten times as fast as `avg_pool2d`, which uses one thread per square."""
    n, channels, size = images.shape[:3]
    if size % side:
        return F.avg_pool2d(images, side)
    return images.view(n, channels, size // side, side, size // side, side).mean((3, 5))


def lift(hands: Hands, digit: Tensor, start: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Return a digit's soft region (n, 1, S, S), and the picture without it (n, 3, S, S)."""
    mine = hands.digit_mask(digit).unsqueeze(1)
    if start is not None:
        axis = axis_of(hands, digit)
        along, across = axis.place(pixel_grid(hands.images))
        round_end = (start * axis.length).view(-1, 1, 1) + 0.25 * axis.breadth.view(-1, 1, 1)
        dome = (across / axis.breadth.view(-1, 1, 1).clamp(min=1)).square() * axis.breadth.view(-1, 1, 1)
        mine = mine & (along > round_end - dome).unsqueeze(1)
    soft = wider(mine, 1)
    other = ((hands.regions != GROUND).unsqueeze(1) & ~mine).float()
    gone = wider(mine, 2) * (1 - other)
    gone = torch.maximum(gone, mine.float())
    gone = soften(gone) * (1 - other) + gone * other
    return soft, hands.images.lerp(ground_of(hands), gone)


def lay(hands: Hands, base: Tensor, digit: Tensor, layer: Layer, axis: Axis | None = None) -> tuple[Tensor, Tensor]:
    """Paste a digit of each hand on a picture.

    Args:
        hands: The hands that the digits come from.
        base: (n, 3, S, S), the pictures to paste on.
        digit: (n,) int64, 0 is the thumb.
        layer: Shift, rotation, size and opacity.
        axis: The new position; default: the old one.

    Returns:
        (n, 3, S, S), the pictures; (n, S, S) bool, the pixels of the pasted digits.
    """
    source, size = axis_of(hands, digit), hands.images.shape[-1]
    target = axis or source
    cosine, sine = torch.cos(layer.turn).unsqueeze(1), torch.sin(layer.turn).unsqueeze(1)
    ahead = cosine * target.ahead + sine * target.aside
    moved = Axis(target.root, ahead, target.length, target.breadth)
    moved.root = target.root + layer.ahead.unsqueeze(1) * moved.ahead + layer.right.unsqueeze(1) * moved.aside
    along, across = moved.place(pixel_grid(hands.images))
    length = source.length.view(-1, 1, 1)
    along = _stretched(along / length, layer.cut) * length
    places = source.pixel(along, across / layer.broad.view(-1, 1, 1))
    mine = wider(hands.digit_mask(digit).unsqueeze(1), 0)
    both = sample(torch.cat([hands.images, mine], 1), places / size)
    cover = both[:, 3:] * layer.opacity.view(-1, 1, 1, 1)
    return base.lerp(both[:, :3], cover), both[:, 3] > 0.5


def _stretched(along: Tensor, cut: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    """Map positions on the result to positions on the source, as fractions of the digit's length.

    Up to `first` nothing changes. From `first` to `second` the source runs from `first` to `origin`. Beyond
    `second` it continues from `origin` at the original scale.
    """
    first, second, origin = (c.view(-1, 1, 1) for c in cut)
    within = first + (along - first) * (origin - first) / (second - first).clamp(min=1e-3)
    return torch.where(along < first, along, torch.where(along < second, within, along - second + origin))


def _wide(vectors: Tensor) -> Tensor:
    return vectors.view(-1, 1, 1, 2)


def pixel_grid(images: Tensor) -> Tensor:
    """Return the centres of the pixels, (1, S, S, 2), x before y."""
    line = torch.arange(images.shape[-1], device=images.device) + 0.5
    return torch.stack(torch.meshgrid(line, line, indexing="xy"), -1).unsqueeze(0)


def sample(images: Tensor, places: Tensor, mode: str = "bilinear") -> Tensor:
    """Sample pictures at places, (n, S, S, 2) fractions of the side, "bilinear" or "bicubic"; bicubic blurs less."""
    sampled = F.grid_sample(images, places * 2 - 1, mode, padding_mode="border", align_corners=False)
    return sampled.clamp(0, 1) if mode == "bicubic" else sampled  # it may overshoot


def wider(mask: Tensor, reach: int) -> Tensor:
    """Grow a mask, (n, 1, S, S) or (n, S, S), by `reach` pixels and blur it by one; return float (n, 1, S, S)."""
    mask = mask.float() if mask.dim() == 4 else mask.unsqueeze(1).float()
    if reach:
        mask = F.max_pool2d(mask, 2 * reach + 1, 1, reach)
    return soften(mask)


def soften(mask: Tensor) -> Tensor:
    """Average (n, c, S, S) over 3 x 3 pixels."""
    return F.avg_pool2d(F.pad(mask, (1, 1, 1, 1), mode="replicate"), 3, 1)


def bounds(mask: Tensor) -> tuple[Tensor, Tensor]:
    """Return the smallest and the largest x and y of (n, S, S) bool masks, (n, 2) each, fractions of the side.

    Those of an empty mask are the whole picture's.
    """
    low, high = [], []
    line = (torch.arange(mask.shape[-1], device=mask.device) + 0.5) / mask.shape[-1]
    for axis in (1, 2):  # reducing the rows gives x, which comes first
        there = mask.any(axis)
        there = there | ~there.any(1, keepdim=True)
        low.append(line.expand_as(there).masked_fill(~there, 2).amin(1))
        high.append(line.expand_as(there).masked_fill(~there, -1).amax(1))
    return torch.stack(low, 1), torch.stack(high, 1)
