"""Find the digits of a photographed hand from its outline only, without landmarks or a network."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from vae.images.crop import ground_colour, hand_mask, palm

OPENING = 0.42  # of the palm's radius: where a disc of this radius does not fit into the hand, there is a digit
SHORTEST = 0.55  # of the palm's radius: shorter pieces are edges and rings
SMALLEST = 0.12  # of the square of the palm's radius: smaller pieces are not digits
SLENDER = 1.15  # smallest ratio of length to breadth of a digit

Mask = NDArray[np.bool_]
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class OutlineDigit:
    """A digit, in pixels of the picture; x before y.

    Attributes:
        mask: (height, width) bool, the digit from where it leaves the palm.
        base: (2,), the middle of the line where it leaves the palm.
        tip: (2,), the point of the digit that is furthest from the base.
        breadth: Pixels across the digit.
        angle: Radians around the palm's middle, clockwise from straight up.
    """

    mask: Mask
    base: Floats
    tip: Floats
    breadth: float
    angle: float

    @property
    def length(self) -> float:
        """Distance from base to tip in pixels."""
        return float(np.linalg.norm(self.tip - self.base))


@dataclass(frozen=True, eq=False)
class Outline:
    """A hand, fingers up.

    Attributes:
        mask: (height, width) bool, the hand and its arm.
        middle: (2,), the middle of the palm, x before y.
        radius: Radius of the palm in pixels.
        digits: Five digits, in order of their angle.
        thumb: Index of the thumb in `digits`, 0 or 4.
    """

    mask: Mask
    middle: Floats
    radius: float
    digits: tuple[OutlineDigit, ...]
    thumb: int


def find_outline(picture: NDArray[np.uint8]) -> Outline | None:
    """Find five clearly separate digits in a photograph, fingers up.

    Args:
        picture: (S, S, 3) uint8.

    Returns:
        The outline; None if the fingers are held together or anything else is unclear.
    """
    pixels = picture.astype(np.float32)
    mask = ndimage.binary_fill_holes(hand_mask(pixels, ground_colour(pixels)))
    if not mask.any():
        return None
    row, column, radius = palm(mask)
    middle = np.array([column + 0.5, row + 0.5])
    body = _opened(mask, OPENING * radius)
    pieces, count = ndimage.label(ndimage.binary_opening(mask & ~body, iterations=1))
    digits = [_digit(pieces == number, body, middle, radius) for number in range(1, count + 1)]
    found = sorted((digit for digit in digits if digit is not None), key=lambda digit: digit.angle)
    if len(found) != 5:
        return None
    thumb = _thumb(found)
    return None if thumb is None else Outline(mask, middle, float(radius), tuple(found), thumb)


def _opened(mask: Mask, radius: float) -> Mask:
    padded = np.concatenate([mask, np.repeat(mask[-1:], round(radius) + 2, 0)])  # the arm continues below
    inside = ndimage.distance_transform_edt(padded) > radius
    grown = ndimage.distance_transform_edt(~inside) <= radius + 1
    return np.asarray(grown[: len(mask)], dtype=np.bool_)


def _digit(mask: Mask, body: Mask, middle: Floats, radius: float) -> OutlineDigit | None:
    area = np.count_nonzero(mask)
    edge = mask & ndimage.binary_dilation(body, iterations=3)
    if area < SMALLEST * radius**2 or not edge.any():
        return None
    base, points = np.asarray(_points(edge).mean(0), dtype=np.float64), _points(mask)
    tip = points[np.argmax(((points - base) ** 2).sum(1))]
    length = float(np.linalg.norm(tip - base))
    breadth = area / max(length, 1.0)
    low = base[1] > middle[1] + 1.2 * radius or mask[-1].any()
    if length < SHORTEST * radius or length < SLENDER * breadth or low:
        return None
    away = (base + tip) / 2 - middle
    return OutlineDigit(mask, base, tip, breadth, float(np.arctan2(away[0], -away[1])))


def _thumb(digits: list[OutlineDigit]) -> int | None:
    """Find the thumb by the wider gap beside it and by its lower base; None if these disagree."""
    first, last = digits[1].angle - digits[0].angle, digits[4].angle - digits[3].angle
    lower = digits[0].base[1] > digits[4].base[1]
    if (first > last) != lower:
        return None
    return 0 if lower else 4


def _points(mask: Mask) -> Floats:
    return np.asarray(np.argwhere(mask)[:, ::-1] + 0.5, dtype=np.float64)
