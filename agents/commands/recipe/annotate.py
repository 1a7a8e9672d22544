"""Label photographs with the joints and regions that the rewarding judge finds."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from hand_env.anatomy import Judge
from vae.images.labelled.hands import Hands, correct_hands
from vae.images.labelled.photographs import region_maps, skin
from vae.progress import in_chunks, progress_bar

CHUNK = 256  # pictures at a time


def annotate(images: Tensor, judge: Judge) -> Hands:
    """Label photographs of correct hands: the judge gives the joints; joints and skin give the regions.

    Args:
        images: (n, 3, 128, 128) uint8, fingers up.
        judge: The rewarding judge. A photograph in which it finds no correct hand gets no joints and no regions.

    Returns:
        Labelled hands on the CPU, images uint8.
    """
    parts = []
    with torch.no_grad():
        for chunk in in_chunks(images, CHUNK, "Finding joints", "photographs"):
            found = judge.find(chunk.float() / 255)
            sure = found.holds[:, :8].all(1)  # the anatomical criteria
            parts.append(torch.where(sure.view(-1, 1, 1), found.parse.joints, torch.nan))
    joints = torch.cat(parts).float()
    bar = progress_bar(images, "Finding regions", unit="photographs")
    hands = np.stack([skin(picture.permute(1, 2, 0).numpy()) for picture in bar])
    return correct_hands(images, region_maps(torch.from_numpy(hands), joints), joints.cpu())
