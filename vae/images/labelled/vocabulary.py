"""The vocabulary of the anatomy judge: digits, regions, defects and doubts."""

DIGITS = ("thumb", "index", "middle", "ring", "little")
"""The five digits, in MediaPipe's order."""

REGIONS = ("ground", "palm", *DIGITS, "extra")
"""What a pixel can show; "extra" is a sixth digit, a second thumb or two fused digits."""

STATES = (
    "normal",
    "absent",
    "segment_missing",
    "segment_added",
    "too_long",
    "too_short",
    "fused",
    "ghost",
)
"""Normal, or the defect of one of the five digits; a "ghost" is half transparent."""

EXTRAS = ("none", "finger", "thumb", "ghost")
"""Digits besides the five."""

DOUBTS = ("cut", "drawn", "bent")
"""Doubts that a network learns. "cut": the frame cuts digits off. "drawn": the picture is a drawing, not a photograph
or a render. "bent": digits are bent or hidden, so that nobody can count them."""


REASONS = ("no hand", "too small", "too cluttered", "cut by the frame", "drawn", "digits bent or hidden", "unsure")
"""Reasons why a judge does not trust its verdict."""


JOINTS = 21
"""Joints of a hand, in MediaPipe's order: the wrist, then four per digit from root to tip."""

GROUND, PALM, EXTRA = 0, 1, len(REGIONS) - 1
NORMAL, ABSENT, SEGMENT_MISSING, SEGMENT_ADDED, TOO_LONG, TOO_SHORT, FUSED, GHOST = range(len(STATES))
NO_EXTRA, EXTRA_FINGER, EXTRA_THUMB, EXTRA_GHOST = range(len(EXTRAS))
FIRST_DIGIT = 2
"""Index of the thumb in `REGIONS`; the other digits follow."""
