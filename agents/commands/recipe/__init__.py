"""The recipe for the packaged hands: pictures, VAE, samplers and agents."""

from agents.commands.recipe.args import RecipeArgs
from agents.commands.recipe.command import recipe

__all__ = ["RecipeArgs", "recipe"]
