"""A hand as the page shows it: its picture, the judge's findings, and the verdict criterion by criterion."""

import base64
import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from agents.runs.run import Run
from hand_env.anatomy import CRITERIA, Judgement, draw_overlay
from hand_env.anatomy.judge import default_judge
from vae.evaluation import decode_all
from vae.images import to_float
from vae.torch_modes import usual_modes


def as_url(pixels: NDArray[np.uint8]) -> str:
    """Write a picture as PNG into an address that a page can show without a request.

    Args:
        pixels: (height, width, 3) uint8.
    """
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", compress_level=1)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def hand(picture: Tensor, judgement: Judgement) -> dict[str, Any]:
    """Describe a hand in a grid.

    Args:
        picture: (3, S, S) uint8.
        judgement: The judge's findings on it.

    Returns:
        Its picture, the verdict in words, and whether it is correct.
    """
    pixels = picture.permute(1, 2, 0).numpy()
    return {"picture": as_url(pixels), "verdict": in_words(judgement), "correct": judgement.correct}


@usual_modes()
def decoded_hand(run: Run, latent: Tensor) -> dict[str, Any]:
    """Decode a latent, (D,), and describe its hand as `hand` does, with the verdict of the reporting judge."""
    pictures = decode_all(run.vae, latent.unsqueeze(0))
    return hand(pictures[0], default_judge("reporter").judge(to_float(pictures))[0])


def in_words(judgement: Judgement) -> str:
    """Give the verdict in a few words."""
    verdict = "correct" if judgement.correct else "anatomical" if judgement.anatomical else "not anatomical"
    if not judgement.trusted:
        return f"not trusted ({', '.join(judgement.doubts)})"
    return f"{verdict}: {', '.join(judgement.failures)}" if judgement.failures else verdict


def details(picture: Tensor, judgement: Judgement) -> dict[str, Any]:
    """Describe a hand in full.

    Args:
        picture: (3, S, S) uint8.
        judgement: The judge's findings on it.

    Returns:
        The overlay, the verdict in words, the score, and for each criterion its name, whether it is met, and what the
        judge found.
    """
    found = _found(judgement)
    rows = [
        {
            "criterion": name,
            "met": name not in judgement.failures,
            "found": found[name],
        }
        for name in CRITERIA
    ]
    overlay = as_url(draw_overlay(to_float(picture), judgement))
    return {"overlay": overlay, "verdict": in_words(judgement), "score": judgement.score, "criteria": rows}


def _found(judgement: Judgement) -> dict[str, str]:
    """Say for each criterion what the judge saw."""
    states = {digit.name: digit.state for digit in judgement.digits}
    segments = [f"{digit.name} has {digit.segments}" for digit in judgement.digits if "segment" in digit.state]
    lengths = [f"{digit.name} {digit.state.replace('_', ' ')}" for digit in judgement.digits if not digit.human]
    fused = [name for name, state in states.items() if state == "fused"]
    ghosts = [name for name, state in states.items() if state == "ghost"]
    absent = [f"no {name}" for name, state in states.items() if state == "absent" and name != "thumb"]
    return {
        "palm": "a palm" if judgement.palm else "no palm",
        "fingers": ", ".join([_counted(judgement.fingers, "finger"), *absent]),
        "thumb": _counted(judgement.thumbs, "thumb"),
        "segments": ", ".join(segments) or "2 in the thumb, 3 in each finger that is there",
        "proportions": ", ".join(lengths) or "no digit too long or too short",
        "separate": f"fused: {', '.join(fused)}" if fused else "no digits fused",
        "solid": f"ghosts: {', '.join(ghosts) or 'beside the five'}" if "solid" in judgement.failures else "no ghosts",
        "whole": "as a whole not like a hand" if "whole" in judgement.failures else "as a whole like a hand",
        "skin": f"typology angle {judgement.tone_degrees:.0f} degrees",
        "orientation": f"fingers {abs(judgement.up_degrees):.0f} degrees from straight up",
        "sharpness": f"{judgement.sharpness:.2f} of the median of photographs",
    }


def _counted(number: int, name: str) -> str:
    return f"{number} {name}{'' if number == 1 else 's'}"
