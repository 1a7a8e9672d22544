"""Say, digit by digit, whether a picture shows a right hand."""

from torch import Tensor

from hand_env.anatomy.judge import Judge, default_judge
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
    "Novelty",
    "Rate",
    "Summary",
    "draw_overlay",
    "judge_images",
    "judge_novelty",
    "summarise",
    "wilson",
]


def judge_images(images: Tensor, *, architecture: str = "parser", crop: bool = False) -> list[Judgement]:
    """Judge pictures of hands with the judge that comes with the package.

    Args:
        images: (n, 3, S, S) float in [0, 1], any S from 32 up, on the CPU or a GPU, where it is judged.
        architecture: "parser", which may pay rewards, or "reporter", which never does and is there to report.
        crop: Whether to find the hand first and to judge it cut out and upright: for pictures from elsewhere. Where the
            hand fills the picture, as samples of a VAE do, there is nothing to find.

    Returns:
        A judgement for each picture, in order.

    Raises:
        TypeError: If it is no floating-point tensor.
        ValueError: If its shape or its range is wrong, or it holds NaN.
    """
    device = str(images.device) if isinstance(images, Tensor) else "cpu"
    return default_judge(architecture, device).judge(images, crop=crop)
