"""Compare pictures with those that a generator was trained on."""

from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from hand_env.anatomy import Judge, Novelty, judge_novelty
from vae.images import SPLIT_SEED, load_images, split_by_group, to_float
from vae.images.folder import is_hands11k

SIZE = 64  # pixels a side at which pictures are compared


def find_novelty(judge: Judge, pictures: Sequence[Tensor], training: Path, held_out: Path | None) -> Novelty:
    """Find how near pictures come to training pictures.

    Args:
        judge: Whose feature to use.
        pictures: (3, S, S) float32 in [0, 1] each, of any sizes.
        training: What the generator was trained on: a folder, or the 11k Hands download, of which the training people
            count, and the test people's pictures are the measure.
        held_out: For a plain folder, pictures of others.

    Returns:
        See `judge_novelty`.

    Raises:
        ValueError: If pictures of others are missing.
    """
    known = load_images(training, SIZE)
    if held_out is not None:
        seen, others = known.pixels, load_images(held_out, SIZE).pixels
    elif is_hands11k(training):
        split = split_by_group(known.groups, known.all_groups, seed=SPLIT_SEED)
        seen, others = known.pixels[split.train], known.pixels[split.test]
    else:
        raise ValueError(f"--held-out must name pictures of people that are not in {str(training)!r}.")
    return judge_novelty(
        judge, torch.stack([_small(picture) for picture in pictures]), to_float(seen), to_float(others)
    )


def _small(picture: Tensor) -> Tensor:
    resized = F.interpolate(picture.unsqueeze(0), size=(SIZE, SIZE), mode="bilinear", antialias=True)
    return resized[0].clamp(0, 1)
