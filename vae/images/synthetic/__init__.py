"""Generate synthetic hands: a built-in data set of any size, with exact labels and, on request, malformed hands."""

from vae.images.synthetic.defects import DEFECTS
from vae.images.synthetic.generate import SyntheticHands, generate_hands

__all__ = ["DEFECTS", "SyntheticHands", "generate_hands"]
