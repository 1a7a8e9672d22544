"""Skin tone, light and camera of a batch of pictures."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vae.images.random_source import RandomSource

LIGHTEST, DARKEST = 68.0, -58.0
"""Individual typology angles, degrees, well into the groups at both ends of the human range: dark skin lies
below -30, very light skin above 55 (Del Bino & Bernerd 2013)."""


@dataclass
class Look:
    """How n hands look; (n,) float64 except where noted.

    Attributes:
        palmar: bool, whether the palm is visible rather than the back.
        tone: Individual typology angle of the skin on the back of the hand, degrees.
        skin: (n, 3), sRGB in [0, 1], of the visible skin.
        nail: (n, 3), sRGB in [0, 1].
        exposure: Gain on the light; above 1 the background is overexposed, as in the photographs.
        balance: (n, 3), gain of the colour channels.
        light: (n, 3), unit vector towards the light: right, down, out of the picture.
        ambient: Share of the light that comes from everywhere.
        shadow: Depth of the shadow beside the hand, 0..1.
        shadow_width: mm.
        vignette: Loss of light in the corners, 0..1.
        wrinkles: Depth of creases and wrinkles, about 1.
        redness: Redness of the joints, about 1.
        mottle: Unevenness of the skin, about 0.02, relative.
        veins: Visibility of veins, about 0..1.
        tendons: Height of the tendons on the back of the hand, mm.
        polish: Strength of nail contrast, about 1.
        grain: Standard deviation of the sensor noise, in grey levels of 255.
        softness: Weight of the neighbouring pixels in the final blur, 0..0.2.
    """

    palmar: Tensor
    tone: Tensor
    skin: Tensor
    nail: Tensor
    exposure: Tensor
    balance: Tensor
    light: Tensor
    ambient: Tensor
    shadow: Tensor
    shadow_width: Tensor
    vignette: Tensor
    wrinkles: Tensor
    redness: Tensor
    mottle: Tensor
    veins: Tensor
    tendons: Tensor
    polish: Tensor
    grain: Tensor
    softness: Tensor


def draw_look(random: RandomSource) -> Look:
    """Draw skin, light and camera."""
    palmar = random.chance(0.5)
    tone = random.uniform(DARKEST, LIGHTEST)
    lab = skin_lab(tone, random.normal(0.0, 1.0)[:, 0])
    lab = torch.where(palmar.unsqueeze(-1), _palmar_lab(lab, random.uniform(0.35, 0.65)), lab)
    vivid = random.columns(1.0, 1.42)
    skin = lab_to_srgb(torch.cat((lab[:, :1], lab[:, 1:] * vivid), -1))
    pink = torch.tensor([0.93, 0.74, 0.69]).double()
    turn, height = random.uniform(0.0, 6.2832), random.uniform(0.35, 0.75)
    light = torch.stack((torch.cos(turn) * height, torch.sin(turn) * height, torch.ones_like(turn)), -1)
    return Look(
        palmar=palmar,
        tone=tone,
        skin=skin,
        nail=skin + (pink - skin) * random.columns(0.35, 0.6),
        exposure=random.uniform(1.16, 1.42),
        balance=1.0 + random.normal(0.0, 1.0, 3) * torch.tensor([0.015, 0.008, 0.02]).double(),
        light=light / light.norm(dim=-1, keepdim=True),
        ambient=random.uniform(0.35, 0.65),
        shadow=random.uniform(0.02, 0.3),
        shadow_width=random.uniform(4.0, 16.0),
        vignette=random.uniform(0.0, 0.12),
        wrinkles=random.uniform(0.55, 1.25),
        redness=random.uniform(0.5, 1.3),
        mottle=random.uniform(0.008, 0.024),
        veins=random.uniform(0.0, 0.8),
        tendons=random.uniform(0.0, 1.0),
        polish=random.uniform(0.7, 1.0),
        grain=random.uniform(0.6, 2.6),
        softness=random.uniform(0.02, 0.14),
    )


def skin_lab(tone: Tensor, hue: Tensor) -> Tensor:
    """Place a skin tone on the curve of human skin in CIELAB.

    Args:
        tone: (n,) float64, individual typology angle, atan((L* - 50) / b*), degrees.
        hue: (n,) float64, standard normal, personal redness.

    Returns:
        (n, 3) float64, L*, a*, b*: fitted by eye to measurements of people, in which b* is largest for tanned
        skin and falls towards both ends.
    """
    away = tone - 14.0
    yellow = 20.0 - torch.where(away > 0, 0.0033, 0.0019) * away.square()
    light = 50.0 + yellow * torch.tan(torch.deg2rad(tone))
    red = 11.5 - 0.0012 * (tone - 5.0).square() + 1.0 * hue
    return torch.stack((light, red, yellow), -1)


def _palmar_lab(lab: Tensor, share: Tensor) -> Tensor:
    """Lighten towards the tone of the palm, which varies less between people than the back of the hand."""
    palm = torch.tensor([69.0, 12.0, 10.0]).double()
    return lab + share.unsqueeze(-1) * (palm - lab)


def lab_to_srgb(lab: Tensor) -> Tensor:
    """Convert (n, 3) CIELAB (D65) to sRGB in [0, 1], gamma encoded."""
    fy = (lab[:, 0] + 16.0) / 116.0
    f = torch.stack((fy + lab[:, 1] / 500.0, fy, fy - lab[:, 2] / 200.0), -1)
    xyz = torch.where(f > 6 / 29, f**3, (f - 4 / 29) * 108 / 841) * torch.tensor([0.9505, 1.0, 1.089]).double()
    matrix = torch.tensor([[3.2406, -1.5372, -0.4986], [-0.9689, 1.8758, 0.0415], [0.0557, -0.204, 1.057]])
    linear = (xyz @ matrix.double().T).clamp(0.0, 1.0)
    return torch.where(linear > 0.0031308, 1.055 * linear ** (1 / 2.4) - 0.055, 12.92 * linear)
