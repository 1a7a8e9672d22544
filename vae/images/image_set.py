"""What every source of pictures hands over: the pixels, whose they are, and what went wrong."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Problem:
    """A picture that could not be used.

    Attributes:
        name: The picture, as `ImageSet.names` would have named it.
        reason: Half a sentence that goes on from the name, such as 'is empty (0 bytes)'.
    """

    name: str
    reason: str


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Pictures in memory, decoded once, in a fixed order.

    Attributes:
        pixels: (n, 3, size, size) uint8, RGB, on the CPU.
        names: n names, unique.
        groups: n names of the group of each picture, which a split keeps together: the person's id in 11k
            Hands, the picture's own name in a plain folder.
        all_groups: Every group of the source, chosen or not, present or not: the split is drawn over these,
            so that a group stays on its side whatever pictures are chosen.
        problems: Pictures that were asked for and could not be used.
        notes: One sentence each on what was left out for another reason.
    """

    pixels: Tensor
    names: tuple[str, ...]
    groups: tuple[str, ...]
    all_groups: tuple[str, ...]
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        """Count the pictures."""
        return len(self.names)


def to_float(pixels: Tensor) -> Tensor:
    """Bring pixels from memory to the model's range.

    Args:
        pixels: Any shape, uint8.

    Returns:
        Same shape, float32 in [0, 1].

    Raises:
        TypeError: If the pixels are not uint8.
    """
    if pixels.dtype != torch.uint8:
        raise TypeError(f"pixels must be torch.uint8, got {pixels.dtype}. Floats need no to_float.")
    return pixels.to(torch.float32) / 255


def to_uint8(images: Tensor) -> Tensor:
    """Bring images from the model's range to bytes, rounding to the nearest and clipping what lies outside.

    Args:
        images: Any shape, floating point, [0, 1].

    Returns:
        Same shape, uint8.

    Raises:
        TypeError: If the images are not floating point.
    """
    if not images.is_floating_point():
        raise TypeError(f"images must be floating point, got {images.dtype}. Bytes need no to_uint8.")
    return (images.clamp(0, 1) * 255).round().to(torch.uint8)
