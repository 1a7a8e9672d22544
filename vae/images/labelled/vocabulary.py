"""The words of the anatomy judge: digits, what a pixel can show, what can be the matter with a digit."""

DIGITS = ("thumb", "index", "middle", "ring", "little")
"""The five digits, in MediaPipe's order."""

REGIONS = ("ground", "palm", *DIGITS, "extra")
"""What a pixel can show; "extra" is a digit that cannot be placed: a sixth, a second thumb, two grown together."""

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
"""What can be the matter with each of the five digits; "ghost" is half transparent."""

EXTRAS = ("none", "finger", "thumb", "ghost")
"""What there may be besides the five digits."""

DOUBTS = ("cut", "drawn", "bent")
"""What a network is asked beside the anatomy: whether the frame cuts digits off, whether the picture is a drawing and
no photograph or render, whether digits are bent or hidden so that nobody could count them."""


REASONS = ("no hand", "too small", "too cluttered", "cut by the frame", "drawn", "digits bent or hidden", "unsure")
"""Why a judge does not trust its own verdict."""


JOINTS = 21
"""Joints of a hand, in MediaPipe's order: the wrist, then four of each digit from its root to its tip."""

GROUND, PALM, EXTRA = 0, 1, len(REGIONS) - 1
NORMAL, ABSENT, SEGMENT_MISSING, SEGMENT_ADDED, TOO_LONG, TOO_SHORT, FUSED, GHOST = range(len(STATES))
NO_EXTRA, EXTRA_FINGER, EXTRA_THUMB, EXTRA_GHOST = range(len(EXTRAS))
FIRST_DIGIT = 2
"""The region of the thumb; the other digits follow."""
