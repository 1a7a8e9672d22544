"""Put test people's hands, right and edited, on cluttered backgrounds and make them small; measure the judge on them.

The hands are cut out along their outline, not along landmarks or region maps, and the code is not that of the training.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from hand_env.anatomy.judge import Judge
from hand_env.anatomy.report.clutter import Ground, plain
from hand_env.anatomy.report.cut_outs import ARM, DETAIL, clean_outline, cut_out
from hand_env.anatomy.report.edits import EDITS
from hand_env.anatomy.report.outline import Floats
from hand_env.anatomy.report.outside import OutsideRow, compare
from hand_env.anatomy.result import Judgement
from vae.images import load_hands11k, to_float
from vae.images.resize import resize
from vae.progress import progress_bar

SEED = 4_000_007  # of all random choices here; neither training nor validation uses it
SIDE = 384  # pixels a side of a scene before it is made smaller
RIGHT, WRONG = 8, 2  # scenes of a photograph in each condition: unedited, and with each edit
CONTRAST = 50  # least mean difference, 0..255, between a digit that is faded to half and the background
CHUNK = 64  # scenes that are judged together
LEFT_OUT = {f"Hand_{number:07}.jpg" for number in (505, 510, 538, 6052)}
"""Photographs whose cut-out hand looked wrong; chosen by eye, not by verdicts."""

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Condition:
    """How hands are shown.

    Attributes:
        name: Name in the table.
        fill: Smallest and largest extent of the hand, as a share of the frame's side.
        turn: Largest rotation in degrees.
        cluttered: Whether the background is cluttered.
    """

    name: str
    fill: tuple[float, float]
    turn: float
    cluttered: bool


CONDITIONS = (
    Condition("large, cluttered ground", (0.75, 0.95), 12, True),
    Condition("small, plain ground", (0.35, 0.6), 25, False),
    Condition("small, cluttered ground", (0.35, 0.6), 25, True),
)


@dataclass(frozen=True, eq=False)
class Scene:
    """A hand in a scene.

    Attributes:
        condition: Name of the condition.
        ground: The kind of background.
        edit: A key of `EDITS`, or "none" for a right hand.
        image: (3, S, S) uint8.
    """

    condition: str
    ground: str
    edit: str
    image: Tensor


def cleanest_photographs(root: Path) -> Tensor:
    """Read the test people's photographs without those of `LEFT_OUT`, (n, 3, 256, 256) uint8."""
    found = load_hands11k(root, DETAIL, irregularities="exclude", part="test")
    return found.pixels[[name not in LEFT_OUT for name in found.names]]


def compose_scenes(
    photographs: Tensor, size: int, grounds: Mapping[str, Ground], right: int = RIGHT, wrong: int = WRONG
) -> Iterator[Scene]:
    """Yield the scenes of all photographs with a clear outline.

    Args:
        photographs: (n, 3, 256, 256) uint8, fingers up.
        size: Pixels a side of the scenes.
        grounds: The kinds of cluttered backgrounds, used in turn.
        right: Scenes of each unedited photograph in each condition.
        wrong: Scenes of each photograph with each edit in each condition.
    """
    pictures = [photograph.permute(1, 2, 0).numpy() for photograph in photographs]
    clear = [(picture, outline) for picture in pictures if (outline := clean_outline(picture)) is not None]
    rng = np.random.default_rng(SEED)
    kinds = ["none"] * right + list(EDITS) * wrong
    jobs = [(condition, *hand, kind) for condition in CONDITIONS for hand in clear for kind in kinds]
    for number, (condition, picture, outline, kind) in enumerate(progress_bar(jobs, "Composing scenes", unit="scenes")):
        name = list(grounds)[number % len(grounds)] if condition.cluttered else "plain"
        ground = grounds[name] if condition.cluttered else plain
        hand, image = cut_out(picture, outline, kind, rng), None
        while image is None:
            image = compose(*hand, ground(SIDE, rng), condition, rng)
        yield Scene(condition.name, name, kind, torch.tensor(resize(image, size, size)).permute(2, 0, 1))


def compose(
    colours: Floats, cover: Floats, ground: Pixels, condition: Condition, rng: np.random.Generator
) -> Pixels | None:
    """Put a cut-out hand on a background, with a shadow, in a common light and with the noise of a camera.

    Args:
        colours: From `cut_out`.
        cover: From `cut_out`.
        ground: (S, S, 3) uint8.
        condition: How large the hand is, and how far it may be rotated.
        rng: Source of random numbers.

    Returns:
        (S, S, 3) uint8; None if a half transparent digit has the colour of the background behind it.
    """
    size, (middle, extent) = len(ground), _extent(cover)
    fill, angle = rng.uniform(*condition.fill), np.deg2rad(rng.uniform(-condition.turn, condition.turn))
    place = size / 2 + rng.uniform(-0.85, 0.85, 2) * (size - fill * size) / 2
    matrix = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]) * extent / (fill * size)
    settings = {"offset": middle - matrix @ place, "output_shape": (size, size), "order": 1}
    channels = [ndimage.affine_transform(colours[..., c], matrix, mode="nearest", **settings) for c in range(3)]
    skin, soft = np.stack(channels, -1), ndimage.affine_transform(cover, matrix, **settings)
    faded = ndimage.binary_erosion((soft > 0.4) & (soft < 0.6), iterations=2)
    if faded.any() and np.abs(skin - ground)[faded].mean() < CONTRAST:
        return None
    soft = ndimage.gaussian_filter(soft, 1.2)[..., None]  # less than a pixel of the result
    shadow = ndimage.shift(ndimage.gaussian_filter(soft[..., 0], size / 45), size / 60, order=1)[..., None]
    dark = ground * (1 - rng.uniform(0.1, 0.45) * shadow)
    light = rng.uniform(0.7, 1.1) * (1 + rng.uniform(-0.05, 0.05, 3))
    lit = light * (dark + soft * (skin - dark)) + rng.normal(0, 4, skin.shape)
    return np.asarray(lit.clip(0, 255).astype(np.uint8))


def _extent(cover: Floats) -> tuple[Floats, float]:
    """Return the middle, row before column, and the larger side of the hand without the added arm."""
    hand = cover[: len(cover) - ARM * DETAIL] > 0.2
    rows, columns = np.flatnonzero(hand.any(1)), np.flatnonzero(hand.any(0))
    low, high = np.array([rows[0], columns[0]], float), np.array([len(hand), columns[-1] + 1], float)
    return (low + high) / 2, float((high - low).max())


def judge_scenes(judge: Judge, some: Sequence[Scene]) -> list[Judgement]:
    """Judge scenes as `handlatent judge` judges pictures of one hand: with the crop."""
    judgements = []
    for start in progress_bar(range(0, len(some), CHUNK), "Judging scenes", unit="batches"):
        images = to_float(torch.stack([scene.image for scene in some[start : start + CHUNK]]))
        judgements += judge.judge(images, crop=True)
    return judgements


def scene_table(judged: Sequence[tuple[Scene, Judgement]]) -> list[OutsideRow]:
    """Compare verdicts with the truth: over all, by condition, by kind of cluttered background and by edit."""
    clutter = [pair for pair in judged if pair[0].ground != "plain"]
    kinds = {"all": judged, "trusted": [pair for pair in judged if pair[1].trusted]}
    for condition in CONDITIONS:
        kinds[condition.name] = [pair for pair in judged if pair[0].condition == condition.name]
    kinds["cluttered ground, large or small"] = clutter
    for ground in sorted({scene.ground for scene, _ in clutter}):
        kinds[f"  {ground}"] = [pair for pair in clutter if pair[0].ground == ground]
    for edit in EDITS:
        kinds[f"  {edit}"] = [pair for pair in judged if pair[0].edit == edit]
    return [
        compare(name, [(scene.edit == "none", said) for scene, said in some]) for name, some in kinds.items() if some
    ]


def why_rejected(judged: Sequence[tuple[Scene, Judgement]]) -> str:
    """Say by which criteria right hands were rejected, and how many of these verdicts were not trusted and why."""
    lost = [said for scene, said in judged if scene.edit == "none" and not said.anatomical]
    lines = [f"right hands rejected: {len(lost)}, trusted: {sum(said.trusted for said in lost)}"]
    for title, names in (
        ("  failed", [name for said in lost for name in said.failures]),
        ("  doubts", [name for said in lost for name in said.doubts]),
    ):
        counts = ", ".join(f"{name} {count}" for name, count in Counter(names).most_common())
        lines.append(f"{title}: {counts or 'none'}")
    return "\n".join(lines)
