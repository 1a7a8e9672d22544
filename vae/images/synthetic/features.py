"""Tabulate creases, joints and nails along the digits, and draw the lines of the palm and of the back."""

from __future__ import annotations

import torch
from torch import Tensor

from vae.images.synthetic.look import Look
from vae.images.synthetic.shape import Surface, knots
from vae.images.synthetic.skeleton import INDEX, PINKY, THUMB, Skeleton

LINE = 0.6
"""mm, breadth (standard deviation) of a crease; a coarser picture spreads it and keeps its total."""

# Offsets in mm from the joint and depths of the creases there: first joint, then the others.
DORSAL = (((-3.6, 0.45), (-0.4, 0.7), (3.0, 0.5)), ((-1.2, 0.4), (1.6, 0.35)))
PALMAR = (((-1.4, 0.65), (1.4, 0.65)), ((0.0, 0.75),))

# Lines of the palm as parabolas, in mm: start, stop, a, b, c of y = a + b t + c t^2, t = x - start.
HEART_LINE = (-14.0, 38.0, 86.0, -0.75, 0.0065)
HEAD_LINE = (-36.0, 22.0, 69.0, 0.02, -0.0075)
# The life line is an arc of a circle.
LIFE_CENTRE, LIFE_RADIUS = (-37.0, 32.0), 34.0


def crease_table(skeleton: Skeleton, look: Look, pitch: Tensor) -> Tensor:
    """Tabulate the darkness of creases, (n, 6, KNOTS) float64, 0 where there is none.

    Args:
        skeleton: n hands.
        look: Look of these hands.
        pitch: (n,) float64, mm between sampling points.
    """
    along = knots(skeleton)
    joints = skeleton.bones.cumsum(-1)
    palmar = look.palmar.view(-1, 1, 1)
    total = torch.zeros_like(along)
    for joint in range(3):
        exists = (skeleton.bones[..., joint + 1] > 0).unsqueeze(-1)
        kind = 0 if joint == 0 else 1
        place = along - joints[..., joint, None]
        lines = torch.where(palmar, _lines(place, PALMAR[kind], pitch), _lines(place, DORSAL[kind], pitch))
        total = total + lines * exists
    fingers = torch.arange(6).view(1, 6, 1) != THUMB
    base = _lines(along - (skeleton.web + 1.5).unsqueeze(-1), ((0.0, 0.65),), pitch)
    return (total + base * (palmar & fingers)) * look.wrinkles.view(-1, 1, 1)


def joint_table(skeleton: Skeleton, look: Look) -> Tensor:
    """Tabulate the redness of joints and finger tips, (n, 6, KNOTS) float64."""
    along = knots(skeleton)
    joints = skeleton.bones.cumsum(-1)
    total = torch.exp(-((along - skeleton.length.unsqueeze(-1)) / 9.0).square()) * 0.7
    for joint in range(3):
        exists = (skeleton.bones[..., joint + 1] > 0).unsqueeze(-1)
        total = total + torch.exp(-((along - joints[..., joint, None]) / 6.5).square()) * exists
    return total * look.redness.view(-1, 1, 1)


def nail_table(skeleton: Skeleton, look: Look) -> Tensor:
    """Tabulate the half breadth of the nails, mm, (n, 6, KNOTS) float64: negative where there is no nail."""
    along = knots(skeleton)
    tip = skeleton.thickness[..., 1, None]
    half = 0.80 * tip
    middle = skeleton.length.unsqueeze(-1) - 1.02 * tip
    square = 1.0 - ((along - middle) / half).square() ** 1.5
    breadth = 0.70 * tip * square.clamp(min=0.0).sqrt()
    seen = (square > 0) & ~look.palmar.view(-1, 1, 1)
    return torch.where(seen, breadth, torch.full_like(breadth, -9.0))


def _lines(place: Tensor, lines: tuple[tuple[float, float], ...], pitch: Tensor) -> Tensor:
    breadth = torch.clamp(0.7 * pitch, min=LINE).view(-1, 1, 1)
    total = torch.zeros_like(place)
    for offset, depth in lines:
        total = total + depth * torch.exp(-0.5 * ((place - offset) / breadth).square())
    return total * LINE / breadth


def palm_lines(surface: Surface, unevenness: Tensor, breadth: Tensor) -> Tensor:
    """Draw the three lines of the palm, (n, S, S) float32 in [0, 1].

    Args:
        surface: The skin.
        unevenness: (n, S, S) float32, smooth and about standard normal: it bends and fades the lines.
        breadth: (n, 1, 1) float32, mm, standard deviation of the lines.
    """
    x, y = surface.x + 0.9 * unevenness, surface.y + 0.9 * unevenness
    heart, head = (_parabola(x, y, line, breadth) for line in (HEART_LINE, HEAD_LINE))
    dx, dy = x - LIFE_CENTRE[0], y - LIFE_CENTRE[1]
    ring = dx.square().add_(dy.square()).sqrt_().sub_(LIFE_RADIUS)
    inside = ((dx + 4.0) / 8.0).clamp_(0.0, 1.0).mul_(((dy + 34.0) / 12.0).clamp_(0.0, 1.0))
    life = _bell(ring, breadth).mul_(inside)
    fade = (0.8 + 0.35 * unevenness).clamp_(0.25, 1.0)
    return torch.maximum(torch.maximum(heart.mul_(0.9), head.mul_(0.9)), life).mul_(fade)


def _parabola(x: Tensor, y: Tensor, line: tuple[float, ...], breadth: Tensor) -> Tensor:
    start, stop, a, b, c = line
    t = x - start
    curve = t.mul(c).add_(b).mul_(t).add_(a)
    ends = (t / 8.0).clamp_(0.0, 1.0).mul_(((stop - x) / 8.0).clamp_(0.0, 1.0))
    return _bell(curve.sub_(y), breadth).mul_(ends)


def _bell(distance: Tensor, breadth: Tensor) -> Tensor:
    """Return 1 at 0, falling to 0 smoothly at twice the breadth: (1 - (d / 2b)^2)^2."""
    near = distance.div_(2.0 * breadth).square_().neg_().add_(1.0).clamp_(min=0.0)
    return near.square_()


def knuckles(surface: Surface, skeleton: Skeleton) -> Tensor:
    """Mark the knuckles on the back of the hand, (n, S, S) float32 in [0, 1]."""
    total = torch.zeros_like(surface.x)
    for slot in range(INDEX, PINKY + 1):
        spot = skeleton.knuckle[:, slot].to(total.device, torch.float32)
        dx, dy = surface.x - spot[:, :1, None], surface.y - spot[:, 1:, None]
        far = dx.square_().div_(49.0).add_(dy.square_().div_(81.0))
        total = torch.maximum(total, far.neg_().add_(1.0).clamp_(min=0.0))
    return total.square_()


def tendons(surface: Surface, skeleton: Skeleton) -> Tensor:
    """Mark the tendons from the knuckles to the wrist, (n, S, S) float32 in [0, 1]."""
    total = torch.zeros_like(surface.x)
    for slot in range(INDEX, PINKY + 1):
        root, knuckle = (
            spot[:, slot].to(total.device, torch.float32)[..., None, None] for spot in (skeleton.root, skeleton.knuckle)
        )
        share = (surface.y - root[:, 1]) / (knuckle[:, 1] - root[:, 1])
        aside = surface.x - root[:, 0] - share * (knuckle[:, 0] - root[:, 0])
        ends = (share - share.square()).mul_(4.0).clamp_(min=0.0)
        total = torch.maximum(total, _bell(aside, torch.full_like(root[:, 0], 3.2)).mul_(ends))
    return total
