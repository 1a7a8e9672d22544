"""The command `handlatent curriculum`: what acting on the latents does to the hands that a VAE draws, as one table."""

from agents.commands.curriculum.args import CurriculumArgs
from agents.commands.curriculum.command import curriculum

__all__ = ["CurriculumArgs", "curriculum"]
