"""The recipe for the packaged hands: pictures, autoencoder, samplers, agents, and how they are packed."""

from agents.hands.packing import PackageArgs, package
from agents.hands.recipe import recipe
from agents.hands.recipe_args import RecipeArgs

__all__ = ["PackageArgs", "RecipeArgs", "package", "recipe"]
