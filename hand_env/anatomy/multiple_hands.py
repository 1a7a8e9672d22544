"""Judge every hand of a picture: what `handlatent judge` does with its crop step."""

from __future__ import annotations

import torch
from scipy import ndimage
from torch import Tensor

from hand_env.anatomy.crop_step import Frames, cut_out
from hand_env.anatomy.judge import CHUNK, SMALLEST, Judge, check_images, to_judgements
from hand_env.anatomy.result import Judgement
from vae.images.labelled.vocabulary import GROUND, PALM
from vae.progress import in_chunks

SHARE = 0.25  # of the largest hand's cells in the region map: smaller parts are not hands of their own
SAME = 0.4  # of the larger box's side: two boxes whose centres are nearer to each other show one hand
AROUND = 1.2  # side of a hand's square over the extent of its cells; one more cell is added at each edge


@torch.no_grad()
def judge_hands(judge: Judge, images: Tensor) -> list[list[Judgement]]:
    """Judge every hand of each picture, with the crop step.

    Args:
        judge: The judge.
        images: (n, 3, S, S) float in [0, 1], S >= 32.

    Returns:
        For each picture, one judgement per hand, from left to right. A picture without two separate hands has one
        judgement, that of `Judge.judge(images, crop=True)`.

    Raises:
        TypeError: If `images` is not a floating-point tensor.
        ValueError: If the shape or the range is wrong, or there is a NaN.
    """
    check_images(images)
    judged = []
    for chunk in in_chunks(images, CHUNK[judge.device.type], "Judging"):
        found = judge.find(chunk, crop=True)
        alone = to_judgements(found, images.shape[-1])
        for image, one, hands in zip(chunk.float(), alone, separate_hands(found.map), strict=True):
            each = [judgement for cells in hands if (judgement := _judge_one(judge, image, cells)).palm]
            apart = _each_once(each)
            judged.append(apart if len(apart) > 1 else [one])
    return judged


def _each_once(judgements: list[Judgement]) -> list[Judgement]:
    """Leave out hands that were found twice: the centre of a box lies near that of a larger one."""
    kept: list[Judgement] = []
    for one in sorted(judgements, key=lambda judgement: -judgement.box[2]):
        x, y, _ = one.box
        if all(max(abs(x - a), abs(y - b)) > SAME * side for a, b, side in (other.box for other in kept)):
            kept.append(one)
    return sorted(kept, key=lambda judgement: judgement.box[0])


def separate_hands(regions: Tensor) -> list[list[Tensor]]:
    """Find separate hands in region maps: connected cells, some of them palm.

    Args:
        regions: (n, 8, h, w) logits of `REGIONS`.

    Returns:
        For each picture, the cells of its hands, (h, w) bool each, from left to right; none if there are not at least
        two hands.
    """
    return [_separate(shown) for shown in regions.argmax(1).cpu()]


def _separate(shown: Tensor) -> list[Tensor]:
    labels, count = ndimage.label((shown != GROUND).numpy())
    parts = [torch.from_numpy(labels == number) for number in range(1, count + 1)]
    parts = [part for part in parts if (shown[part] == PALM).any()]
    least = SHARE * max((part.sum() for part in parts), default=0)
    parts = [part for part in parts if part.sum() >= least]
    return sorted(parts, key=lambda part: float(part.nonzero()[:, 1].float().mean())) if len(parts) > 1 else []


def _judge_one(judge: Judge, image: Tensor, cells: Tensor) -> Judgement:
    """Cut the square around some cells out, at the picture's own resolution, and judge it."""
    size, cell = image.shape[-1], image.shape[-1] / len(cells)  # pixels
    places = cells.nonzero()
    low, high = places.amin(0) * cell, (places.amax(0) + 1) * cell  # y before x, pixels
    side = max(SMALLEST, round(float((high - low).max()) * AROUND + 2 * cell))
    top, left = ((low + high - side) / 2).round().int().tolist()
    square = Frames(
        torch.tensor([[left + side / 2, top + side / 2]], device=image.device) / size,
        torch.tensor([side / size], device=image.device),
        torch.zeros(1, device=image.device),
    )
    return judge.judge(cut_out(image.unsqueeze(0), square, side), crop=True)[0].placed(left, top)
