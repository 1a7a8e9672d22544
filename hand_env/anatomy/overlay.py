"""Draw the judge's findings on a picture, so that a person can see the reason for the verdict."""

import math
from textwrap import wrap

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor

from hand_env.anatomy.result import Judgement
from vae.images import to_uint8

SIDE = 320  # side of the picture in the drawing, pixels
COLOURS = {"thumb": "#e6194b", "index": "#0072ce", "middle": "#12a14b", "ring": "#f58231", "little": "#b22ab2"}
CAPTION = 96  # height of the text below the picture, pixels: six lines
LETTERS = 52  # of a line of text


def draw_overlay(image: Tensor, judgement: Judgement) -> NDArray[np.uint8]:
    """Draw digits, joints and verdict.

    Args:
        image: (3, S, S) float in [0, 1].
        judgement: The judge's findings on that picture.

    Returns:
        (416, 320, 3) uint8.
    """
    factor = SIDE / image.shape[-1]
    picture = Image.new("RGB", (SIDE, SIDE + CAPTION), "white")
    pixels = to_uint8(image).permute(1, 2, 0).cpu().numpy()
    picture.paste(Image.fromarray(pixels).resize((SIDE, SIDE), Image.Resampling.BICUBIC))
    canvas = ImageDraw.Draw(picture)
    wrist = (judgement.wrist[0] * factor, judgement.wrist[1] * factor)
    _box(canvas, judgement, factor)
    for digit in judgement.digits:
        places = [wrist, *((x * factor, y * factor) for x, y in digit.joints)]
        colour = COLOURS[digit.name]
        canvas.line(places[: 1 if not digit.joints else None], fill=colour, width=2 if digit.state == "normal" else 5)
        for x, y in places[1:]:
            canvas.ellipse((x - 4, y - 4, x + 4, y + 4), outline=colour, width=2)
        if digit.state != "normal" and digit.joints:
            canvas.text(places[-1], digit.state, fill=colour, font_size=13)
    verdict = "correct" if judgement.correct else "anatomical" if judgement.anatomical else "not anatomical"
    counts = {"finger": judgement.fingers, "thumb": judgement.thumbs}
    counted = ", ".join(f"{n} {name}{'' if n == 1 else 's'}" for name, n in counts.items())
    counted += f", {judgement.unplaced} unplaced" if judgement.unplaced else ""
    canvas.rectangle((0, SIDE, SIDE, SIDE + CAPTION), fill="white")  # over what lies beyond the picture
    lines = [(f"{verdict}, {judgement.score:.2f}; {counted}", "black")]
    lines += [] if judgement.trusted else [(f"not trusted: {', '.join(judgement.doubts)}", "black")]
    lines += [(", ".join(judgement.failures), "#c00000")]
    wrapped = [(part, colour) for line, colour in lines for part in wrap(line, LETTERS)]
    for number, (part, colour) in enumerate(wrapped):
        canvas.text((6, SIDE + 4 + 15 * number), part, fill=colour, font_size=12)
    return np.asarray(picture)


def _box(canvas: ImageDraw.ImageDraw, judgement: Judgement, factor: float) -> None:
    """Draw the judged square, with a thick upper side, unless it is the whole picture."""
    x, y, side = (value * factor for value in judgement.box)
    if not side or (math.isclose(side, SIDE) and not judgement.turn_degrees):
        return
    cos, sin = math.cos(math.radians(judgement.turn_degrees)), math.sin(math.radians(judgement.turn_degrees))
    half = side / 2
    corners = [
        (x + cos * across - sin * down, y + sin * across + cos * down)
        for across, down in ((-half, -half), (half, -half), (half, half), (-half, half))
    ]
    canvas.polygon(corners, outline="#ffe119")
    canvas.line(corners[:2], fill="#ffe119", width=3)
