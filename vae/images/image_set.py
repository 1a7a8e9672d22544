"""Hold the pictures of any source: the pixels, their groups, and the problems of reading them."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Problem:
    """A picture that could not be used.

    Attributes:
        name: The picture, as `ImageSet.names` would have named it.
        reason: The rest of a sentence that starts with the name, such as 'is empty (0 bytes)'.
    """

    name: str
    reason: str

    def __str__(self) -> str:
        """Return the sentence; a name that a terminal cannot show is quoted and escaped."""
        return f"{self.name if self.name.isprintable() else ascii(self.name)} {self.reason}"


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Pictures in memory, decoded once, in a fixed order.

    Attributes:
        pixels: (n, 3, size, size) uint8, RGB, on the CPU.
        names: n names, unique.
        groups: n names, the group of each picture: the person's id in 11k Hands, the picture's own name in a plain
            folder. A split keeps a group together.
        all_groups: Every group of the source, even if none of its pictures is chosen or present. The split shuffles
            these, so a group stays on its side whatever pictures are chosen.
        problems: Requested pictures that could not be used.
        notes: Sentences, each on something left out for another reason.
    """

    pixels: Tensor
    names: tuple[str, ...]
    groups: tuple[str, ...]
    all_groups: tuple[str, ...]
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        """Return the number of pictures."""
        return len(self.names)


def to_float(pixels: Tensor) -> Tensor:
    """Convert uint8 pixels to the model's range.

    Args:
        pixels: Any shape, uint8.

    Returns:
        Same shape, float32 in [0, 1].

    Raises:
        TypeError: If the pixels are not uint8.
    """
    if pixels.dtype != torch.uint8:
        raise TypeError(
            f"pixels must be torch.uint8, got {pixels.dtype}. Turn floats in [0, 1] into bytes by to_uint8."
        )
    return pixels.to(torch.float32) / 255


def to_uint8(images: Tensor) -> Tensor:
    """Convert images from the model's range to bytes, rounding to the nearest and clipping to [0, 1].

    Args:
        images: Any shape, floating point, [0, 1].

    Returns:
        Same shape, uint8.

    Raises:
        TypeError: If the images are not floating point.
        ValueError: If one of the numbers is NaN.
    """
    if not images.is_floating_point():
        raise TypeError(f"images must be floating point, got {images.dtype}. Bytes need no to_uint8.")
    if images.isnan().any():
        raise ValueError("images must hold numbers, got NaN. Take a VAE that has not diverged.")
    return (images.clamp(0, 1) * 255).round().to(torch.uint8)
