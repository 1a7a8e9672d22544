"""Draw hands: an embedded data set of any size, with exact labels and malformed hands on request."""

from vae.images.synthetic.defects import DEFECTS
from vae.images.synthetic.generate import SyntheticHands, generate_hands

__all__ = ["DEFECTS", "SyntheticHands", "generate_hands"]
