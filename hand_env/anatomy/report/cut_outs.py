"""Cut test people's hands, right and edited, out of their photographs, for the report's scenes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from hand_env.anatomy.report.edits import EDITS, any_digit, hull, with_room
from hand_env.anatomy.report.outline import Floats, Mask, Outline, find_outline
from vae.images.crop import LUMA, ground_colour

DETAIL = 256  # pixels a side of the photographs
ARM = 3  # sides of the photograph that the arm continues below it
NAIL = 0.8  # breadths of a digit, from its tip: nails are as bright as the background
PALE = 0.5  # of the hand's median warmth
WIDEST = 2.4  # palm radii across the wrist; with more, the photograph ends at the palm or shows an arm from the side
FADED = "cross-faded to half"
Pixels = NDArray[np.uint8]


def clean_outline(picture: Pixels) -> Outline | None:
    """Find an outline to cut along, with the bright nails that a mask by colour misses: each digit is convex.

    Returns:
        The outline; None if it is unclear, or if the photograph shows no wrist or cuts off more than the arm.
    """
    outline = find_outline(picture)
    if outline is None or outline.mask[:, 0].any() or outline.mask[:, -1].any() or outline.mask[0].any():
        return None
    tips = np.zeros_like(outline.mask)
    filled = outline.mask.copy()
    for digit in outline.digits:
        whole = _convex(digit.mask)
        filled |= whole
        y, x = np.mgrid[0 : len(whole), 0 : len(whole)]
        axis = (digit.tip - digit.base) / digit.length
        ahead = (x - digit.base[0]) * axis[0] + (y - digit.base[1]) * axis[1]
        tips |= whole & (ahead > digit.length - NAIL * digit.breadth)
    mask = _without_ground(picture, filled, ~tips)
    if np.count_nonzero(mask[-1]) > WIDEST * outline.radius:
        return None
    digits = tuple(replace(digit, mask=_convex(digit.mask) & mask) for digit in outline.digits)
    return replace(outline, mask=mask, digits=digits)


def _without_ground(picture: Pixels, mask: Mask, where: Mask) -> Mask:
    """Take pale pixels away from the edge of a mask, such as shadows on white between fingers."""
    pixels = picture.astype(np.float32)
    relative = pixels / ground_colour(pixels)
    warmth = ndimage.gaussian_filter(relative[..., 0] - relative[..., 2], 0.7)
    pale = mask & where & (warmth < PALE * np.median(warmth[mask])) & (relative @ np.array(LUMA, np.float32) > 0.55)
    outside = ndimage.binary_propagation(~mask, mask=~mask | pale)
    return _largest(_opened(~outside))


def cut_out(picture: Pixels, outline: Outline, kind: str, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Edit a hand and cut it out, with an arm that continues below the photograph, bare or in a sleeve.

    Returns:
        (height, width, 3) colours in 0..255 that continue beyond the outline, and (height, width) opacity in 0..1.
    """
    padded, moved = with_room(picture, outline)
    seen = np.ones(moved.mask.shape)
    if kind == "none":
        colours, mask = padded, moved.mask
    elif kind == FADED:  # the new background shows through, not that of the photograph
        colours, mask = padded, moved.mask
        seen -= 0.5 * ndimage.gaussian_filter(any_digit(moved, rng).mask.astype(float), 1)
    else:
        colours, mask = EDITS[kind](padded, moved, rng)
    mask = _largest(mask)
    inner = _eroded(mask, 2)
    nearest = ndimage.distance_transform_edt(~inner, return_distances=False, return_indices=True)
    colours = colours[tuple(nearest)]  # no trace of the old background at the edge
    cover = _eroded(mask, 1).astype(float)
    return _with_arm(colours, cover * seen, moved, rng)


def _with_arm(colours: Floats, cover: Floats, outline: Outline, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Continue the arm below the photograph in the colours of its last rows; half of the arms get a sleeve."""
    below, height = ARM * DETAIL, len(cover)
    wrist = np.flatnonzero(cover[-1] > 0.5)
    centre, half = (wrist[0] + wrist[-1]) / 2, max((wrist[-1] - wrist[0]) / 2, 4.0)
    row, column = ndimage.center_of_mass(outline.mask)
    lean = np.clip(0.7 * (centre - column) / (height - row), -0.4, 0.4)
    y, x = np.mgrid[0 : height + below, 0 : cover.shape[1]].astype(float)
    down = (y - height) / half  # all lengths in half widths of the wrist
    across = ((x - centre) / half - lean * down) / (1 + 0.12 * down.clip(0, 4))
    last = ndimage.gaussian_filter1d(colours[-6:, wrist[0] : wrist[-1] + 1].mean(0), 2, axis=0, mode="nearest")
    places = np.linspace(-1, 1, len(last))
    arm = np.stack([np.interp(across, places, last[:, channel]) for channel in range(3)], -1)
    arm *= _uneven(across.shape, 0.02, rng)[..., None]
    hand = [np.pad(part, ((0, below), (0, 0), (0, 0))[: part.ndim]) for part in (colours, cover)]
    colours = np.where(down[..., None] >= 0, arm, hand[0])
    cover = np.where(down >= 0, (half * (1 - np.abs(across)) + 0.5).clip(0, 1), hand[1])
    skin = np.median(colours[:height][cover[:height] > 0.9] @ LUMA)
    worn = (last @ LUMA).min() < 0.5 * skin  # a sleeve or a watch in the photograph
    if rng.random() < 0.5 and not worn:
        return colours, cover
    start = -rng.uniform(0, 0.3) * outline.radius / half
    across = across / rng.uniform(1.15, 1.45)
    sleeve = ((down > start + 0.1 * (1 - across**2)) * (half * (1 - np.abs(across)) + 0.5)).clip(0, 1)
    shade = (1 - 0.35 * across.clip(-1, 1) ** 2) * _uneven(across.shape, 0.05, rng)
    shade *= np.where(down < start + rng.uniform(0.2, 0.9), rng.uniform(0.75, 1.2), 1.0)  # the cuff
    cloth = (rng.uniform(20, 225) + rng.normal(0, 25, 3)).clip(10, 245) * shade[..., None]
    return colours + sleeve[..., None] * (cloth - colours), np.maximum(cover, sleeve)


def _uneven(shape: tuple[int, ...], strength: float, rng: np.random.Generator) -> Floats:
    """Return soft random streaks along the arm, around 1."""
    coarse = rng.normal(size=(shape[0] // 60, shape[1] // 16)).astype(np.float32)
    noise = Image.fromarray(coarse).resize((shape[1], shape[0]), Image.Resampling.BICUBIC)
    return 1 + strength * np.asarray(noise, dtype=np.float64)


def _convex(mask: Mask) -> Mask:
    """Return the convex hull of a mask."""
    return hull(np.argwhere(mask)[:, ::-1].astype(float), mask.shape) | mask


def _largest(mask: Mask) -> Mask:
    """Keep the largest connected piece."""
    pieces, _ = ndimage.label(mask)
    return np.asarray(pieces == np.argmax(np.bincount(pieces.ravel())[1:]) + 1, dtype=np.bool_)


def _opened(mask: Mask) -> Mask:
    """Remove what is thinner than 5 pixels."""
    longer = np.pad(mask, ((0, 4), (0, 0)), mode="edge")
    disc = np.hypot(*np.mgrid[-2:3, -2:3]) <= 2.3
    return np.asarray(ndimage.binary_opening(longer, disc)[: len(mask)], dtype=np.bool_)


def _eroded(mask: Mask, times: int) -> Mask:
    """Remove the outer pixels, except at the lower border, where the arm continues."""
    longer = np.pad(mask, ((0, times), (0, 0)), mode="edge")
    return np.asarray(ndimage.binary_erosion(longer, iterations=times)[: len(mask)], dtype=np.bool_)
