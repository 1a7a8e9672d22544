"""The command `handlatent refine`: train an agent that corrects a run's latents before they are decoded."""

from agents.commands.refine.args import RefineArgs
from agents.commands.refine.command import refine_run

__all__ = ["RefineArgs", "refine_run"]
