"""Render scenes to pictures and masks."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from vae.images.synthetic.batch import take
from vae.images.synthetic.grid import make_grid
from vae.images.synthetic.labels import masks
from vae.images.synthetic.look import Look
from vae.images.synthetic.scene import Scene
from vae.images.synthetic.shading import paint
from vae.images.synthetic.shape import Surface, make_surface

CHUNK_POINTS = {"cpu": 1 << 18, "cuda": 1 << 24}
"""Points rendered at a time: on a CPU few enough for its cache, on a GPU within about 4 GB."""


def pictures_at_once(size: int, device: str) -> int:
    """Return how many pictures of size x size pixels to render at a time."""
    kind = torch.device(device).type
    return max(1, CHUNK_POINTS.get(kind, CHUNK_POINTS["cpu"]) // sampling_points(size) ** 2)


def sampling_points(size: int) -> int:
    """Return the sampling points a side: twice the pixels where pixels are coarse."""
    return 2 * size if size <= 96 else size


def render(scene: Scene, size: int, device: str) -> tuple[Tensor, Tensor, Tensor]:
    """Render n pictures.

    Args:
        scene: What they show.
        size: Pixels a side, S.
        device: Where to compute.

    Returns:
        On the CPU: (n, 3, S, S) uint8 pictures; (n, 6, S, S) bool masks of the digits; (n, S, S) bool masks
        of the palm.
    """
    skin, picture = _expose(scene, size, device)
    ghosts = torch.nonzero(scene.ghost >= 0)[:, 0]
    if len(ghosts):
        _fade(picture, scene, ghosts, size, device)
    visible = torch.cat(masks(skin, scene.skeleton), 1)  # (n, 7, points, points)
    if visible.shape[-1] != size:
        visible = functional.avg_pool2d(visible.float(), visible.shape[-1] // size) > 0.5
        picture = functional.avg_pool2d(picture, picture.shape[-1] // size)
    images = _develop(picture, scene.look, scene.noise.to(device))
    return images.cpu(), visible[:, :6].cpu(), visible[:, 6].cpu()


def _expose(scene: Scene, size: int, device: str) -> tuple[Surface, Tensor]:
    """Return the surface and the noiseless (n, 3, points, points) float32 picture."""
    points = sampling_points(size)
    skin = make_surface(scene.skeleton, make_grid(scene.camera, size, points, device))
    pitch = scene.camera.scale * size / points
    picture = paint(skin, scene.skeleton, scene.look, scene.outfit, scene.texture.to(device), pitch)
    return skin, picture.clamp_(max=1.0)  # clipped before digits fade: a double exposure blends exposed pictures


def _fade(picture: Tensor, scene: Scene, rows: Tensor, size: int, device: str) -> None:
    """Blend some pictures with the same pictures without one digit; edits the pictures."""
    without = take(scene, rows)
    without.skeleton.present[torch.arange(len(rows)), without.ghost] = False
    behind = _expose(without, size, device)[1]
    there = rows.to(device)
    picture[there] = behind.lerp(picture[there], without.opacity.to(device, torch.float32).view(-1, 1, 1, 1))


def _develop(picture: Tensor, look: Look, noise: Tensor) -> Tensor:
    """Soften, add grain, and round to (n, 3, S, S) uint8."""
    grain, weight = (v.to(picture.device, torch.float32).view(-1, 1, 1, 1) for v in (look.grain, look.softness))
    picture = picture.mul(255.0).add_(noise * grain)
    wide = functional.pad(picture, (1, 1, 0, 0), mode="replicate")
    picture = picture.lerp((wide[..., 2:] + wide[..., :-2]) / 2, 2 * weight)
    wide = functional.pad(picture, (0, 0, 1, 1), mode="replicate")
    picture = picture.lerp((wide[..., 2:, :] + wide[..., :-2, :]) / 2, 2 * weight)
    return picture.round_().clamp_(0.0, 255.0).to(torch.uint8)
