"""Agents for the environments: Stable-Baselines3 SAC, baselines, training and the command line."""

from agents.commands.generate import GenerateArgs, generate
from agents.commands.refine.args import RefineArgs
from agents.commands.refine.command import refine_run
from agents.commands.train.args import TrainArgs
from agents.commands.train.command import train
from agents.rl.baselines import GradientSteps, NoAction, RandomAction
from agents.rl.callbacks import ClipTemperature
from agents.rl.paper import PAPER_IMAGES, paper
from agents.rl.picture_policy import RefinePolicy
from agents.rl.row_agent import RowAgent
from agents.rl.row_policy import RowPolicy
from agents.rl.sac import make_sac
from agents.rl.vec_env import GymnasiumVecEnv
from agents.runs.run import Run, load_run

__all__ = [
    "PAPER_IMAGES",
    "ClipTemperature",
    "GenerateArgs",
    "GradientSteps",
    "GymnasiumVecEnv",
    "NoAction",
    "RandomAction",
    "RefineArgs",
    "RefinePolicy",
    "RowAgent",
    "RowPolicy",
    "Run",
    "TrainArgs",
    "generate",
    "load_run",
    "make_sac",
    "paper",
    "refine_run",
    "train",
]
