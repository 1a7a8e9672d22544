"""The command `handlatent compare`: what samplers and agents make of latents, in one table over several runs."""

from agents.compare.args import CompareArgs
from agents.compare.cells import Cell, Cost
from agents.compare.main import compare
from agents.compare.pieces import Corrections, Pieces, read_pieces

__all__ = ["Cell", "CompareArgs", "Corrections", "Cost", "Pieces", "compare", "read_pieces"]
