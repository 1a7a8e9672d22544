"""The recipe for the packaged hands: pictures, VAE, samplers, agents, and their packing."""

from agents.commands.recipe.args import RecipeArgs
from agents.commands.recipe.command import recipe
from agents.commands.recipe.packing import PackageArgs, package

__all__ = ["PackageArgs", "RecipeArgs", "package", "recipe"]
