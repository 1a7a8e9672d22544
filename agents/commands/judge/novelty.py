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


def read_known(training: Path, held_out: Path | None) -> tuple[Tensor, Tensor]:
    """Read the training pictures, and those that set the limits.

    Args:
        training: Training pictures of the generator: a folder, or the 11k Hands download. In the download, photographs
            of training people are the training pictures, and photographs of test people set the limits.
        held_out: Pictures of other people, which set the limits; required if `training` is a plain folder.

    Returns:
        Both, (n, 3, 64, 64) uint8.

    Raises:
        ValueError: If `training` is a plain folder and `held_out` is None, or both hold the same picture.
    """
    known = load_images(training, SIZE)
    tell(known.notes)
    if held_out is not None:
        strangers = load_images(held_out, SIZE)
        tell(strangers.notes)
        _check_apart(known.pixels, strangers.pixels, training, held_out)
        return known.pixels, strangers.pixels
    if is_hands11k(training):
        split = split_by_group(known.groups, known.all_groups, seed=SPLIT_SEED)
        return known.pixels[split.train], known.pixels[split.test]
    raise ValueError(f"--held-out must be a folder with pictures of people who are not in {str(training)!r}.")


def find_novelty(judge: Judge, pictures: Sequence[Tensor], seen: Tensor, others: Tensor) -> Novelty:
    """Measure how near pictures are to training pictures; see `judge_novelty`.

    Args:
        judge: The judge whose features are compared.
        pictures: (3, S, S) uint8 each; S may differ between pictures.
        seen: (n, 3, 64, 64) uint8, the training pictures.
        others: (m, 3, 64, 64) uint8, pictures of other people.
    """
    return judge_novelty(
        judge, torch.stack([_small(picture) for picture in pictures]), to_float(seen), to_float(others)
    )


def _check_apart(seen: Tensor, others: Tensor, training: Path, held_out: Path) -> None:
    """Refuse a picture that is in both: it would set a limit of 0, and no copy would be found."""
    there = {picture.numpy().tobytes() for picture in seen}
    both = sum(picture.numpy().tobytes() in there for picture in others)
    if both:
        raise ValueError(
            f"--held-out must hold pictures of people who are not in '{training}', and {both} of the {len(others)} "
            f"pictures in '{held_out}' are there too. Name another folder."
        )


def _small(picture: Tensor) -> Tensor:
    resized = F.interpolate(to_float(picture[None]), size=(SIZE, SIZE), mode="bilinear", antialias=True)
    return resized[0].clamp(0, 1)
