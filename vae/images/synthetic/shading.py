"""Colour the surface: skin, nails, creases, light, background and shadow."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from vae.images.synthetic.features import crease_table, joint_table, knuckles, nail_table, palm_lines, tendons
from vae.images.synthetic.look import Look
from vae.images.synthetic.outfit import Outfit, wear
from vae.images.synthetic.shape import Surface
from vae.images.synthetic.skeleton import Skeleton

# How strongly a crease darkens, and redness tints, the channels red, green, blue.
CREASE_TINT = (0.38, 0.46, 0.50)
RED_TINT = (0.04, 0.13, 0.13)
# Light that passes through skin loses more green and blue, so shaded skin is redder.
DEPTH_TINT = (1.0, 1.3, 1.5)
GROUND = (0.965, 0.97, 0.975)


def paint(surface: Surface, skeleton: Skeleton, look: Look, outfit: Outfit, texture: Tensor, pitch: Tensor) -> Tensor:
    """Render n hands.

    Args:
        surface: The skin on S x S points.
        skeleton: n posed hands.
        look: Look of these hands.
        outfit: Outfits of these hands.
        texture: (n, 1, GRID, GRID) float32, random nodes of the unevenness of the skin.
        pitch: (n,) float64, mm between sampling points.

    Returns:
        (n, 3, S, S) float32, about [0, 1.2], gamma encoded and without noise.
    """
    points = surface.x.shape[-1]
    step = surface.per_picture(pitch)
    unevenness = functional.interpolate(texture, size=points, mode="bicubic", align_corners=True)[:, 0]
    dark, red, nail = _marks(surface, skeleton, look, unevenness, pitch)
    relief = surface.height + tendons(surface, skeleton) * surface.per_picture(look.tendons * ~look.palmar)
    slope_x, slope_y = _slopes(relief, step)
    light = _light(slope_x, slope_y, look, surface)
    skin = _skin(look, surface, dark, red, nail, light * (1.0 + surface.per_picture(look.mottle) * unevenness))
    if bool((outfit.cloth | (outfit.ring >= 0)).any()):
        skin = wear(skin, outfit, skeleton, surface, step, light)
    ground = _ground(surface, look)
    cover = (0.5 - surface.outside / step).clamp_(0.0, 1.0).unsqueeze(1)
    exposure = (look.exposure.unsqueeze(-1) * look.balance).to(skin.device, torch.float32)[..., None, None]
    return (ground.unsqueeze(1) * ground.new_tensor(GROUND).view(1, 3, 1, 1)).lerp(skin, cover).mul_(exposure)


def _marks(
    surface: Surface, skeleton: Skeleton, look: Look, unevenness: Tensor, pitch: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the darkness, the redness and the share of nail at every point, (n, S, S) each."""
    on_digit = (1.0 - surface.nearest).clamp_(0.0, 1.0)
    middle = (1.0 - (surface.across / surface.radius.clamp(min=1.0)).square_()).clamp_(min=0.0)
    palmar = surface.per_picture(look.palmar)
    creases = surface.look_up(crease_table(skeleton, look, pitch)) * on_digit
    red = surface.look_up(joint_table(skeleton, look)) * on_digit
    dark = creases * middle.lerp(torch.ones_like(middle), palmar * 0.7)
    dark = dark + 0.16 * red * middle * (1.0 - palmar)
    nail = (surface.look_up(nail_table(skeleton, look)) - surface.across.abs()) / surface.per_picture(pitch)
    breadth = torch.clamp(0.8 * pitch, min=0.8)
    lines = palm_lines(surface, unevenness, surface.per_picture(breadth))
    lines = lines * surface.per_picture(look.wrinkles * 0.8 / breadth)
    back = knuckles(surface, skeleton) * (1.0 - palmar)
    veins = (1.0 - (unevenness * 4.0).square_()).clamp_(min=0.0) * (surface.palm * -0.05).clamp_(0.0, 1.0)
    veins = veins * surface.per_picture(look.veins) * (1.0 - palmar)
    dark = dark + 0.75 * lines * palmar + 0.07 * back + 0.06 * veins + _crevice(surface, skeleton, pitch)
    return dark, red + 0.25 * back * surface.per_picture(look.redness), (nail + 0.5).clamp_(0.0, 1.0)


def _crevice(surface: Surface, skeleton: Skeleton, pitch: Tensor) -> Tensor:
    """Darken the line where two digits touch; fused digits show no line."""
    whole = surface.per_digit(~skeleton.fused)
    thumb = surface.digit == 0
    other = torch.where(thumb, torch.minimum(surface.second, surface.palm), surface.second)
    breadth = surface.per_picture(torch.clamp(0.75 * pitch, min=0.9))
    line = 1.0 - ((other - surface.nearest) / (2.0 * breadth)).square_()
    touching = (1.3 - other).clamp_(0.0, 1.0)
    web = surface.per_digit(skeleton.web) + 8.0 * thumb
    beyond = ((surface.along - web) / 5.0 + 1.0).clamp_(0.0, 1.0)
    return line.clamp_(min=0.0).mul_(touching).mul_(beyond).mul_(whole).mul_(0.95)


def _slopes(height: Tensor, step: Tensor) -> tuple[Tensor, Tensor]:
    """Return the slopes of the height rightwards and downwards by central differences."""
    wide = functional.pad(height.unsqueeze(1), (1, 1, 1, 1), mode="replicate")[:, 0]
    right = (wide[:, 1:-1, 2:] - wide[:, 1:-1, :-2]).div_(2.0 * step)
    down = (wide[:, 2:, 1:-1] - wide[:, :-2, 1:-1]).div_(2.0 * step)
    return right, down


def _light(slope_x: Tensor, slope_y: Tensor, look: Look, surface: Surface) -> Tensor:
    """Return the light that the skin reflects, about 0.6..1.1, (n, S, S)."""
    x, y, z = (surface.per_picture(part) for part in look.light.unbind(-1))
    flat = slope_x.square().add_(slope_y.square()).add_(1.0).rsqrt_()
    facing = (z - slope_x * x - slope_y * y).mul_(flat).clamp_(min=0.0)
    ambient = surface.per_picture(look.ambient)
    gloss = facing.square().square_().square_().square_().square_()
    line = torch.linspace(-1.0, 1.0, surface.x.shape[-1], device=surface.x.device)
    near = 1.0 + 0.1 * (x * line.view(1, 1, -1) + y * line.view(1, -1, 1))  # nearer to the lamp is brighter
    return (0.88 + 0.12 * flat) * (ambient + (1.0 - ambient) * facing) * near + 0.05 * gloss


def _skin(look: Look, surface: Surface, dark: Tensor, red: Tensor, nail: Tensor, light: Tensor) -> Tensor:
    """Return the colour of the skin, (n, 3, S, S)."""
    channels = []
    rim = nail * (1.0 - nail) * 1.2
    nail = nail * surface.per_picture(look.polish)
    for channel in range(3):
        skin = surface.per_picture(look.skin[:, channel]) * (1.0 - RED_TINT[channel] * red)
        skin = skin.lerp(surface.per_picture(look.nail[:, channel]).expand_as(skin), nail)
        skin = skin * (1.0 - CREASE_TINT[channel] * (dark + rim).clamp(max=1.2))
        channels.append(skin * (1.0 + DEPTH_TINT[channel] * (light - 1.0)))
    return torch.stack(channels, 1)


def _ground(surface: Surface, look: Look) -> Tensor:
    """Return the brightness of the background, (n, S, S), with a vignette and a shadow away from the light."""
    points = surface.x.shape[-1]
    line = torch.linspace(-1.0, 1.0, points, device=surface.x.device)
    corner = (line.square().unsqueeze(0) + line.square().unsqueeze(1)) / 2.0
    vignette = 1.0 - surface.per_picture(look.vignette) * corner
    away_x, away_y = _slopes(surface.outside, torch.ones(1, 1, 1, device=surface.x.device))
    steep = (away_x.square() + away_y.square()).clamp_(min=1e-6).rsqrt_()
    side = (away_x * surface.per_picture(look.light[:, 0]) + away_y * surface.per_picture(look.light[:, 1])) * steep
    reach = (surface.outside.clamp(min=0.0) / surface.per_picture(look.shadow_width)).neg_().exp_()
    return vignette * (1.0 - surface.per_picture(look.shadow) * reach * (0.45 - side).clamp_(0.0, 1.0))
