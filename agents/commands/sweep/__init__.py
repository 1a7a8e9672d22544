"""The command `handlatent sweep`: run another command many times, with other seeds and settings, on Ray Tune."""

from agents.commands.sweep.args import SweepArgs
from agents.commands.sweep.command import sweep

__all__ = ["SweepArgs", "sweep"]
