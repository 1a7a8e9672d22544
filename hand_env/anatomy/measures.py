"""Measure what needs no network: skin tone, clutter and sharpness."""

import torch
import torch.nn.functional as F
from torch import Tensor

from vae.images.crop import LUMA
from vae.images.labelled.vocabulary import FIRST_DIGIT, PALM

STEEPEST = 0.01  # share of the pixels: those at the sharpest edges
LARGEST = 128  # side, pixels; larger pictures are measured at this size
FLAT = 1e-12  # least square of a slope, of the colour's range per two pixels
SURE = 0.8  # probability above which a pixel counts as a digit or as background


def skin_colour(images: Tensor, regions: Tensor) -> Tensor:
    """Measure the mean colour of the digits, because a sleeve does not cover them.

    Args:
        images: (n, 3, S, S) float in [0, 1], sRGB.
        regions: (n, 8, h, w) logits of `REGIONS`.

    Returns:
        (n, 3) float32, CIELAB under D65.
    """
    share = regions.softmax(1)
    digits = share[:, FIRST_DIGIT : FIRST_DIGIT + 5].sum(1, keepdim=True)  # (n, 1, h, w)
    weight = (digits - SURE).clamp(min=0) + 1e-3 * (digits + share[:, PALM : PALM + 1]).square() + 1e-6
    small = F.interpolate(images, size=regions.shape[-2:], mode="area")
    return lab((small * weight).sum((2, 3)) / weight.sum((2, 3)))


def typology_angle(colour: Tensor) -> Tensor:
    """Return individual typology angles, degrees: atan((L* - 50) / b*), larger for lighter skin.

    Args:
        colour: (n, 3), CIELAB.

    Source: Chardon, Cretois & Hourseau 1991.
    """
    return torch.rad2deg(torch.atan2(colour[:, 0] - 50, colour[:, 2].abs().clamp(min=1e-3)))


def hue_angle(colour: Tensor) -> Tensor:
    """Return hue angles in CIELAB, degrees in -180..180: 0 is red, 90 is yellow; skin lies between."""
    return torch.rad2deg(torch.atan2(colour[:, 2], colour[:, 1]))


def lab(colour: Tensor) -> Tensor:
    """Convert (n, 3) sRGB in [0, 1] to CIELAB (D65)."""
    linear = torch.where(colour > 0.04045, ((colour + 0.055) / 1.055).clamp(min=0) ** 2.4, colour / 12.92)
    matrix = colour.new_tensor([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = linear @ matrix.T / colour.new_tensor([0.9505, 1.0, 1.089])
    f = torch.where(xyz > (6 / 29) ** 3, xyz.clamp(min=1e-6) ** (1 / 3), xyz * 841 / 108 + 4 / 29)
    x, y, z = f.unbind(1)
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], 1)


def clutter(images: Tensor, regions: Tensor) -> Tensor:
    """Measure how much the background varies: its mean deviation from a blurred copy.

    Args:
        images: (n, 3, S, S) float in [0, 1].
        regions: (n, 8, h, w) logits of `REGIONS`.

    Returns:
        (n,) float32, about 0.01 for a plain wall, 0.1 for a desk full of objects.
    """
    ground = (regions.softmax(1)[:, :1] > SURE).float()  # (n, 1, h, w)
    small = F.interpolate(images, size=regions.shape[-2:], mode="area")
    weight = F.avg_pool2d(ground, 5, 1, 2).clamp(min=1e-3)
    blurred = F.avg_pool2d(small * ground, 5, 1, 2) / weight
    away = ((small - blurred).abs().mean(1, keepdim=True) * ground).sum((1, 2, 3))
    return away / ground.sum((1, 2, 3)).clamp(min=1)


def sharpness(images: Tensor) -> Tensor:
    """Measure how steep the steepest edges are, relative to the contrast of the picture.

    Args:
        images: (n, 3, S, S) float in [0, 1].

    Returns:
        (n,) float32, fraction of the contrast per pixel; larger is sharper. Compare only pictures of one size.
    """
    if images.shape[-1] > LARGEST:
        images = F.interpolate(images, size=(LARGEST, LARGEST), mode="bilinear", antialias=True)
    light = torch.einsum("nchw,c->nhw", images, images.new_tensor(LUMA))
    right = light[:, 1:-1, 2:] - light[:, 1:-1, :-2]
    down = light[:, 2:, 1:-1] - light[:, :-2, 1:-1]
    squares = (right.square() + down.square()).flatten(1)
    steepest = squares.topk(max(4, round(STEEPEST * squares.shape[1])), 1).values
    few = (steepest.clamp(min=FLAT).sqrt() / 2).mean(1)  # the root has no gradient at 0
    order = light.flatten(1).sort(1).values
    low, high = (order[:, round(share * (order.shape[1] - 1))] for share in (0.03, 0.97))
    return few / (high - low).clamp(min=0.05)
