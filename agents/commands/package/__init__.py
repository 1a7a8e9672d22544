"""The command `handlatent package`: a run of the recipe becomes a set of weights with a model card."""

from agents.commands.package.args import PackageArgs
from agents.commands.package.command import package

__all__ = ["PackageArgs", "package"]
