"""Result types: what the judge says about one picture."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any


@dataclass(frozen=True)
class Digit:
    """One of the five digits.

    Attributes:
        name: One of `DIGITS`.
        state: One of `STATES`: "normal" or the defect.
        segments: Number of phalanges: 3, or 2 in a thumb, unless one is missing or added; 0 if the digit is absent.
        human: Whether its length is normal: neither too long nor too short.
        joints: Four (x, y) in pixels from the top left corner, from root to tip; empty if the digit is absent.
    """

    name: str
    state: str
    segments: int
    human: bool
    joints: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Judgement:
    """What the judge says about one picture.

    Attributes:
        palm: Whether there is a hand with a palm.
        fingers: Number of fingers without the thumb; two fused fingers count as one. 0 without a hand.
        thumbs: Number of thumbs; 0 without a hand.
        unplaced: Number of digits, or ghosts of digits, besides the five: 0 or 1; 0 without a hand.
        digits: The five digits, thumb first.
        wrist: (x, y) in pixels from the top left corner.
        tone_degrees: Individual typology angle of the skin, degrees: above 55 is very light, below -30 is dark.
        tone_human: Whether human skin can have this colour.
        up_degrees: Direction of the fingers, degrees clockwise from straight up, -180..180.
        up_right: Whether the fingers point up, within 45 degrees.
        sharpness: Sharpness of the edges, relative to the median of real photographs of this size.
        sharp: Whether the picture is as sharp as real photographs of this size.
        score: [0, 1], larger is better. Use it as a reward, not in reports.
        failures: The `CRITERIA` that are not met.
        anatomical: Whether palm, digits and segments are correct; blur does not matter.
        correct: Whether all `CRITERIA` are met and the verdict is trusted.
        trusted: Whether the verdict is reliable; if not, it is a guess.
        doubts: The `REASONS` why it is not trusted; empty if it is.
        box: (x, y, side) of the judged square: its centre and its side, pixels.
        turn_degrees: Clockwise rotation of that square, degrees.
    """

    palm: bool
    fingers: int
    thumbs: int
    unplaced: int
    digits: tuple[Digit, ...]
    wrist: tuple[float, float]
    tone_degrees: float
    tone_human: bool
    up_degrees: float
    up_right: bool
    sharpness: float
    sharp: bool
    score: float
    failures: tuple[str, ...]
    anatomical: bool
    correct: bool
    trusted: bool = True
    doubts: tuple[str, ...] = ()
    box: tuple[float, float, float] = (0.0, 0.0, 0.0)
    turn_degrees: float = 0.0

    def placed(self, left: float, top: float, scale: float = 1.0) -> Judgement:
        """Return the same judgement with each place (x, y) moved to (left + scale * x, top + scale * y)."""

        def move(place: tuple[float, float]) -> tuple[float, float]:
            return left + scale * place[0], top + scale * place[1]

        digits = tuple(replace(digit, joints=tuple(map(move, digit.joints))) for digit in self.digits)
        across, down, side = self.box
        box = (*move((across, down)), scale * side)
        return replace(self, digits=digits, wrist=move(self.wrist), box=box)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain values, for JSON."""
        return asdict(self)


CRITERIA = (
    "palm",
    "fingers",
    "thumb",
    "segments",
    "proportions",
    "separate",
    "solid",
    "whole",
    "skin",
    "orientation",
    "sharpness",
)
"""What is judged; `anatomical` needs all criteria up to "whole", `correct` needs all of them."""


ANATOMICAL = CRITERIA[:8]
