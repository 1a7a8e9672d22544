"""Change the style of pictures and the position of the hand, but nothing about the hand itself."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from vae.images.labelled.cut_and_paste import bounds, pixel_grid, sample, soften
from vae.images.labelled.hands import Hands
from vae.images.labelled.vocabulary import GROUND
from vae.images.random_source import GeneratorSource

GROUP = 64
"""Pictures that share one random blur and one random resolution, because each value needs its own kernel."""


def shrink(hands: Hands, random: GeneratorSource, smallest: float = 0.7) -> None:
    """Make hands smaller in the picture, so that there is room to add digits; edits the hands."""
    scale = random.uniform(smallest, 1.0)
    zero = torch.zeros_like(scale)
    centre = torch.stack([torch.full_like(scale, 0.5), torch.full_like(scale, 1.0)], 1)
    place(hands, 1 / scale, zero, centre, centre, torch.ones_like(scale))


def reframe(hands: Hands, random: GeneratorSource, wild: float = 0.06) -> None:
    """Frame hands roughly as `crop_to_hand` does, with a small rotation and random mirroring; edits the hands.

    Args:
        hands: Hands to frame.
        random: Random numbers.
        wild: Share of the hands that is rotated by any angle.
    """
    n, device = len(hands), random.device
    low, high = bounds(hands.regions != GROUND)
    middle, side = (low + high) / 2, (high - low).amax(1)
    tight = random.chance(0.75)
    size = torch.where(tight, side * random.uniform(1.08, 1.35), random.uniform(0.97, 1.15)).clamp(0.4, 1.5)
    foot = torch.stack([middle[:, 0], high[:, 1]], 1)
    foot = torch.where(tight.unsqueeze(1), foot, torch.tensor([0.5, 1.0], device=device).expand(n, 2))
    jitter = torch.stack([random.uniform(-0.07, 0.07), random.uniform(-0.03, 0.04)], 1) * size.unsqueeze(1)
    turn = random.uniform(-1, 1) * math.radians(16)
    turn = torch.where(random.chance(wild), random.uniform(-math.pi, math.pi), turn)
    turn = torch.where(random.chance(0.3 * wild), torch.full_like(turn, math.pi), turn)
    centre = torch.stack([foot[:, 0], foot[:, 1] - size / 2], 1) + jitter
    mirror = random.sign()
    half = torch.full((n, 2), 0.5, device=device)
    place(hands, size, turn, half, centre, mirror)


def place(
    hands: Hands, size: Tensor, turn: Tensor, to: Tensor, origin: Tensor, mirror: Tensor, mode: str = "bilinear"
) -> None:
    """Resample pictures from a rotated square of the old ones; edits the hands.

    Args:
        hands: Hands to place.
        size: (n,), side of the square, as a share of the old picture's side.
        turn: (n,), angle in radians.
        to: (n, 2), shares of the new picture: the place that shows `origin`.
        origin: (n, 2), shares of the old picture.
        mirror: (n,), -1 mirrors, 1 does not.
        mode: How pictures are resampled, "bilinear" or "bicubic".
    """
    cos, sin = torch.cos(turn), torch.sin(turn)
    matrix = torch.stack([torch.stack([mirror * cos, -mirror * sin], 1), torch.stack([sin, cos], 1)], 1)
    matrix = matrix * size.view(-1, 1, 1)  # from the result to the old picture
    here = pixel_grid(hands.images) / hands.images.shape[-1] - to.view(-1, 1, 1, 2)
    places = torch.einsum("nij,nhwj->nhwi", matrix, here.expand(len(hands), -1, -1, -1)) + origin.view(-1, 1, 1, 2)
    hands.images = sample(hands.images, places, mode)
    regions = hands.regions.unsqueeze(1).float()
    regions = F.grid_sample(regions, places * 2 - 1, mode="nearest", padding_mode="border", align_corners=False)
    hands.regions = regions[:, 0].to(torch.uint8)
    inverse = torch.linalg.inv(matrix)
    away = hands.joints - origin.unsqueeze(1)
    hands.joints = torch.einsum("nij,nkj->nki", inverse, away) + to.unsqueeze(1)
    hands.up = torch.einsum("nij,nj->ni", inverse * size.view(-1, 1, 1), hands.up)


def restyle(hands: Hands, size: int, random: GeneratorSource, strength: float = 1.0) -> None:
    """Change background, light, colour, sharpness and noise, and resize pictures; edits only the hands' images.

    Args:
        hands: Hands to restyle.
        size: Pixels a side of the result.
        random: Random numbers.
        strength: Factor of the changes of light, colour, blur and noise: 1 for the rewarding judge. The reporting judge
            is trained with another value, so that the two do not share weaknesses.
    """
    images = _grounds(hands, random)
    images = _lights(images, random, strength)
    images = _colours(images, random, strength)
    images = _crisper(images, random, strength)
    images = torch.cat([_blurred(part, random, strength) for part in torch.split(images, GROUP)])
    images = torch.cat([_coarser(part, size, random) for part in torch.split(images, GROUP)])
    noise = torch.randn(images.shape, generator=random.generator, device=random.device)
    level = 0.04 * strength * random.uniform(0, 1).square() * random.chance(0.5)
    hands.images = (images + noise * level.view(-1, 1, 1, 1)).clamp_(0, 1)


def _grounds(hands: Hands, random: GeneratorSource) -> Tensor:
    """Tint the background of some pictures."""
    n = len(hands)
    ground = resized(soften((hands.regions == GROUND).unsqueeze(1).float()), hands.images.shape[-1])
    tint = 1 - 0.7 * torch.rand(n, 1, 1, 1, generator=random.generator, device=random.device).square()
    hue = 0.25 * (torch.rand(n, 3, 1, 1, generator=random.generator, device=random.device) - 0.5)
    cells = torch.randn(n, 1, 5, 5, generator=random.generator, device=random.device)
    cloud = 0.08 * F.interpolate(cells, size=hands.images.shape[-2:], mode="bilinear")
    tinted = (hands.images * (tint + hue) + cloud).clamp(0, 1)
    change = random.chance(0.3).view(-1, 1, 1, 1)
    return torch.where(change, hands.images.lerp(tinted, ground), hands.images)


def _lights(images: Tensor, random: GeneratorSource, strength: float) -> Tensor:
    cells = torch.randn(len(images), 1, 3, 3, generator=random.generator, device=random.device)
    light = 1 + strength * random.uniform(0.0, 0.12).view(-1, 1, 1, 1) * F.interpolate(
        cells, size=images.shape[-2:], mode="bilinear", align_corners=True
    )
    return (images * light).clamp(0, 1)


def _colours(images: Tensor, random: GeneratorSource, strength: float) -> Tensor:
    gain = 1 + 0.1 * strength * (2 * torch.rand(len(images), 3, generator=random.generator, device=random.device) - 1)
    gamma = torch.exp(0.35 * strength * random.uniform(-1, 1)).view(-1, 1, 1, 1)
    contrast = 1 + 0.25 * strength * random.uniform(-1, 1).view(-1, 1, 1, 1)
    images = images.clamp(1e-4, 1) ** gamma * gain[..., None, None]
    mean = images.mean((2, 3), keepdim=True)
    images = mean + (images - mean) * contrast
    grey = images.mean(1, keepdim=True)
    images = grey + (images - grey) * (1 + 0.4 * strength * random.uniform(-1, 1).view(-1, 1, 1, 1))
    swapped = images[:, torch.tensor([1, 2, 0], device=images.device)]
    return torch.where(random.chance(0.03).view(-1, 1, 1, 1), swapped, images).clamp(0, 1)  # violet hands


def _crisper(images: Tensor, random: GeneratorSource, strength: float) -> Tensor:
    """Raise the contrast of lines and folds in some pictures, as image generators and phones do."""
    side = images.shape[-1] // 16
    squares = F.avg_pool2d(images, side) if images.shape[-1] % side == 0 else images
    soft = F.interpolate(squares, size=images.shape[-2:], mode="bilinear")
    amount = strength * random.uniform(0.2, 1.0) * random.chance(0.15)
    return (images + amount.view(-1, 1, 1, 1) * (images - soft)).clamp(0, 1)


def _blurred(images: Tensor, random: GeneratorSource, strength: float) -> Tensor:
    """Blur a group of pictures, sharpen it, or leave it as it is."""
    chance, level = torch.rand(2, generator=random.generator, device=random.device).tolist()
    if chance > 0.65 or not len(images):
        return images
    sharpen = chance > 0.5
    sigma = (0.7 if sharpen else max(0.2, 1.7 * strength * level)) * images.shape[-1] / 64
    reach = max(1, round(2.5 * sigma))
    line = torch.arange(-reach, reach + 1, device=images.device)
    kernel = torch.exp(-0.5 * (line / sigma).square())
    kernel = (kernel / kernel.sum()).view(1, 1, 1, -1).repeat(3, 1, 1, 1)
    soft = F.conv2d(F.pad(images, (reach, reach, 0, 0), mode="replicate"), kernel, groups=3)
    soft = F.conv2d(F.pad(soft, (0, 0, reach, reach), mode="replicate"), kernel.transpose(2, 3), groups=3)
    return (images + 1.5 * level * (images - soft)).clamp(0, 1) if sharpen else soft


def _coarser(images: Tensor, size: int, random: GeneratorSource) -> Tensor:
    """Resize a group of pictures to a random resolution, then to the requested size."""
    if not len(images):
        return images.new_zeros(0, 3, size, size)
    chance, level = torch.rand(2, generator=random.generator, device=random.device).tolist()
    seen = 64 if chance < 0.4 else images.shape[-1] if chance < 0.7 else round(40 + 80 * level)
    if chance > 0.92:
        seen = round(32 + 16 * level)
    return resized(resized(images, seen), size)


def resized(images: Tensor, size: int) -> Tensor:
    """Resize (n, 3, S, S) float pictures, with antialiasing when they shrink."""
    if images.shape[-1] == size:
        return images
    return F.interpolate(images, size=(size, size), mode="bilinear", antialias=images.shape[-1] > size).clamp(0, 1)
