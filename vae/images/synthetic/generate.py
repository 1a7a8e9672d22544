"""Generate pictures of hands with exact labels."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor

from vae.checks import check_between, check_memory, check_one_of, integer
from vae.images.synthetic.defects import DEFECTS
from vae.images.synthetic.labels import joints
from vae.images.synthetic.render import pictures_at_once, render
from vae.images.synthetic.scene import draw_scene
from vae.progress import progress_bar

SMALLEST, LARGEST = 16, 1024  # pixels a side
BYTES_PER_PIXEL = 10  # three colours, six masks of digits and one of the palm


@dataclass(frozen=True)
class SyntheticHands:
    """Pictures of n hands, fingers up, and their labels.

    Attributes:
        images: (n, 3, S, S) uint8, RGB.
        joints: (n, 21, 2) float32, x then y in pixels from the top left corner of the picture; the centre of
            the first pixel is at (0.5, 0.5). MediaPipe's order: wrist, thumb CMC, MCP, IP, TIP, then MCP,
            PIP, DIP, TIP of index, middle, ring and pinky. NaN for a joint that does not exist. If a segment
            is missing, DIP does not exist. If there is an extra segment, DIP is the last joint before the
            tip, and the extra joint has no entry. A sixth digit has no entry either.
        digit_masks: (n, 6, S, S) bool, where thumb, index, middle, ring, pinky and a sixth (extra) digit are
            visible, each from where it leaves the palm. A half-transparent digit counts as visible.
        palm_masks: (n, S, S) bool, where the rest of the hand is visible: palm and forearm.
        defect: n words, "none" or one of `DEFECTS`.
        side: n words, "dorsal" or "palmar".
        hand: n words, "left" or "right".
        spread: (n,) float32, 0: fingers together, 1: wide apart; a defect that needs room moves them further apart.
        tone: (n,) float32, individual typology angle of the back of the hand in degrees, -58 (dark) to 68
            (light).
    """

    images: Tensor
    joints: Tensor
    digit_masks: Tensor
    palm_masks: Tensor
    defect: tuple[str, ...]
    side: tuple[str, ...]
    hand: tuple[str, ...]
    spread: Tensor
    tone: Tensor


def generate_hands(
    n: int,
    size: int,
    *,
    seed: int,
    defect: str = "none",
    rings: bool = False,
    sleeves: bool = False,
    device: str = "cpu",
    progress: bool = False,
    first: int = 0,
) -> SyntheticHands:
    """Generate n hands.

    Picture i depends only on the seed and on i. So a larger set begins with the pictures of a smaller one, bit for bit
    on a CPU. With the same seed, a malformed hand is the correct hand with a defect.

    Args:
        n: Number of pictures, >= 1.
        size: Pixels a side, 16..1024.
        seed: Any integer >= 0.
        defect: "none", one of `DEFECTS`, or "any" for a uniform mix of them.
        rings: Whether about half the hands wear a ring.
        sleeves: Whether about half the hands wear a sleeve or a watch.
        device: Where to render, "cpu" or "cuda".
        progress: Whether to show a progress bar outside `vae.progress.show_progress` too.
        first: The index of the first picture.

    Returns:
        The pictures and their labels, on the CPU.

    Raises:
        TypeError: If a number is no integer.
        ValueError: If an argument is out of its range.
    """
    n, seed, first = integer("n", n, 1), integer("seed", seed, 0), integer("first", first, 0)
    size = integer("size", size)
    check_between("size", size, SMALLEST, LARGEST, advice="Use 64, 128 or 256 to train a VAE.")
    check_fits("n", n, size)
    check_one_of("defect", defect, ("none", "any", *DEFECTS), advice="Use 'none' for correct hands.")
    chunk = pictures_at_once(size, device)
    starts = range(first, first + n, chunk)
    parts = []
    with progress_bar(title="Rendering hands", unit="hands", total=n, asked=progress) as bar:
        for start in starts:
            indices = range(start, min(start + chunk, first + n))
            parts.append(_generate_chunk(indices, size, seed, defect, rings, sleeves, device))
            bar.update(len(indices))
    return _join(parts)


def check_fits(name: str, n: int, size: int) -> None:
    """Refuse more hands than the computer's memory can hold, with their masks.

    Args:
        name: What the caller calls their number, for the message.
        n: Number of pictures.
        size: Pixels a side.

    Raises:
        ValueError: If there are too many. On Windows, which does not say how much memory it has, there never are.
    """
    check_memory(name, n, BYTES_PER_PIXEL * max(1, size) ** 2, f"hands of {size} pixels")


def _generate_chunk(
    indices: range, size: int, seed: int, defect: str, rings: bool, sleeves: bool, device: str
) -> SyntheticHands:
    scene = draw_scene(indices, size, seed, defect, rings, sleeves)
    images, digit_masks, palm_masks = render(scene, size, device)
    return SyntheticHands(
        images=images,
        joints=joints(scene.skeleton, scene.camera),
        digit_masks=digit_masks,
        palm_masks=palm_masks,
        defect=scene.kinds,
        side=tuple("palmar" if palmar else "dorsal" for palmar in scene.look.palmar.tolist()),
        hand=tuple("left" if left else "right" for left in scene.left.tolist()),
        spread=scene.spread[:, 0].float(),
        tone=scene.look.tone.float(),
    )


def _join(parts: list[SyntheticHands]) -> SyntheticHands:
    joined: dict[str, Any] = {}  # each field in its own type
    for field in fields(SyntheticHands):
        values = [getattr(part, field.name) for part in parts]
        joined[field.name] = torch.cat(values) if isinstance(values[0], Tensor) else sum(values, ())
    return SyntheticHands(**joined)
