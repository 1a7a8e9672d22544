"""Measure novelty on pictures that are known to be copies or known to be new."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from hand_env.anatomy.judge import Judge
from hand_env.anatomy.novelty import judge_novelty
from hand_env.anatomy.summary import Rate, wilson
from vae.images import SPLIT_SEED, load_hands11k, split_by_group, to_float

SEED = 2_000_003
COPIES = 200
TURN, SHIFT, LIGHT, BLUR = 2.0, 0.02, 0.08, 0.6  # degrees; share of the side; share of the brightness; pixels


def measure_novelty(judge: Judge, root: Path, size: int) -> tuple[Rate, Rate]:
    """Count copies that are recognised, and new pictures that are called new.

    The copies are photographs of training people, slightly rotated, shifted, brightened or darkened, and blurred. The
    new pictures are photographs of test people. Photographs of validation people set the limits.

    Args:
        judge: The judge whose features are compared.
        root: The 11k Hands download.
        size: Pixels a side.

    Returns:
        The rate of copies that are recognised; the rate of new pictures that are called new.
    """
    photographs = load_hands11k(root, size, irregularities="exclude")
    split = split_by_group(photographs.groups, photographs.all_groups, seed=SPLIT_SEED)
    training, near, strangers = (
        to_float(photographs.pixels[rows]) for rows in (split.train, split.validation, split.test)
    )
    rng = np.random.default_rng(SEED)
    chosen = rng.permutation(len(training))[:COPIES]
    copies = torch.stack([_copied(training[int(row)], rng) for row in chosen])
    new = judge_novelty(judge, torch.cat([copies, strangers]), training, near).new
    found = int((~new[: len(copies)]).sum())
    return wilson(found, len(copies)), wilson(int(new[len(copies) :].sum()), len(strangers))


def _copied(picture: Tensor, rng: np.random.Generator) -> Tensor:
    """Change (3, S, S) a little."""
    angle, gain = rng.uniform(-TURN, TURN), 1 + rng.uniform(-LIGHT, LIGHT)
    offset = rng.uniform(-SHIFT, SHIFT, 2) * picture.shape[-1]
    pixels = ndimage.rotate(picture.numpy(), angle, axes=(1, 2), reshape=False, order=1, mode="nearest")
    pixels = ndimage.shift(pixels, (0, *offset), order=1, mode="nearest")
    pixels = ndimage.gaussian_filter(pixels, (0, BLUR, BLUR))
    return torch.from_numpy((gain * pixels).clip(0, 1).astype(np.float32))
