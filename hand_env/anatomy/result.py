"""What the judge says of one picture."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Digit:
    """One of the five digits.

    Attributes:
        name: Of `DIGITS`.
        state: Of `STATES`: what is the matter with it.
        segments: How many phalanges are seen: 3, of a thumb 2, unless one is missing or added; 0 if it is absent.
        human: Whether its segments are in human proportion: neither too long nor too short.
        joints: Four (x, y) in pixels from the top left corner, from its root to its tip; empty if it is absent.
    """

    name: str
    state: str
    segments: int
    human: bool
    joints: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Judgement:
    """What the judge says of one picture.

    Attributes:
        palm: Whether there is a hand with a palm at all.
        fingers: How many, the thumb not counted; two grown together are one.
        thumbs: How many.
        unplaced: Digits, or ghosts of digits, that belong to none of the five.
        digits: The five, thumb first.
        wrist: (x, y) in pixels.
        tone_degrees: Individual typology angle of the skin, degrees: above 55 very light, below -30 dark.
        tone_human: Whether the colour of the skin is one that people have.
        up_degrees: Where the fingers point, clockwise from straight up, -180..180.
        up_right: Whether that is the asked orientation, up, within 45 degrees.
        sharpness: Of its edges, relative to the median of real photographs at this size.
        sharp: Whether real photographs at this size are as blurred.
        score: In [0, 1]; grows with quality; for use as a reward, never to report.
        failures: Of `CRITERIA`, those that do not hold.
        anatomical: Whether palm, digits and segments are right, whatever the blur.
        correct: Whether it is anatomical, skin tone, orientation and sharpness hold too, and the verdict is trusted.
        trusted: Whether the judge knows what it says; where it does not, the verdicts are guesses.
        doubts: Of `REASONS`, why it does not; empty where it does.
        box: (x, y, side) of the square that was judged, its middle and its side in pixels.
        turn_degrees: How far that square is turned, clockwise.
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

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
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
"""What a picture is judged by; `anatomical` asks for all up to "whole", `correct` for all."""


ANATOMICAL = CRITERIA[:8]
