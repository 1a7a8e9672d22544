"""The commands `handlatent blind sheets` and `handlatent blind score`: can an eye tell drawn hands from photographs?"""

from agents.commands.blind.score import BlindScoreArgs, blind_score
from agents.commands.blind.sheets import BlindSheetsArgs, blind_sheets

__all__ = ["BlindScoreArgs", "BlindSheetsArgs", "blind_score", "blind_sheets"]
