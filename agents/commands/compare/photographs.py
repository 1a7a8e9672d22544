"""The photographs that a run's pictures are compared with."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from agents.runs.pictures import tell
from vae.images import load_images, split_by_group

FEWEST = 20  # held-out photographs


@dataclass(frozen=True, eq=False)
class ReferencePhotographs:
    """Hold the photographs of one run, at its size.

    Attributes:
        training: (n, 3, S, S) uint8, photographs of the training people, in a fixed order that does not depend on the
            person.
        held_out: (m, 3, S, S) uint8, photographs of the test people.
        people: Number of test people; in a plain folder, each picture counts as one person.
        sha256: Hash of all pixels and of the split.
    """

    training: Tensor
    held_out: Tensor
    people: int
    sha256: str


def read_photographs(data: Path, size: int, split_seed: int) -> ReferencePhotographs:
    """Read photographs and hold out those of test people, as `handlatent train` does with this seed.

    Args:
        data: The 11k Hands download, or any folder of pictures.
        size: Width and height in pixels.
        split_seed: Seed of the split by person.

    Raises:
        FileNotFoundError: If there are no photographs.
        ValueError: If too few are held out, or the download lies inside the folder.
    """
    images = load_images(data, size)
    tell(images.notes)
    split = split_by_group(images.groups, images.all_groups, seed=split_seed)
    if len(split.test) < FEWEST:
        raise ValueError(
            f"--data must leave at least {FEWEST} photographs of test people, got {len(split.test)} of {len(images)}. "
            "Add photographs."
        )
    training, held_out = images.pixels[split.train], images.pixels[split.test]
    digest = hashlib.sha256()
    for pixels in (training, held_out):
        digest.update(pixels.numpy().tobytes())
    order = torch.randperm(len(training), generator=torch.Generator().manual_seed(0))
    return ReferencePhotographs(
        training[order],
        held_out,
        len({images.groups[row] for row in split.test.tolist()}),
        digest.hexdigest(),
    )
