"""Gather a run's pictures and split them by person."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from torch import Tensor

from vae.checks import check_at_least
from vae.images import ImageSet, load_images, split_by_group
from vae.images.hands11k import Hand, Keep, Side
from vae.images.synthetic.generate import check_fits, generate_hands
from vae.progress import print_above

SYNTHETIC = "synthetic"


@dataclass(frozen=True)
class Choice:
    """Say which pictures to take.

    Attributes:
        data: "synthetic", or a folder: the 11k Hands download, or any folder of pictures.
        images: Number of pictures; None: all of a folder, or 2,000 synthetic ones.
        size: Width and height in pixels.
        side: 11k Hands: which side of the hand.
        hand: 11k Hands: which hand.
        accessories: 11k Hands: whether to use pictures with accessories.
        irregularities: 11k Hands: whether to use pictures marked as irregular.
        seed: Seed of the choice, the split and the synthetic hands.
    """

    data: str
    images: int | None
    size: Literal[32, 64, 128, 256]
    side: Side
    hand: Hand
    accessories: Keep
    irregularities: Keep
    seed: int


@dataclass(frozen=True, eq=False)
class Pictures:
    """Hold the pictures that a run is trained and measured on.

    Attributes:
        train: (N, 3, S, S) uint8.
        validation: (image, 3, S, S) uint8, of other people; may be empty.
        test: (image, 3, S, S) uint8, of other people again; may be empty.
        counts: For the report: pictures and people in each split, and unusable pictures.
        notes: One sentence for each group of pictures left out; a warning has already named unusable pictures.
        problems: The unusable pictures, each with its reason.
    """

    train: Tensor
    validation: Tensor
    test: Tensor
    counts: dict[str, int]
    notes: tuple[str, ...]
    problems: tuple[str, ...]


def gather(choice: Choice) -> Pictures:
    """Read or render the pictures and split them, 80/10/10 by person.

    Raises:
        FileNotFoundError: If the folder or its pictures do not exist.
        ValueError: If there are fewer pictures than asked for, or none.
    """
    images = _synthetic(choice) if choice.data == SYNTHETIC else _photographs(choice)
    split = split_by_group(images.groups, images.all_groups, seed=choice.seed)
    counts = {"images": len(images), "not_usable": len(images.problems)}
    for name in ("train", "validation", "test"):
        index = getattr(split, name)
        counts |= {name: len(index), f"{name}_people": len({images.groups[i] for i in index.tolist()})}
    problems = tuple(map(str, images.problems))
    train, validation, test = (images.pixels[index] for index in (split.train, split.validation, split.test))
    return Pictures(train, validation, test, counts, images.notes, problems)


def tell(notes: Sequence[str]) -> None:
    """Print on stderr what was left out, for commands that print their result on stdout."""
    for note in notes:
        print_above(note)


def _synthetic(choice: Choice) -> ImageSet:
    for name in ("side", "hand", "accessories", "irregularities"):
        if getattr(choice, name) not in ("all", "include"):
            raise ValueError(f"--{name} can be chosen for 11k Hands only, got {getattr(choice, name)!r}. Leave it out.")
    n = 2000 if choice.images is None else choice.images
    check_at_least(1, **{"--images": n})
    check_fits("--images", n, choice.size)
    pixels = generate_hands(n, choice.size, seed=choice.seed).images
    names = tuple(f"{i:06d}" for i in range(n))
    return ImageSet(pixels, names, names, names)


def _photographs(choice: Choice) -> ImageSet:
    return load_images(
        Path(choice.data),
        choice.size,
        side=choice.side,
        hand=choice.hand,
        accessories=choice.accessories,
        irregularities=choice.irregularities,
        n_images=choice.images,
        seed=choice.seed,
    )
