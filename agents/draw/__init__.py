"""Draw hands from packaged weights or from a run, in Python or with the settings of a command; no files are written."""

from agents.draw.hands import DrawnHands, draw_hands

__all__ = ["DrawnHands", "draw_hands"]
