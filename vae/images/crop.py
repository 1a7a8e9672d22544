"""Crop an 11k Hands photograph to a square around the hand, fingers up, without cutting off any part of the hand.

The photographs show one hand on a near-white background; the fingers point down and the arm leaves through the
top border. A half turn (a rotation, not a flip: a left hand stays a left hand) makes the fingers point up. The hand
is then found on a small copy by its colour. The largest circle that fits into the hand is the palm. It shows where
the wrist is, even if there are sleeves or watches.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from vae.images.resize import resize

CROP_VERSION = 1  # raise this if any crop changes: it is part of the cache's key

WORK_HEIGHT = 144  # pixels; height of the copy on which the hand is found
MARGIN = 0.07  # of the hand's size, left free around it
WRIST = 1.5  # palm radii from the middle of the palm down to the lower border: a little of the wrist shows
WARM = 0.09  # red minus blue, relative to the background: skin has more, a shadow on white less
WARM_SHARE = 0.4  # of the hand's own median warmth: a warm reflection beside the hand has less
DARK = 0.45  # of the background's brightness missing: sleeves, watches, black nails, but no soft shadow
FINGERS = 4.2  # palm radii from the tip of the longest finger to the middle of the palm, at most
NEARLY = 0.93  # of the largest radius
REACH = 3  # pixels of the small copy, odd: wider gaps in a finger, such as those of rings, are not closed
LUMA = (0.299, 0.587, 0.114)  # of red, green and blue in the brightness of a pixel (Rec. 601)

Pixels = NDArray[np.uint8]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Square:
    """A square in a picture, in pixels, y downwards; it may extend beyond the picture's borders."""

    left: int
    top: int
    side: int


def crop_to_hand(photo: Pixels) -> Pixels:
    """Rotate an 11k Hands photograph to fingers up and cut out the square around the hand.

    The square is centred horizontally on the hand, and is as small as the hand and a margin allow. It ends a little
    below the wrist, or where the photograph ends if that is above. Beyond the photograph, the background is continued.
    If no hand is found, the picture is padded to a square, so that nothing is lost.

    Args:
        photo: (height, width, 3) uint8, as in the file: fingers down.

    Returns:
        (side, side, 3) uint8, fingers up.
    """
    turned = photo[::-1, ::-1]
    height, width = turned.shape[:2]
    small = resize(turned, max(1, round(width * WORK_HEIGHT / height)), WORK_HEIGHT).astype(np.float32)
    ground = ground_colour(small)
    hand = hand_mask(small, ground)
    if hand.any():
        square = _scaled(frame(hand), height / WORK_HEIGHT)
    else:
        side = max(height, width)
        square = Square((width - side) // 2, height - side, side)
    return cut(turned, square, hand, ground)


def ground_colour(picture: NDArray[np.float32]) -> NDArray[np.float32]:
    """Find the colour of the background: the median of the brighter part of the picture.

    Args:
        picture: (height, width, 3) float32, 0..255.

    Returns:
        (3,) float32, 1..255.
    """
    luma = _luma(picture)
    bright = picture[luma >= np.quantile(luma, 0.6)]
    return np.asarray(np.maximum(np.median(bright, axis=0), 1.0), dtype=np.float32)


def hand_mask(picture: NDArray[np.float32], ground: NDArray[np.float32]) -> Mask:
    """Mark the hand, what it wears, and the arm.

    Skin of every tone has more red than blue; a shadow on white does not. Other things on the hand (sleeves, watches,
    varnish) are far darker than a soft shadow. Only the connected piece with the palm is kept.

    Args:
        picture: (height, width, 3) float32, 0..255, fingers up.
        ground: (3,) float32, the background's colour.

    Returns:
        (height, width) bool; all False if there is nothing like a hand.
    """
    relative = picture / ground
    warmth = relative[..., 0] - relative[..., 2]
    dark = 1 - _luma(relative) > DARK
    warm = warmth > WARM
    if warm.any():
        warm = warmth > max(WARM, WARM_SHARE * float(np.median(warmth[warm])))
    marked = warm | dark
    if not marked.any():
        return marked
    row, column, _ = palm(marked)
    return connected(marked, row, column)


def _luma(picture: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(picture @ np.array(LUMA, np.float32))


def palm(hand: Mask) -> tuple[int, int, int]:
    """Find the palm: the largest circle (an octagon, here) that fits into the hand.

    The mask is eroded layer by layer; the number of layers above a pixel is the radius that fits there. A
    sleeve may be wider than the palm, but it is further from the fingertips than a palm of that size can be.

    Args:
        hand: (height, width) bool, not all False.

    Returns:
        Row, column and radius of the palm, in pixels.
    """
    rest = _filled(hand)
    radii = rest.astype(np.int32)
    for layer in range(max(hand.shape)):
        rest = _eroded(rest, diagonal=layer % 2 == 1)
        if not rest.any():
            break
        radii += rest
    widest = radii.max(axis=1)
    from_fingertips = np.arange(len(widest)) - np.argmax(hand.any(axis=1))
    widest[from_fingertips > FINGERS * widest] = 0
    row = int(np.flatnonzero(widest >= NEARLY * widest.max())[-1])
    columns = np.flatnonzero(radii[row] == widest[row])
    return row, int(np.median(columns)), int(widest[row])


def connected(mask: Mask, row: int, column: int) -> Mask:
    """Keep the piece of a mask at or around a point, across gaps of up to `REACH` pixels.

    Args:
        mask: (height, width) bool, not all False.
        row: Row of the point, which may lie in a hole of the piece.
        column: Column of the point.

    Returns:
        (height, width) bool.
    """
    kept = np.zeros_like(mask)
    kept[row, column] = True
    while not (kept & mask).any():
        kept = _dilated(kept, REACH)
    pieces, _ = ndimage.label(_dilated(mask, REACH // 2), np.ones((3, 3)))  # joins what is up to REACH apart
    return np.asarray(mask & np.isin(pieces, pieces[_dilated(kept, REACH) & mask]))


def frame(hand: Mask) -> Square:
    """Choose the square around a hand.

    Args:
        hand: (height, width) bool, fingers up, not all False.

    Returns:
        The square, in pixels of the mask.
    """
    row, _, radius = palm(hand)
    bottom = min(hand.shape[0], round(row + WRIST * radius))
    shown = hand[:bottom]
    columns = np.flatnonzero(shown.any(axis=0))
    top = int(np.flatnonzero(shown.any(axis=1))[0])
    height, width = bottom - top, int(columns[-1] - columns[0] + 1)
    side = round(max(height * (1 + MARGIN), width * (1 + 2 * MARGIN)))
    left = round((columns[0] + columns[-1] + 1 - side) / 2)
    return Square(left, bottom - side, side)


def cut(picture: Pixels, square: Square, hand: Mask, ground: NDArray[np.float32]) -> Pixels:
    """Cut a square out of a picture, continuing the background where the square extends beyond the borders.

    The pixels along a border are smoothed and repeated outwards. Where the hand touches the border, the
    background is interpolated between both sides of the hand.

    Args:
        picture: (height, width, 3) uint8.
        square: In pixels of the picture; it does not extend below the picture.
        hand: (small height, small width) bool, what is not background, at any resolution.
        ground: (3,) float32, 0..255, the colour to use if a border shows no background.

    Returns:
        (side, side, 3) uint8.
    """
    width = picture.shape[1]
    above, before = max(0, -square.top), max(0, -square.left)
    after = max(0, square.left + square.side - width)
    rows = slice(max(0, square.top), square.top + square.side)
    columns = slice(max(0, square.left), min(width, square.left + square.side))
    result = np.pad(picture[rows, columns], ((above, 0), (before, after), (0, 0)))
    if before:
        result[above:, :before] = _ground_along(picture[:, 0], hand[:, 0], ground)[rows, None]
    if after:
        result[above:, -after:] = _ground_along(picture[:, -1], hand[:, -1], ground)[rows, None]
    if above:
        line = _ground_along(picture[0], hand[0], ground)[columns]
        result[:above] = np.pad(line, ((before, after), (0, 0)), mode="edge")
    return result


def _ground_along(line: Pixels, hand: NDArray[np.bool_], ground: NDArray[np.float32]) -> Pixels:
    """Return the background's colour along a border, interpolated where the hand covers it.

    Args:
        line: (length, 3) uint8, the border.
        hand: (small length,) bool, where the hand is.
        ground: (3,) float32, the colour to use if the hand covers the whole border.

    Returns:
        (length, 3) uint8.
    """
    places, around = np.arange(len(line)), len(hand) // 20
    covered = np.convolve(hand, np.ones(2 * around + 1), mode="same") > 0.5
    free = ~covered[places * len(hand) // len(line)]
    if not free.any():
        return np.tile(ground.astype(np.uint8), (len(line), 1))
    joined = np.stack([np.interp(places, places[free], line[free, channel]) for channel in range(3)], axis=1)
    reach = len(line) // 20
    total = np.cumsum(np.pad(joined, ((reach + 1, reach), (0, 0)), mode="edge"), axis=0)
    mean: NDArray[np.float64] = (total[2 * reach + 1 :] - total[: -2 * reach - 1]) / (2 * reach + 1)
    return mean.astype(np.uint8)


def _scaled(square: Square, factor: float) -> Square:
    side = round(square.side * factor)
    bottom = round((square.top + square.side) * factor)
    return Square(round(square.left * factor), bottom - side, side)


def _filled(mask: Mask) -> Mask:
    """Fill holes that glare leaves in a palm: pixels with hand to the left and right, above and below."""
    any_before = np.logical_or.accumulate
    left, right = any_before(mask, axis=1), any_before(mask[:, ::-1], axis=1)[:, ::-1]
    above, below = any_before(mask, axis=0), any_before(mask[::-1], axis=0)[::-1]
    return np.asarray(left & right & above & below)


def _eroded(mask: Mask, *, diagonal: bool) -> Mask:
    """Remove the outer layer; outside the picture is background, but the arm continues below it.

    The result is that of scipy's `binary_erosion`, which took 30 times as long and most of a photograph's crop.
    """
    around = np.zeros((mask.shape[0] + 2, mask.shape[1] + 2), dtype=np.bool_)
    around[1:-1, 1:-1], around[-1, 1:-1] = mask, mask[-1]
    kept = around[:-2] & around[1:-1] & around[2:]
    beside = kept if diagonal else around[1:-1]
    return kept[:, 1:-1] & beside[:, :-2] & beside[:, 2:]


def _dilated(mask: Mask, reach: int) -> Mask:
    return np.asarray(ndimage.maximum_filter(mask, 2 * reach + 1, mode="constant"))
