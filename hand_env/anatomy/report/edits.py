"""Edit photographs for the report, placed by the hand's outline, with code that training's edits do not use."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage

from hand_env.anatomy.report.outline import Floats, Mask, Outline, OutlineDigit
from vae.images.resize import resize

Pixels = NDArray[np.uint8]
Box = tuple[slice, slice]  # rows and columns: only there an edit changes the picture
Edit = Callable[[Floats, Outline, np.random.Generator], tuple[Floats, Mask]]
ROOM = 0.45  # of the picture's side, added above and on both sides before an edit
FRAME = 0.07  # of the hand's size, left free around it after an edit


def edited(picture: Pixels, outline: Outline, kind: str, rng: np.random.Generator, size: int) -> Pixels:
    """Edit a photograph and frame it again, as `crop_to_hand` would.

    Args:
        picture: (S, S, 3) uint8, fingers up.
        outline: The outline of the hand in that picture.
        kind: A key of `EDITS`, or "none", which only frames the picture again.
        rng: Source of random numbers, which choose the digit.
        size: Pixels a side of the result.

    Returns:
        (size, size, 3) uint8.
    """
    padded, moved = with_room(picture, outline)
    result, mask = (padded, moved.mask) if kind == "none" else EDITS[kind](padded, moved, rng)
    return _framed(result, mask, size)


def with_room(picture: Pixels, outline: Outline) -> tuple[Floats, Outline]:
    """Add background above and on both sides of a picture, and move its outline with it."""
    room = round(ROOM * len(picture))
    around = ((room, 0), (room, room))
    padded = np.pad(picture.astype(np.float64), (*around, (0, 0)), mode="edge")
    shift = np.array([room, room], dtype=float)

    def moved(digit: OutlineDigit) -> OutlineDigit:
        mask = np.pad(digit.mask, around)
        return OutlineDigit(mask, digit.base + shift, digit.tip + shift, digit.breadth, digit.angle)

    digits = tuple(moved(digit) for digit in outline.digits)
    return padded, Outline(np.pad(outline.mask, around), outline.middle + shift, outline.radius, digits, outline.thumb)


def erase(picture: Floats, outline: Outline, rng: np.random.Generator) -> tuple[Floats, Mask]:
    """Paint background over a digit."""
    digit = any_digit(outline, rng)
    return _without(picture, outline, digit), outline.mask & ~digit.mask


def cross_fade(picture: Floats, outline: Outline, rng: np.random.Generator) -> tuple[Floats, Mask]:
    """Mix a digit with the background, half and half."""
    digit = any_digit(outline, rng)
    return (picture + _without(picture, outline, digit)) / 2, outline.mask


def duplicate(picture: Floats, outline: Outline, rng: np.random.Generator) -> tuple[Floats, Mask]:
    """Rotate a copy of a finger about the palm's middle to a free place; push it to the palm, behind the hand."""
    fingers = [digit for number, digit in enumerate(outline.digits) if number != outline.thumb]
    digit = fingers[rng.integers(4)]
    angles = [d.angle for d in outline.digits]
    outer = angles[4] + 0.42 if outline.thumb == 0 else angles[0] - 0.42
    places = [(a + b) / 2 for a, b in pairwise(angles)] + [outer]
    free = [min(abs(place - angle) for angle in angles) for place in places]
    turn = (places[int(np.argmax(free))] if rng.random() < 0.5 else outer) - digit.angle
    cos, sin = np.cos(turn), np.sin(turn)
    backwards = np.array([[cos, sin], [-sin, cos]])  # x and y of the result to x and y of the source
    base, tip = (outline.middle + backwards.T @ (point - outline.middle) for point in (digit.base, digit.tip))
    ahead = (tip - base) / digit.length
    inwards = _steps_to_hand(outline.mask, base, -ahead) + 0.25 * digit.breadth
    soft = ndimage.gaussian_filter(_with_root(digit, outline).astype(float), 0.7)
    box, copy, cover = _resampled(picture, soft, backwards, outline.middle, -inwards * ahead)
    cover = cover * (1 - ndimage.gaussian_filter(outline.mask.astype(float), 0.7)[box])
    mask = outline.mask.copy()
    mask[box] |= cover > 0.5
    return _laid(picture, box, copy, cover), mask


def fuse(picture: Floats, outline: Outline, rng: np.random.Generator) -> tuple[Floats, Mask]:
    """Fill the gap between two neighbouring fingers with skin, from web to tip."""
    fingers = [digit for number, digit in enumerate(outline.digits) if number != outline.thumb]
    gaps = [float(np.linalg.norm(a.tip - b.tip)) for a, b in pairwise(fingers)]
    first = int(np.argsort(gaps)[rng.integers(2)])
    pair = fingers[first : first + 2]
    both, breadth = pair[0].mask | pair[1].mask, (pair[0].breadth + pair[1].breadth) / 2
    roots = _line(pair[0], 0.5), _line(pair[1], 0.5)
    around = _rounded(hull(np.concatenate([_edge(both), *roots]), picture.shape[:2]), 0.45 * breadth) | both
    inner = ndimage.distance_transform_edt(both) > 0.3 * breadth
    nearest = ndimage.distance_transform_edt(~inner, return_distances=False, return_indices=True)
    between = hull(np.concatenate(roots), picture.shape[:2])
    gap = (around & ~both) | between
    box = _box(gap, breadth / 4)
    smooth = _blurred(picture[tuple(nearest[:, *box])], breadth / 4)
    cover = ndimage.gaussian_filter(gap[box].astype(float), 1.0)
    return _laid(picture, box, smooth, cover), outline.mask | around


def stretch(picture: Floats, outline: Outline, rng: np.random.Generator) -> tuple[Floats, Mask]:
    """Make a digit 1.6 times as long."""
    return _scaled(picture, outline, any_digit(outline, rng), 1.6)


def shorten(picture: Floats, outline: Outline, rng: np.random.Generator) -> tuple[Floats, Mask]:
    """Make a digit half as long."""
    return _scaled(picture, outline, any_digit(outline, rng), 0.5)


EDITS: dict[str, Edit] = {
    "finger erased": erase,
    "duplicated": duplicate,
    "fused with its neighbour": fuse,
    "stretched 1.6 times": stretch,
    "shortened to half": shorten,
    "cross-faded to half": cross_fade,
}
"""Each edits a padded picture with its outline, and returns the new picture and the mask of the hand."""


def any_digit(outline: Outline, rng: np.random.Generator) -> OutlineDigit:
    """Draw a digit."""
    return outline.digits[rng.integers(5)]


def _without(picture: Floats, outline: Outline, digit: OutlineDigit) -> Floats:
    """Paint background over a digit and the shadow beside it."""
    others = outline.mask & ~digit.mask
    hole = ndimage.binary_dilation(digit.mask, iterations=5) & ~ndimage.binary_dilation(others, iterations=1)
    hole |= digit.mask
    known = ~(hole | ndimage.binary_dilation(outline.mask, iterations=5))
    nearest = ndimage.distance_transform_edt(~known, return_distances=False, return_indices=True)
    box = _box(hole, 4.0)
    ground = _blurred(picture[tuple(nearest[:, *box])], 4.0)
    cover = ndimage.gaussian_filter(hole[box].astype(float), 1.0)
    cover = np.where(digit.mask[box], np.maximum(cover, 0.9 * hole[box]), cover)
    return _laid(picture, box, ground, cover)


def _scaled(picture: Floats, outline: Outline, digit: OutlineDigit, factor: float) -> tuple[Floats, Mask]:
    """Scale a digit along its axis, starting where it leaves the palm."""
    axis = (digit.tip - digit.base) / digit.length
    along = np.outer(axis, axis)
    backwards = np.eye(2) + (1 / factor - 1) * along
    soft = ndimage.gaussian_filter(_with_root(digit, outline).astype(float), 0.7)
    box, copy, cover = _resampled(picture, soft, backwards, digit.base)
    mask = outline.mask & ~digit.mask
    mask[box] |= cover > 0.5
    return _laid(_without(picture, outline, digit), box, copy, cover), mask


def _with_root(digit: OutlineDigit, outline: Outline) -> Mask:
    """Return a digit with a little of the palm around its base, so that no gap opens between them."""
    around = ndimage.binary_dilation(digit.mask, iterations=5) & outline.mask
    for other in outline.digits:
        around &= ~other.mask
    return np.asarray(digit.mask | around, dtype=np.bool_)


def _steps_to_hand(mask: Mask, start: Floats, step: Floats) -> int:
    """Count the steps from a place to the hand; 0 if the hand is not met within the picture's width."""
    for count in range(mask.shape[1]):
        x, y = (start + count * step).astype(int).clip(0, np.array(mask.shape[::-1]) - 1)
        if mask[y, x]:
            return count
    return 0


def _resampled(
    picture: Floats, soft: Floats, backwards: Floats, fixed: Floats, shift: Floats | None = None
) -> tuple[Box, Floats, Floats]:
    """Resample a picture and a soft mask by a linear map, (2, 2) on x and y, about a fixed place; then shift them.

    Returns:
        The box outside which the resampled mask is 0, and the picture and the mask in it.
    """
    matrix = backwards[::-1, ::-1]  # on rows and columns
    centre = fixed[::-1] - 0.5
    offset = centre - matrix @ (centre + (0 if shift is None else shift[::-1]))
    places = np.argwhere(soft > 0)
    low, high = places.min(0) - 1, places.max(0) + 1
    corners = np.array([(row, column) for row in (low[0], high[0]) for column in (low[1], high[1])])
    moved = np.linalg.solve(matrix, (corners - offset).T).T
    box = _clipped(moved.min(0), moved.max(0) + 1, soft.shape)
    offset = offset + matrix @ [side.start for side in box]
    settings = {"output_shape": tuple(side.stop - side.start for side in box), "order": 1}
    channels = [ndimage.affine_transform(picture[..., c], matrix, offset, mode="nearest", **settings) for c in range(3)]
    return box, np.stack(channels, -1), ndimage.affine_transform(soft, matrix, offset, **settings)


def _laid(picture: Floats, box: Box, layer: Floats, cover: Floats) -> Floats:
    """Lay what a box holds over a picture, as far as it covers it."""
    result = picture.copy()
    result[box] += cover[..., None] * (layer - picture[box])
    return result


def _box(mask: Mask, sigma: float) -> Box:
    """Return the box of a mask, and as much around it as blurs of `sigma` and of one pixel reach."""
    places, margin = np.argwhere(mask), round(4 * sigma) + 6
    return _clipped(places.min(0) - margin, places.max(0) + 1 + margin, mask.shape)


def _clipped(low: Floats, high: Floats, size: tuple[int, ...]) -> Box:
    """Return the box from `low` to `high`, rounded outwards, as far as it lies in the picture; it is never empty."""
    starts = [int(np.clip(np.floor(value), 0, length - 1)) for value, length in zip(low, size, strict=True)]
    stops = [int(np.clip(np.ceil(value), 1, length)) for value, length in zip(high, size, strict=True)]
    rows, columns = (slice(start, max(stop, start + 1)) for start, stop in zip(starts, stops, strict=True))
    return rows, columns


def _blurred(picture: Floats, sigma: float) -> Floats:
    return np.stack([ndimage.gaussian_filter(picture[..., c], sigma) for c in range(3)], -1)


def hull(points: Floats, size: tuple[int, ...]) -> Mask:
    """Return a mask, of the given size, of the convex hull of (n, 2) points."""
    from scipy.spatial import ConvexHull  # here: importing it takes a third of a second

    corners = points[ConvexHull(points).vertices]
    canvas = Image.new("1", (size[1], size[0]))
    ImageDraw.Draw(canvas).polygon([(float(x), float(y)) for x, y in corners], fill=1)
    return np.asarray(canvas)


def _rounded(mask: Mask, radius: float) -> Mask:
    """Round off the corners of a mask."""
    inside = ndimage.distance_transform_edt(mask) > radius
    return np.asarray(ndimage.distance_transform_edt(~inside) <= radius, dtype=np.bool_)


def _edge(mask: Mask) -> Floats:
    return np.asarray(np.argwhere(mask & ~ndimage.binary_erosion(mask))[:, ::-1], dtype=np.float64)


def _line(digit: OutlineDigit, root: float) -> Floats:
    """Return the ends of a digit's axis: `root` breadths into the palm, and 0.35 breadths before the tip."""
    axis = (digit.tip - digit.base) / digit.length
    return np.stack([digit.base - root * digit.breadth * axis, digit.tip - 0.35 * digit.breadth * axis])


def _framed(picture: Floats, mask: Mask, size: int) -> Pixels:
    """Cut out the smallest square that holds the hand and a margin; it ends at the lower border of the picture."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    height, width = len(picture) - rows[0], columns[-1] - columns[0] + 1
    side = min(round(max(height * (1 + FRAME), width * (1 + 2 * FRAME))), *picture.shape[:2])
    left = int(np.clip(round((columns[0] + columns[-1] + 1 - side) / 2), 0, picture.shape[1] - side))
    square = picture[len(picture) - side :, left : left + side]
    return resize(square.clip(0, 255).round().astype(np.uint8), size, size)
