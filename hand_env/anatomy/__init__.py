"""Say, digit by digit, whether a picture shows a correct hand."""

from torch import Tensor

from hand_env.anatomy.judge import Judge, default_judge
from hand_env.anatomy.multiple_hands import judge_hands
from hand_env.anatomy.nearest import KnownByFeatures, Nearest
from hand_env.anatomy.novelty import Known, Novelty, judge_novelty
from hand_env.anatomy.overlay import draw_overlay
from hand_env.anatomy.result import ANATOMICAL, CRITERIA, Digit, Judgement
from hand_env.anatomy.summary import Rate, Summary, summarise, wilson
from vae.images.labelled.vocabulary import DIGITS, REASONS, STATES

__all__ = [
    "ANATOMICAL",
    "CRITERIA",
    "DIGITS",
    "REASONS",
    "STATES",
    "Digit",
    "Judge",
    "Judgement",
    "Known",
    "KnownByFeatures",
    "Nearest",
    "Novelty",
    "Rate",
    "Summary",
    "draw_overlay",
    "judge_hands",
    "judge_images",
    "judge_novelty",
    "summarise",
    "wilson",
]


def judge_images(images: Tensor, *, architecture: str = "parser", crop: bool = False) -> list[Judgement]:
    """Judge pictures of hands with the judge that comes with the package.

    Args:
        images: (n, 3, S, S) float in [0, 1], S >= 32, on the CPU or a GPU. They are judged on that device.
        architecture: "parser", which may pay rewards, or "reporter", which is only for reports.
        crop: Whether to find the hand first, cut it out and turn it upright. Use it for pictures from other sources.
            Samples of a VAE do not need it, because their hands fill the picture.

    Returns:
        One judgement per picture, in order.

    Raises:
        TypeError: If `images` is not a floating-point tensor.
        ValueError: If the shape or the range is wrong, or there is a NaN.
    """
    device = str(images.device) if isinstance(images, Tensor) else "cpu"
    return default_judge(architecture, device).judge(images, crop=crop)
