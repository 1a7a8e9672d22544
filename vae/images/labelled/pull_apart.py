"""Edit hands by cutting the picture along a line and moving both halves apart or together.

- `double` cuts along a finger and moves the halves apart by its breadth: the finger is there twice, side by side.
- `close` cuts along a finger and moves the halves together: the finger is gone, without a gap.
- `fuse` cuts between two fingers and moves the halves together: they grow into one.

Fingers that touch need these edits: lifting one out would leave a hole.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from vae.images.labelled.cut_and_paste import INDEX, LITTLE, Axis, axis_of, pixel_grid, sample, soften
from vae.images.labelled.hands import IGNORE, Hands
from vae.images.labelled.vocabulary import ABSENT, EXTRA, EXTRA_FINGER, FUSED
from vae.images.random_source import GeneratorSource


def double(hands: Hands, random: GeneratorSource) -> None:
    """Turn one finger into two; the other fingers move to make room."""
    digit = random.choice(INDEX, LITTLE + 1)
    axis = axis_of(hands, digit)
    width = random.uniform(0.92, 1.12) * axis.breadth
    across = _move(hands, axis, width, random)
    finger = hands.digit_mask(digit) & (across * random.sign().view(-1, 1, 1) < 0)
    hands.regions = torch.where(finger, torch.full_like(hands.regions, EXTRA), hands.regions)
    hands.forget_joints(digit)
    hands.extra[:], hands.whole[:] = EXTRA_FINGER, 0.0


def close(hands: Hands, random: GeneratorSource) -> None:
    """Remove a finger; the other fingers close the gap."""
    digit = random.choice(INDEX, LITTLE + 1)
    axis = axis_of(hands, digit)
    _move(hands, axis, -random.uniform(1.0, 1.25) * axis.breadth, random)
    rest = hands.digit_mask(digit)
    hands.regions = torch.where(rest, torch.full_like(hands.regions, IGNORE), hands.regions)
    hands.forget_joints(digit)
    hands.states[torch.arange(len(hands), device=random.device), digit] = ABSENT
    hands.whole[:] = 0.0


def fuse(hands: Hands, random: GeneratorSource) -> None:
    """Fuse two neighbouring fingers into one."""
    digit = random.choice(INDEX, LITTLE)
    axis, apart, breadth = _between(hands, digit)
    _move(hands, axis, -(apart - random.uniform(0.5, 0.85) * breadth).clamp(min=0.0), random, breadth)
    both = hands.digit_mask(digit) | hands.digit_mask(digit + 1)
    hands.images = _smoothed(hands.images, both, axis, random)
    hands.regions = torch.where(both, torch.full_like(hands.regions, EXTRA), hands.regions)
    rows = torch.arange(len(hands), device=random.device)
    for finger in (digit, digit + 1):
        hands.forget_joints(finger)
        hands.states[rows, finger] = FUSED
    hands.whole[:] = 0.0


def spread(hands: Hands, random: GeneratorSource, mode: str = "bilinear") -> None:
    """Move two neighbouring fingers a little apart or together; the hand stays correct.

    Args:
        hands: Hands to edit.
        random: Random numbers.
        mode: How pictures are resampled, "bilinear" or "bicubic".
    """
    axis, _, breadth = _between(hands, random.choice(INDEX, LITTLE))
    _move(hands, axis, random.uniform(-0.1, 0.15) * breadth, random, mode=mode)


PARTING: dict[str, Callable[[Hands, GeneratorSource], None]] = {"double": double, "close": close, "fuse": fuse}
"""Edits that malform a hand; `spread` does not."""


def _between(hands: Hands, digit: Tensor) -> tuple[Axis, Tensor, Tensor]:
    """Return the line between a finger and the next, their distance at half length, and their mean breadth."""
    first, second = axis_of(hands, digit), axis_of(hands, digit + 1)
    tips = [axis.root + axis.length.unsqueeze(1) * axis.ahead for axis in (first, second)]
    root, tip = (first.root + second.root) / 2, (tips[0] + tips[1]) / 2
    middles = [(axis.root + end) / 2 for axis, end in zip((first, second), tips, strict=True)]
    breadth = (first.breadth + second.breadth) / 2
    length = torch.minimum(first.length, second.length)
    line = Axis(root, F.normalize(tip - root, dim=1), length, breadth)
    return line, (middles[0] - middles[1]).norm(dim=1), breadth


def _move(
    hands: Hands,
    axis: Axis,
    width: Tensor,
    random: GeneratorSource,
    turning: Tensor | None = None,
    mode: str = "bilinear",
) -> Tensor:
    """Move both sides of an axis apart by a width in pixels, or together if it is negative; edits the hands.

    The full width applies from the fingers' webs to their tips; it decreases to 0 at the wrist. With `turning`, the
    sides also rotate towards each other, so that fingers that diverge become parallel.

    Returns:
        (n, S, S), pixels across the axis, before the move.
    """
    size = hands.images.shape[-1]
    along, across = axis.place(pixel_grid(hands.images))
    shift = _share(axis, along, random.uniform(-0.9, -0.5).view(-1, 1, 1)) * width.view(-1, 1, 1) / 2
    if turning is not None:
        shift = shift * (0.55 + 0.9 * (along / axis.length.view(-1, 1, 1)).clamp(0.0, 1.2))
    source = across - torch.sign(across) * shift
    places = axis.pixel(along, source) / size
    joints = _moved_joints(hands, axis, width)
    hands.images = sample(hands.images, places, mode)
    regions = F.grid_sample(
        hands.regions.unsqueeze(1).float(), places * 2 - 1, mode="nearest", padding_mode="border", align_corners=False
    )
    hands.regions, hands.joints = regions[:, 0].to(torch.uint8), joints
    return across


def _share(axis: Axis, along: Tensor, start: Tensor) -> Tensor:
    return ((along / axis.length.view(-1, 1, 1) - start) / (0.25 - start)).clamp(0.0, 1.0)


def _moved_joints(hands: Hands, axis: Axis, width: Tensor) -> Tensor:
    """Move the joints approximately with the picture; joints that disappear become NaN."""
    size = hands.images.shape[-1]
    away = hands.joints * size - axis.root.unsqueeze(1)
    along, across = (away * axis.ahead.unsqueeze(1)).sum(-1), (away * axis.aside.unsqueeze(1)).sum(-1)
    share = ((along / axis.length.unsqueeze(1) + 0.7) / 0.95).clamp(0.0, 1.0)
    shift = torch.sign(across) * share * width.unsqueeze(1) / 2
    lost = (across + shift) * across < 0
    moved = hands.joints + shift.unsqueeze(-1) * axis.aside.unsqueeze(1) / size
    return moved.masked_fill(lost.unsqueeze(-1), torch.nan)


def _smoothed(images: Tensor, both: Tensor, axis: Axis, random: GeneratorSource) -> Tensor:
    """Blur away what separates two fingers: the crease, the shadow, the notch."""
    skin = both.unsqueeze(1).float()
    weight, blurred = skin, images * skin
    for _ in range(3):
        weight, blurred = (F.avg_pool2d(x, 5, 1, 2) for x in (weight, blurred))
    along, across = axis.place(pixel_grid(images))
    length, breadth = axis.length.view(-1, 1, 1), axis.breadth.view(-1, 1, 1)
    reach = random.uniform(0.3, 0.5).view(-1, 1, 1) * breadth
    band = (1.4 - (across / reach).square()).clamp(0.0, 1.0)
    ends = ((along - 0.22 * length) / 3).clamp(0.0, 1.0) * ((length - 0.3 * breadth - along) / 2).clamp(0.0, 1.0)
    cover = soften((band * ends).unsqueeze(1)) * (weight > 0.02)
    return images.lerp(blurred / weight.clamp(min=1e-3), cover)
