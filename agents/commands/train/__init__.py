"""The command `handlatent train`: train a VAE while an agent acts on its latents."""

from agents.commands.train.args import TrainArgs
from agents.commands.train.command import train

__all__ = ["TrainArgs", "train"]
