"""The recipe for the packaged hands: pictures, autoencoder, samplers, agents."""

from agents.hands.recipe import recipe
from agents.hands.recipe_args import RecipeArgs

__all__ = ["RecipeArgs", "recipe"]
