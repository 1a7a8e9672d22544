"""Make the pictures on which the judge is measured."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from hand_env.anatomy.report.edits import EDITS, edited
from hand_env.anatomy.report.outline import find_outline
from vae.images import PictureError, load_hands11k
from vae.images.crop import LUMA, ground_colour, hand_mask
from vae.images.decode import open_picture
from vae.images.labels import read_labels
from vae.images.resize import resize
from vae.images.synthetic import DEFECTS, generate_hands
from vae.progress import progress_bar

Asked = Literal["anatomical", "correct"]
SEED = 2_000_003  # of the synthetic hands and random choices here; neither training nor validation uses it
TIMES = 3  # edits of each kind per photograph with a clear outline, each at a random digit
DETAIL = 256  # pixels a side of the photographs that are edited
Pixels = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Case:
    """Pictures of one kind.

    Attributes:
        name: Name in the table.
        asked: The verdict that is compared with the truth.
        right: The true verdict on each picture.
        wanted: Required share of right verdicts.
        base: Case whose right pictures are ranked against these, for the area under the ROC curve; "" for this one.
        images: (n, 3, S, S) uint8.
        counts: Whether to also check the number of digits: four fingers and a thumb.
    """

    name: str
    asked: Asked
    right: tuple[bool, ...]
    wanted: float
    base: str
    images: Tensor
    counts: bool = False


def report_cases(size: int, data: Path | None, n: int = 300, some: slice = slice(None)) -> Iterator[Case]:
    """Yield the cases, one after another.

    Args:
        size: Pixels a side, 64 or 128.
        data: The folder that holds `11k-hands` and `judged-hands`; the cases of a missing folder are left out.
        n: Number of synthetic hands with each defect; there are 2 n correct ones.
        some: Which of the test people's photographs to use; default: all.
    """
    drawn = generate_hands(2 * n, size, seed=SEED, rings=True, sleeves=True)
    yield Case("synthetic correct", "correct", (True,) * (2 * n), 0.97, "", drawn.images, counts=True)
    for defect in DEFECTS:
        wrong = generate_hands(n, size, seed=SEED, defect=defect, rings=True, sleeves=True, first=2 * n).images
        name = f"synthetic, {defect.replace('_', ' ')}"
        yield Case(name, "anatomical", (False,) * n, 0.95, "synthetic correct", wrong)
    photographed, judged = _there(size, data)
    if photographed:
        yield from _photographed(size, photographed, some)
    if judged:
        yield _judged(judged)


def count_cases(size: int, data: Path | None) -> int:
    """Return how many cases `report_cases` yields, if there are photographs with a clear outline."""
    photographed, judged = _there(size, data)
    of_photographs = 2 + len(EDITS) + len(_spoilt([], np.random.default_rng(0)))
    return 1 + len(DEFECTS) + bool(photographed) * of_photographs + bool(judged)


def _there(size: int, data: Path | None) -> tuple[Path | None, Path | None]:
    """Return the folders that cases are made from: of the download, and of judged hands."""
    if data is None:
        return None, None
    photographed, judged = data / "11k-hands", data / "judged-hands"
    return (
        photographed if (photographed / "HandInfo.csv").is_file() else None,
        judged if (judged / "labels.csv").is_file() and size == 64 else None,
    )


def _photographed(size: int, root: Path, some: slice) -> Iterator[Case]:
    photographs = load_hands11k(root, DETAIL, irregularities="exclude", part="test").pixels[some]
    pictures = [photograph.permute(1, 2, 0).numpy() for photograph in photographs]
    small = [resize(picture, size, size) for picture in pictures]
    wanted = 0.95 if size >= 128 else 0.93
    yield Case("photographs", "correct", (True,) * len(small), wanted, "", _stacked(small), counts=True)
    seen = progress_bar(pictures, "Finding outlines", unit="photographs")
    clear = [(picture, outline) for picture in seen if (outline := find_outline(picture)) is not None]
    rng = np.random.default_rng(SEED)
    for kind in ("none", *EDITS) if clear else ():
        often = clear * (1 if kind == "none" else TIMES)
        bar = progress_bar(often, "Editing photographs", unit="photographs")
        changed = [edited(picture, outline, kind, rng, size) for picture, outline in bar]
        if kind == "none":
            name, right = "photographs, in a new frame", True
        else:
            name, right = f"photographs, {kind}", False
        base = "photographs, in a new frame" if kind != "none" else ""
        yield Case(name, "anatomical", (right,) * len(changed), wanted if right else 0.9, base, _stacked(changed))
    for name, spoilt in _spoilt(small, rng).items():
        yield Case(name, "correct", (False,) * len(spoilt), 0.98, "photographs", _stacked(spoilt))


def _judged(root: Path) -> Case:
    rows = read_labels(root / "labels.csv", ("image", "correct"))
    pictures = [_opened(root / "images" / row["image"]) for row in rows]
    right = tuple(row["correct"] == "1" for row in rows)
    return Case("judged hands (balanced accuracy)", "anatomical", right, 0.9, "", _stacked(pictures))


def _opened(path: Path) -> Pixels:
    try:
        with open_picture(path) as image:
            return np.asarray(image.convert("RGB"))
    except PictureError as error:
        raise ValueError(f"{str(path)!r} {error}.") from error


def _spoilt(pictures: list[Pixels], rng: np.random.Generator) -> dict[str, list[Pixels]]:
    """Make whole photographs incorrect, in several ways."""
    n = len(pictures)
    partners = [(index + n // 2) % n for index in range(n)]
    masked = [(picture, _hand(picture)) for picture in pictures]
    return {
        "patches shuffled": [_shuffled(picture, rng) for picture in pictures],
        "flat silhouettes": [_flat(picture, hand) for picture, hand in masked],
        "two photographs averaged": [
            ((picture.astype(np.uint16) + pictures[other]) // 2).astype(np.uint8)
            for picture, other in zip(pictures, partners, strict=True)
        ],
        "blurred at sigma 3 of 64": [
            ndimage.gaussian_filter(picture, (3 * len(picture) / 64,) * 2 + (0,), mode="nearest")
            for picture in pictures
        ],
        "green skin": [_tinted(picture, hand, (0.55, 1.0, 0.5)) for picture, hand in masked],
        "blue skin": [_tinted(picture, hand, (0.5, 0.6, 1.0)) for picture, hand in masked],
        "upside down": [picture[::-1, ::-1].copy() for picture in pictures],
    }


def _shuffled(picture: Pixels, rng: np.random.Generator) -> Pixels:
    side = len(picture) // 4
    squares = picture.reshape(4, side, 4, side, 3).transpose(0, 2, 1, 3, 4).reshape(16, side, side, 3)
    mixed = squares[rng.permutation(16)].reshape(4, 4, side, side, 3)
    return np.ascontiguousarray(mixed.transpose(0, 2, 1, 3, 4).reshape(picture.shape))


def _hand(picture: Pixels) -> NDArray[np.bool_]:
    pixels = picture.astype(np.float32)
    return np.asarray(ndimage.binary_fill_holes(hand_mask(pixels, ground_colour(pixels))), dtype=np.bool_)


def _flat(picture: Pixels, hand: NDArray[np.bool_]) -> Pixels:
    flat = np.full_like(picture, 245)
    if hand.any():
        flat[hand] = np.median(picture[hand], axis=0)
    return flat


def _tinted(picture: Pixels, hand: NDArray[np.bool_], gains: tuple[float, float, float]) -> Pixels:
    """Give the skin another hue: its grey value times 1.1 times the gains."""
    grey = picture.astype(np.float64) @ LUMA
    tinted = (1.1 * grey[..., None] * gains).clip(0, 255)
    return np.where(hand[..., None], tinted, picture).astype(np.uint8)


def _stacked(pictures: list[Pixels]) -> Tensor:
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).contiguous()
