"""Draw rings, sleeves and watches, which hide skin but are no defects of the hand."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vae.images.random_source import RandomSource
from vae.images.synthetic.shape import Surface
from vae.images.synthetic.skeleton import INDEX, Skeleton, heading

NOWHERE = 1e3
"""mm, signed distance to cloth if there is none."""

METALS = ((0.86, 0.68, 0.36), (0.78, 0.78, 0.80))


@dataclass
class Outfit:
    """What n hands wear.

    Attributes:
        ring: (n,) int64, slot of the finger with a ring, -1 for none.
        ring_place: (n,) float64, mm from the knuckle.
        ring_breadth: (n,) float64, mm.
        metal: (n, 3) float64, sRGB in [0, 1].
        cloth: (n,) bool, whether there is a sleeve or a watch strap.
        cloth_start: (n,) float64, mm from the wrist down the forearm (negative: over the hand).
        cloth_stop: (n,) float64, mm.
        colour: (n, 3) float64, sRGB in [0, 1], of the cloth.
    """

    ring: Tensor
    ring_place: Tensor
    ring_breadth: Tensor
    metal: Tensor
    cloth: Tensor
    cloth_start: Tensor
    cloth_stop: Tensor
    colour: Tensor


def draw_outfit(random: RandomSource, rings: bool, sleeves: bool) -> Outfit:
    """Draw rings and sleeves, each for about half of the hands, if requested."""
    ring = torch.where(random.chance(0.5 * rings), INDEX + random.choice(0, 4), -1)
    cloth, watch = random.chance(0.5 * sleeves), random.chance(0.3)
    start = random.uniform(-12.0, 4.0)
    return Outfit(
        ring=ring,
        ring_place=random.uniform(24.0, 29.0),
        ring_breadth=random.uniform(2.0, 4.0),
        metal=torch.tensor(METALS).double()[random.choice(0, 2)],
        cloth=cloth,
        cloth_start=start,
        cloth_stop=start + torch.where(watch, 14.0, 300.0).double(),
        colour=torch.where(watch.unsqueeze(-1), 0.3, 0.85) * random.columns(0.05, 1.0, 3),
    )


def cloth_distance(outfit: Outfit, skeleton: Skeleton, surface: Surface) -> Tensor:
    """Return the signed distance to sleeves and straps, (n, S, S) float32 mm."""
    device = surface.x.device
    down = -heading(skeleton.forearm[:, 0])
    x, y, start, stop, breadth = (
        values.to(device, torch.float32).view(-1, 1, 1)
        for values in (
            down[:, 0],
            down[:, 1],
            torch.where(outfit.cloth, outfit.cloth_start, NOWHERE),
            outfit.cloth_stop,
            skeleton.wrist[:, 0] * 1.12 + 2.5,
        )
    )
    along, across = surface.x * x + surface.y * y, surface.x * y - surface.y * x
    return torch.maximum(torch.maximum(start - along, along - stop), across.abs_() - breadth)


def ring_cover(outfit: Outfit, surface: Surface, step: Tensor) -> Tensor:
    """Return how much of every point is ring, (n, S, S) float32 in [0, 1]; `step` is (n, 1, 1), mm."""
    slot, place, breadth = (
        values.to(step.device).view(-1, 1, 1)
        for values in (outfit.ring, outfit.ring_place.float(), outfit.ring_breadth.float())
    )
    inside = (breadth / 2 - (surface.along - place).abs()) / step + 0.5
    on_finger = (surface.digit == slot) & (surface.nearest < 0.5)
    return inside.clamp_(0.0, 1.0) * on_finger


def wear(skin: Tensor, outfit: Outfit, skeleton: Skeleton, surface: Surface, step: Tensor, light: Tensor) -> Tensor:
    """Draw rings and cloth over the skin, and update the surface.

    Args:
        skin: (n, 3, S, S) float32.
        outfit: Outfits of n hands.
        skeleton: Skeletons of these hands.
        surface: Surface of these hands; `cloth` is set, and `outside` is changed to include the cloth.
        step: (n, 1, 1) float32, mm between sampling points.
        light: (n, S, S) float32, light on the skin.

    Returns:
        (n, 3, S, S) float32.
    """
    lit = light.unsqueeze(1)
    metal, colour = (v.to(skin.device, torch.float32)[..., None, None] for v in (outfit.metal, outfit.colour))
    skin = skin.lerp(metal * (lit * 2.2 - 1.0), ring_cover(outfit, surface, step).unsqueeze(1))
    surface.cloth = cloth_distance(outfit, skeleton, surface)
    surface.outside = torch.minimum(surface.outside, surface.cloth)
    cover = (0.5 - surface.cloth / step).clamp_(0.0, 1.0).unsqueeze(1)
    return skin.lerp(colour.expand_as(skin), cover)
