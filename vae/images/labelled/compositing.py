"""Put hands on other backgrounds, like those in photographs and pictures from other sources.

A hand is cut out along its region map and pasted on a background with a random size, rotation and position. Then it is
lit. Its arm continues to the frame or into a sleeve, or ends. The labels are moved too; the background has no digits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from vae.images.labelled.cut_and_paste import bounds, pixel_grid, soften
from vae.images.labelled.hands import IGNORE, Hands
from vae.images.labelled.vocabulary import DOUBTS, EXTRA_GHOST, FIRST_DIGIT, GHOST, GROUND, NO_EXTRA, NORMAL, PALM
from vae.images.random_source import GeneratorSource

CUT, DRAWN = DOUBTS.index("cut"), DOUBTS.index("drawn")
LEAST_GROUND = 0.08  # share of the picture; with less background, a hand cannot be cut out
ARM = 0.2  # palm lengths below the wrist where the arm begins
PLAIN, SKIN_LIKE, SECOND, SOFT = 0.22, 0.15, 0.3, 0.35  # shares of the backgrounds
SLIM = 0.08  # largest change of the log of the width and of the length
SHADOWED, SLEEVED, ENDING = 0.5, 0.45, 0.15
GHOSTS, FLAT, CARTOONS, CUT_OFF = 0.04, 0.025, 0.05, 0.06


@dataclass
class View:
    """The map from the results to the old pictures.

    Attributes:
        matrix: (n, 2, 2), from positions on the result to positions on the old picture, fractions of the side.
        to: (n, 2), the position of `origin` on the result.
        origin: (n, 2), a position on the old picture.
        turn: (n,), rotation in radians.
    """

    matrix: Tensor
    to: Tensor
    origin: Tensor
    turn: Tensor


def composable(hands: Hands) -> Tensor:
    """Return which hands can be cut out, (n,) bool; a ghost cannot, because the old background shows through."""
    ground = (hands.regions == GROUND).flatten(1).float().mean(1)
    unknown = (hands.regions == IGNORE).flatten(1).float().mean(1)
    ghost = (hands.states == GHOST).any(1) | (hands.extra == EXTRA_GHOST)
    return (hands.hand == 1) & (ground > LEAST_GROUND) & (unknown < 0.05) & ~ghost


def compose(hands: Hands, grounds: Tensor, random: GeneratorSource) -> None:
    """Put hands on backgrounds, in place.

    Args:
        hands: All `composable`, fingers up.
        grounds: (g, 3, T, T) uint8, backgrounds on the same device.
        random: Random numbers.
    """
    view = _view(hands, random)
    skin, regions, arm = _seen(hands, view, random)
    _carry_labels(hands, view)
    hands.regions = regions
    alpha = (regions != GROUND).float().unsqueeze(1)
    opacity = _ghosts(hands, random)
    alpha = _edged(torch.maximum(alpha, arm.cover), random) * opacity
    skin = _skin_tones(skin, random)
    skin = _flat(hands, skin, alpha, random)
    ground = _grounds(grounds, skin, alpha, random)
    ground = _shadows(ground, torch.maximum(alpha, arm.sleeve), random)
    images = ground.lerp(skin, alpha)
    images = images.lerp(arm.cloth, arm.sleeve)
    hands.images = _lit(_cartoons(hands, images, alpha, random), random)


@dataclass
class Arm:
    """The part below the wrist: (n, 1 or 3, S, S) each.

    Attributes:
        cover: Opacity of the bare arm.
        sleeve: Opacity of the sleeve.
        cloth: Picture of the sleeve.
    """

    cover: Tensor
    sleeve: Tensor
    cloth: Tensor


def _view(hands: Hands, random: GeneratorSource) -> View:
    """Draw positions: half of the hands large and nearly upright, others smaller, 20 % rotated by any angle."""
    low, high = bounds(hands.regions != GROUND)
    middle, span = (low + high) / 2, (high - low).amax(1).clamp(min=0.2)
    kind = random.uniform(0, 1)
    fill = torch.where(kind < 0.5, random.uniform(0.74, 1.0), random.uniform(0.28, 0.85))
    turn = torch.where(kind < 0.5, random.uniform(-0.35, 0.35), random.uniform(-0.7, 0.7))
    turn = torch.where(kind > 0.8, random.uniform(-math.pi, math.pi), turn)
    free = 0.5 * (1 - fill).unsqueeze(1) + 0.03
    to = 0.5 + free * torch.stack([random.uniform(-1, 1), random.uniform(-1, 1)], 1)
    angle, far = random.uniform(-math.pi, math.pi), random.uniform(0.3, 0.6) * fill
    off = torch.stack([torch.cos(angle), torch.sin(angle)], 1) * far.unsqueeze(1)
    to = torch.where(random.chance(CUT_OFF).unsqueeze(1), 0.5 + off, to)
    cos, sin, mirror = torch.cos(turn), torch.sin(turn), random.sign()
    matrix = torch.stack([torch.stack([mirror * cos, -mirror * sin], 1), torch.stack([sin, cos], 1)], 1)
    slim = torch.exp(random.uniform(-SLIM, SLIM))
    matrix = torch.stack([matrix[:, 0] * slim.unsqueeze(1), matrix[:, 1] / slim.unsqueeze(1)], 1)
    return View(matrix * (span / fill).view(-1, 1, 1), to, middle, turn)


def _seen(hands: Hands, view: View, random: GeneratorSource) -> tuple[Tensor, Tensor, Arm]:
    """Map the old pictures to the result; return the skin, the regions inside the old frame, and the arm."""
    here = pixel_grid(hands.images) / hands.images.shape[-1] - view.to.view(-1, 1, 1, 2)
    places = torch.einsum("nij,nhwj->nhwi", view.matrix, here.expand(len(hands), -1, -1, -1))
    places = places + view.origin.view(-1, 1, 1, 2)
    below = (places[..., 1] - 1).clamp(min=0)
    narrower = random.uniform(-0.25, 0.35).view(-1, 1, 1)  # the arm becomes wider or slimmer downwards
    foot = _foot(hands.regions)
    x = foot.view(-1, 1, 1) + (places[..., 0] - foot.view(-1, 1, 1)) * (1 + narrower * below).clamp(0.4, 1.6)
    grid = torch.stack([x, places[..., 1]], -1) * 2 - 1
    skin = F.grid_sample(hands.images, grid, padding_mode="border", align_corners=False)
    regions = F.grid_sample(
        hands.regions.unsqueeze(1).float(), grid, mode="nearest", padding_mode="border", align_corners=False
    )[:, 0].to(torch.uint8)
    inside = (x > 0) & (x < 1) & (places[..., 1] > 0)
    regions = torch.where(inside, regions, torch.zeros_like(regions))
    along, across = _from_wrist(hands, places)
    return skin, *_arm(hands, regions, along, across, below > 0, random)


def _foot(regions: Tensor) -> Tensor:
    """Return the centre of the hand in the last row, (n,) fractions of the side; 0.5 if the hand does not reach it."""
    last = (regions[:, -1] != GROUND).float()
    line = (torch.arange(last.shape[1], device=last.device) + 0.5) / last.shape[1]
    some = last.sum(1)
    return torch.where(some > 0, (last * line).sum(1) / some.clamp(min=1), torch.full_like(some, 0.5))


def _from_wrist(hands: Hands, places: Tensor) -> tuple[Tensor, Tensor]:
    """Return coordinates from the wrist, along the arm (away from the fingers) and across, in palm lengths."""
    wrist, knuckle = hands.joints[:, 0], hands.joints[:, 9]
    unknown = torch.isnan(wrist).any(1) | torch.isnan(knuckle).any(1)
    usual = torch.tensor([[0.5, 0.95], [0.5, 0.55]], device=wrist.device)
    wrist = torch.where(unknown.unsqueeze(1), usual[0], wrist)
    knuckle = torch.where(unknown.unsqueeze(1), usual[1], knuckle)
    palm = (wrist - knuckle).norm(dim=1).clamp(min=0.1).view(-1, 1, 1)
    ahead = ((wrist - knuckle) / palm.view(-1, 1)).view(-1, 1, 1, 2)
    away = places - wrist.view(-1, 1, 1, 2)
    along = (away * ahead).sum(-1) / palm
    across = (away[..., 1] * ahead[..., 0] - away[..., 0] * ahead[..., 1]) / palm
    return along, across


def _arm(
    hands: Hands, regions: Tensor, along: Tensor, across: Tensor, below: Tensor, random: GeneratorSource
) -> tuple[Tensor, Arm]:
    """Continue the arm bare, end it or put it into a sleeve; a sleeve is labelled background, a bare arm unknown."""
    digits = (regions >= FIRST_DIGIT) & (regions != IGNORE)
    start = random.uniform(-0.02, 0.9).view(-1, 1, 1)
    sleeved, ending = random.chance(SLEEVED).view(-1, 1, 1), random.chance(ENDING).view(-1, 1, 1)
    half = (
        random.uniform(0.4, 0.75).view(-1, 1, 1) + random.uniform(-0.08, 0.35).view(-1, 1, 1) * (along - start)
    ).clamp(0.35, 1.3)
    bow = random.uniform(-0.12, 0.12).view(-1, 1, 1) * (across / half).square()
    sleeve = sleeved & (along > start + bow) & (across.abs() < half) & ~digits
    ends = ending & (along > random.uniform(0.1, 0.9).view(-1, 1, 1))
    arm = (regions == PALM) & ((along > ARM) | below)
    regions = torch.where(arm, torch.full_like(regions, IGNORE), regions)
    regions = torch.where(sleeve | ends, torch.zeros_like(regions), regions)
    cover = (arm & ~ends).float().unsqueeze(1)
    cloth = _cloth(along, across, start, half, random)
    return regions, Arm(cover, soften((sleeve & ~ends).float().unsqueeze(1)), cloth)


def _cloth(along: Tensor, across: Tensor, start: Tensor, half: Tensor, random: GeneratorSource) -> Tensor:
    """Paint a sleeve in one colour with folds and darker sides, and some with stripes or a cuff."""
    n, device = random.n, random.device
    grey = random.uniform(0.03, 0.95).view(-1, 1, 1, 1)
    tint = 0.45 * (torch.rand(n, 3, 1, 1, generator=random.generator, device=device) - 0.5)
    wave = torch.sin(along * random.uniform(8, 90).view(-1, 1, 1) + across * random.uniform(-30, 30).view(-1, 1, 1))
    folds = torch.randn(n, 1, 9, 9, generator=random.generator, device=device)
    folds = F.interpolate(folds, size=along.shape[-2:], mode="bicubic")[:, 0]
    light = 1 - 0.3 * (across / half).square() + random.uniform(0.0, 0.15).view(-1, 1, 1) * folds
    light = light + random.uniform(0.0, 0.18).view(-1, 1, 1) * wave * random.chance(0.4).view(-1, 1, 1)
    cuff = (along < start + random.uniform(0.03, 0.2).view(-1, 1, 1)) & random.chance(0.5).view(-1, 1, 1)
    light = light * torch.where(cuff, random.uniform(0.6, 1.5).view(-1, 1, 1), torch.ones_like(light))
    return ((grey + tint).clamp(0, 1) * light.unsqueeze(1)).clamp(0, 1)


def _carry_labels(hands: Hands, view: View) -> None:
    """Move the joints and rotate the direction; digits that the frame cuts off become unknown."""
    inverse = torch.linalg.inv(view.matrix)
    away = hands.joints - view.origin.unsqueeze(1)
    hands.joints = torch.einsum("nij,nkj->nki", inverse, away) + view.to.unsqueeze(1)
    up = torch.einsum("nij,nj->ni", inverse, hands.up)
    hands.up = up / up.norm(dim=1, keepdim=True).clamp(min=1e-6)
    beyond = ((hands.joints < -0.01) | (hands.joints > 1.01)).any(-1)[:, 1:].view(-1, 5, 4)
    lost = beyond[:, :, 1:].any(-1)
    hands.states = torch.where(lost & (hands.states == NORMAL), torch.full_like(hands.states, -1), hands.states)
    cut = lost.any(1)
    hands.whole = torch.where(cut & (hands.whole == 1), torch.full_like(hands.whole, torch.nan), hands.whole)
    hands.extra = torch.where(cut & (hands.extra == NO_EXTRA), torch.full_like(hands.extra, -1), hands.extra)
    hands.doubts[:, CUT] = torch.where(cut, 1.0, hands.doubts[:, CUT])


def _ghosts(hands: Hands, random: GeneratorSource) -> Tensor:
    """Make a digit of 4 % of the correct hands half transparent; return the opacity, (n, 1, S, S)."""
    ghost = random.chance(GHOSTS) & (hands.whole == 1)
    digit = random.choice(0, 5)
    mine = hands.digit_mask(digit) & ghost.view(-1, 1, 1)
    rows = torch.arange(len(hands), device=random.device)
    hands.states[rows, digit] = torch.where(ghost, GHOST, hands.states[rows, digit])
    hands.whole = torch.where(ghost, torch.zeros_like(hands.whole), hands.whole)
    opacity = random.uniform(0.3, 0.65).view(-1, 1, 1)
    return soften(torch.where(mine, opacity, torch.ones_like(opacity)).unsqueeze(1))


def _edged(alpha: Tensor, random: GeneratorSource) -> Tensor:
    """Shrink 70 % of the masks, to remove traces of the old background at the edge, and soften 80 %."""
    thin = 1 - F.max_pool2d(1 - alpha, 3, 1, 1)
    alpha = torch.where(random.chance(0.7).view(-1, 1, 1, 1), thin, alpha)
    return torch.where(random.chance(0.8).view(-1, 1, 1, 1), soften(alpha), alpha)


def _skin_tones(skin: Tensor, random: GeneratorSource) -> Tensor:
    """Change the skin of 55 % of the hands: darker, lighter, redder, yellower or paler."""
    n = len(skin)
    gamma = torch.exp(random.uniform(-0.5, 0.8)).view(-1, 1, 1, 1)
    hue = 1 + 0.14 * (2 * torch.rand(n, 3, 1, 1, generator=random.generator, device=random.device) - 1)
    other = (skin.clamp(1e-3, 1) ** gamma * hue * random.uniform(0.7, 1.1).view(-1, 1, 1, 1)).clamp(0, 1)
    grey = other.mean(1, keepdim=True)
    other = grey + (other - grey) * random.uniform(0.4, 1.6).view(-1, 1, 1, 1)
    return torch.where(random.chance(0.55).view(-1, 1, 1, 1), other.clamp(0, 1), skin)


def _flat(hands: Hands, skin: Tensor, alpha: Tensor, random: GeneratorSource) -> Tensor:
    """Fill the outline of 2.5 % of the hands with one colour; these are labelled as no hands."""
    flat = random.chance(FLAT)
    anything = torch.rand(len(skin), 3, 1, 1, generator=random.generator, device=random.device)
    mean = ((skin * alpha).sum((2, 3)) / alpha.sum((2, 3)).clamp(min=1))[..., None, None]
    colour = torch.where(random.chance(0.6).view(-1, 1, 1, 1), mean, anything)
    hands.whole[flat], hands.hand[flat] = 0.0, 0.0
    hands.states[flat], hands.extra[flat], hands.regions[flat] = -1, -1, IGNORE
    hands.joints[flat], hands.doubts[flat] = torch.nan, torch.nan
    return torch.where(flat.view(-1, 1, 1, 1), colour.expand_as(skin), skin)


def _grounds(grounds: Tensor, skin: Tensor, alpha: Tensor, random: GeneratorSource) -> Tensor:
    """Draw a background per picture: part of a stored one, two halves, plain, or in the colours of the skin."""
    size, generator, device = skin.shape[-1], random.generator, random.device
    first, second = (_part(grounds, size, random) for _ in range(2))
    line = _slope(first, random)
    edge = torch.sigmoid(line * random.uniform(8, 200).view(-1, 1, 1, 1))
    ground = torch.where(random.chance(SECOND).view(-1, 1, 1, 1), first.lerp(second, edge), first)
    blur = F.interpolate(F.avg_pool2d(ground, 8), size=(size, size), mode="bilinear")
    blur = ground.lerp(blur, random.uniform(0.5, 1).view(-1, 1, 1, 1))
    ground = torch.where(random.chance(SOFT).view(-1, 1, 1, 1), blur, ground)
    mean = ((skin * alpha).sum((2, 3)) / alpha.sum((2, 3)).clamp(min=1))[..., None, None]
    like = mean * (1 + random.uniform(0.2, 1.2).view(-1, 1, 1, 1) * (ground.mean(1, keepdim=True) - 0.5))
    ground = torch.where(random.chance(SKIN_LIKE).view(-1, 1, 1, 1), like, ground)
    colour = torch.rand(len(skin), 3, 1, 1, generator=generator, device=device)
    grey = random.uniform(0, 1).view(-1, 1, 1, 1)
    plain = grey.lerp(colour, random.uniform(0, 0.5).view(-1, 1, 1, 1))
    plain = plain * (1 + random.uniform(0, 0.4).view(-1, 1, 1, 1) * line)
    plain = torch.where(random.chance(0.25).view(-1, 1, 1, 1), torch.ones_like(plain), plain)
    ground = torch.where(random.chance(PLAIN).view(-1, 1, 1, 1), plain.expand_as(ground), ground)
    contrast = torch.exp(random.uniform(-0.7, 0.3)).view(-1, 1, 1, 1)
    middle = ground.mean((2, 3), keepdim=True)
    hue = 1 + 0.25 * (2 * torch.rand(len(skin), 3, 1, 1, generator=generator, device=device) - 1)
    changed = (middle + (ground - middle) * contrast) * hue * torch.exp(random.uniform(-0.6, 0.3)).view(-1, 1, 1, 1)
    return torch.where(random.chance(0.6).view(-1, 1, 1, 1), changed, ground).clamp(0, 1)


def _part(grounds: Tensor, size: int, random: GeneratorSource) -> Tensor:
    """Cut rotated squares out of stored backgrounds, (n, 3, size, size)."""
    some = grounds[random.choice(0, len(grounds))].float() / 255
    zoom, turn = random.uniform(0.25, 0.7), random.uniform(-math.pi, math.pi)
    turn = torch.where(random.chance(0.5), turn.sign() * 0.0, turn)
    cos, sin = zoom * torch.cos(turn), zoom * torch.sin(turn)
    shift = torch.stack([random.uniform(-1, 1), random.uniform(-1, 1)], 1) * (1 - 1.2 * zoom).clamp(min=0).unsqueeze(1)
    theta = torch.stack([torch.stack([cos, -sin, shift[:, 0]], 1), torch.stack([sin, cos, shift[:, 1]], 1)], 1)
    grid = F.affine_grid(theta, [len(some), 3, size, size], align_corners=False)
    return F.grid_sample(some, grid, padding_mode="reflection", align_corners=False)


def _slope(images: Tensor, random: GeneratorSource) -> Tensor:
    """Return a plane that rises in a random direction, (n, 1, S, S), about -0.7..0.7."""
    angle, size = random.uniform(-math.pi, math.pi).view(-1, 1, 1), images.shape[-1]
    away = pixel_grid(images) / size - 0.5
    plane = torch.cos(angle) * away[..., 0] + torch.sin(angle) * away[..., 1] + random.uniform(-0.3, 0.3).view(-1, 1, 1)
    return plane.unsqueeze(1)


def _shadows(ground: Tensor, cover: Tensor, random: GeneratorSource) -> Tensor:
    """Add the hand's shadow to 50 % of the backgrounds."""
    shift = torch.stack([random.uniform(-0.14, 0.14), random.uniform(-0.14, 0.14)], 1)
    theta = torch.eye(2, 3, device=ground.device).repeat(len(ground), 1, 1)
    theta[:, :, 2] = shift
    moved = F.grid_sample(cover, F.affine_grid(theta, list(cover.shape), align_corners=False), align_corners=False)
    for _ in range(2):
        moved = F.avg_pool2d(moved, 9, 1, 4)
    dark = random.uniform(0.1, 0.65) * random.chance(SHADOWED)
    return ground * (1 - dark.view(-1, 1, 1, 1) * moved)


def _cartoons(hands: Hands, images: Tensor, alpha: Tensor, random: GeneratorSource) -> Tensor:
    """Turn 5 % of the pictures into drawings: lines and flat colours, or inverted grey; correctness becomes unknown."""
    drawn = random.chance(CARTOONS) & (hands.hand == 1)
    label = hands.regions.float().unsqueeze(1) * alpha.gt(0.5)
    border = F.max_pool2d(label, 3, 1, 1) + F.max_pool2d(-label, 3, 1, 1)
    lines = soften((border > 0).float())
    mean = ((images * alpha).sum((2, 3)) / alpha.sum((2, 3)).clamp(min=1))[..., None, None]
    colour = torch.rand(len(images), 3, 1, 1, generator=random.generator, device=random.device)
    white = random.chance(0.5).view(-1, 1, 1, 1)
    paper = torch.where(white, torch.ones_like(images), images.mean((2, 3), keepdim=True).expand_as(images))
    skin = torch.where(random.chance(0.4).view(-1, 1, 1, 1), mean, colour)
    skin = torch.where(random.chance(0.4).view(-1, 1, 1, 1), torch.ones_like(skin), skin)
    flat = paper.lerp(skin.expand_as(images), alpha) * (1 - 0.9 * lines)
    inverted = (1 - images.mean(1, keepdim=True)).expand_as(images)
    pictures = torch.where(random.chance(0.25).view(-1, 1, 1, 1), inverted, flat)
    hands.doubts[:, DRAWN] = torch.where(drawn, 1.0, hands.doubts[:, DRAWN])
    hands.whole[drawn], hands.hand[drawn] = torch.nan, torch.nan
    hands.states[drawn], hands.extra[drawn] = -1, -1
    return torch.where(drawn.view(-1, 1, 1, 1), pictures, images)


def _lit(images: Tensor, random: GeneratorSource) -> Tensor:
    """Light the whole scene: from a random side, in a random colour, dim or bright."""
    side = 1 + random.uniform(0, 0.9).view(-1, 1, 1, 1) * random.chance(0.4).view(-1, 1, 1, 1) * _slope(images, random)
    colour = 1 + 0.28 * (2 * torch.rand(len(images), 3, 1, 1, generator=random.generator, device=random.device) - 1)
    colour = torch.where(random.chance(0.25).view(-1, 1, 1, 1), colour, torch.ones_like(colour))
    dim = torch.where(random.chance(0.3), random.uniform(0.45, 1.15), torch.ones(random.n, device=random.device))
    return (images * side * colour * dim.view(-1, 1, 1, 1)).clamp(0, 1)
