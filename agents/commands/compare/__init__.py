"""The command `handlatent compare`: samplers and agents compared in one table over several runs."""

from agents.commands.compare.args import CompareArgs
from agents.commands.compare.command import compare
from agents.commands.compare.loaded_run import Corrections, LoadedRun, load_compared_run
from agents.commands.compare.methods import Cost, Method

__all__ = ["CompareArgs", "Corrections", "Cost", "LoadedRun", "Method", "compare", "load_compared_run"]
