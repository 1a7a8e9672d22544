"""The command `handlatent compare`: what samplers and agents make of latents, in one table over several runs."""

from agents.compare.args import CompareArgs
from agents.compare.cells import Cell, Cost
from agents.compare.main import compare
from agents.compare.pieces import Pieces, RowAgent, read_pieces

__all__ = ["Cell", "CompareArgs", "Cost", "Pieces", "RowAgent", "compare", "read_pieces"]
