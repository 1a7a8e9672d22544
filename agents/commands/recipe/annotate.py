"""Label photographs with what the rewarding judge sees in them."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from hand_env.anatomy import Judge
from vae.images.labelled.hands import Hands, correct_hands
from vae.images.labelled.photographs import region_map, skin


def annotate(images: Tensor, judge: Judge) -> Hands:
    """Label photographs of right hands: joints as a judge sees them, regions from joints and skin.

    Args:
        images: (n, 3, 128, 128) uint8, fingers up.
        judge: The rewarding one; where it does not find a right hand, no joints and no regions are given.

    Returns:
        Labelled hands on the CPU, images uint8.
    """
    parts = []
    with torch.no_grad():
        for chunk in torch.split(images, 256):
            found = judge.find(chunk.float() / 255)
            sure = found.holds[:, :8].all(1)  # the anatomical criteria
            parts.append(torch.where(sure.view(-1, 1, 1), found.parse.joints, torch.nan).cpu())
    joints = torch.cat(parts).float()
    maps = [
        region_map(skin(picture.permute(1, 2, 0).numpy()), places.numpy())
        for picture, places in zip(images, joints, strict=True)
    ]
    return correct_hands(images, torch.from_numpy(np.stack(maps)), joints)
