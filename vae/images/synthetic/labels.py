"""Compute the labels of pictures: joints and masks."""

from __future__ import annotations

import torch
from torch import Tensor

from vae.images.synthetic.pose import Camera
from vae.images.synthetic.shape import Surface
from vae.images.synthetic.skeleton import THUMB, Skeleton


def joints(skeleton: Skeleton, camera: Camera) -> Tensor:
    """Locate the 21 joints in MediaPipe's order.

    Returns:
        (n, 21, 2) float32, x then y in pixels; NaN for a joint that does not exist.
    """
    n = len(skeleton.present)
    stops = skeleton.bones.cumsum(-1)
    tip = skeleton.length - 0.5 * skeleton.thickness[..., 1]
    missing = torch.full_like(tip, torch.nan)
    first = torch.where(skeleton.bones[..., 1] > 0, stops[..., 0], missing)
    count = (skeleton.bones > 0).sum(-1)
    last = stops.gather(-1, (count - 2).clamp(min=0).unsqueeze(-1)).squeeze(-1)
    second = torch.where(count > 2, last, missing)
    along = torch.stack((torch.zeros_like(tip), first, second, tip), -1)
    points = skeleton.points(along)  # (n, 6, 4, 2)
    points = torch.where(skeleton.present[..., None, None], points, torch.full_like(points, torch.nan))
    thumb = torch.stack((skeleton.root[:, THUMB], *points[:, THUMB, [0, 1, 3]].unbind(1)), 1)
    thumb = torch.where(skeleton.present[:, THUMB, None, None], thumb, torch.full_like(thumb, torch.nan))
    wrist = torch.zeros(n, 1, 2, dtype=torch.float64)
    whole = torch.cat((wrist, thumb, points[:, 1:5].flatten(1, 2)), 1)
    return camera.to_pixels(whole).float()


def masks(surface: Surface, skeleton: Skeleton) -> tuple[Tensor, Tensor]:
    """Mark at every point which digit is visible, or the palm and the forearm.

    Returns:
        (n, 6, S, S) bool, the digits from where they leave the palm; (n, 1, S, S) bool, the rest of the hand.
    """
    device = surface.x.device
    web = surface.per_digit(skeleton.web)
    hand = surface.outside < 0
    if surface.cloth is not None:
        hand &= surface.cloth > 0
    free = hand & (surface.along > web) & (surface.nearest < 0.5)
    slots = torch.arange(6, device=device).view(1, 6, 1, 1)
    return (surface.digit.unsqueeze(1) == slots) & free.unsqueeze(1), (hand & ~free).unsqueeze(1)
