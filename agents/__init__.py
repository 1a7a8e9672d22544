"""Agents for the environments, and drawing hands with them.

Stable-Baselines3 SAC and its policies, baselines, runs on disk, drawing, and the command line; no model, no reward.
"""

from agents.commands.generate import generate
from agents.commands.refine.args import RefineArgs
from agents.commands.refine.command import refine_run
from agents.commands.train.args import TrainArgs
from agents.commands.train.command import train
from agents.draw import DrawnHands, draw_hands
from agents.draw.settings import GenerateArgs
from agents.rl.baselines import GradientSteps, NoAction, RandomAction
from agents.rl.callbacks import ClipTemperature
from agents.rl.fast_sac import FastSAC
from agents.rl.paper import PAPER_IMAGES, paper
from agents.rl.picture_policy import RefinePolicy
from agents.rl.row_agent import RowAgent
from agents.rl.row_policy import RowPolicy
from agents.rl.sac import make_sac
from agents.rl.vec_env import GymnasiumVecEnv
from agents.runs.packaged import load_packaged
from agents.runs.run import Run, load_run

__all__ = [
    "PAPER_IMAGES",
    "ClipTemperature",
    "DrawnHands",
    "FastSAC",
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
    "draw_hands",
    "generate",
    "load_packaged",
    "load_run",
    "make_sac",
    "paper",
    "refine_run",
    "train",
]
