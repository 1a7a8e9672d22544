"""Compare pictures with the training pictures of a generator."""

from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from agents.runs.pictures import tell
from hand_env.anatomy import Judge, Novelty, judge_novelty
from vae.images import SPLIT_SEED, load_images, split_by_group, to_float
from vae.images.folder import is_hands11k

SIZE = 64  # pixels a side at which pictures are compared


def find_novelty(judge: Judge, pictures: Sequence[Tensor], training: Path, held_out: Path | None) -> Novelty:
    """Measure how near pictures are to training pictures.

    Args:
        judge: The judge whose features are compared.
        pictures: (3, S, S) uint8 each; S may differ between pictures.
        training: Training pictures of the generator: a folder, or the 11k Hands download. In the download, photographs
            of training people are the training pictures, and photographs of test people set the limits.
        held_out: Pictures of other people, which set the limits; required if `training` is a plain folder.

    Returns:
        See `judge_novelty`.

    Raises:
        ValueError: If `training` is a plain folder and `held_out` is None.
    """
    known = load_images(training, SIZE)
    tell(known.notes)
    if held_out is not None:
        strangers = load_images(held_out, SIZE)
        tell(strangers.notes)
        seen, others = known.pixels, strangers.pixels
    elif is_hands11k(training):
        split = split_by_group(known.groups, known.all_groups, seed=SPLIT_SEED)
        seen, others = known.pixels[split.train], known.pixels[split.test]
    else:
        raise ValueError(f"--held-out must be a folder with pictures of people who are not in {str(training)!r}.")
    return judge_novelty(
        judge, torch.stack([_small(picture) for picture in pictures]), to_float(seen), to_float(others)
    )


def _small(picture: Tensor) -> Tensor:
    resized = F.interpolate(to_float(picture[None]), size=(SIZE, SIZE), mode="bilinear", antialias=True)
    return resized[0].clamp(0, 1)
