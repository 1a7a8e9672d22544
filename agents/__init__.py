"""Agents for the environments: Stable-Baselines3 SAC, baselines, the main job and the command line."""

from agents.baselines import GradientSteps, NoAction, RandomAction
from agents.callbacks import ClipTemperature
from agents.draw import GenerateArgs, generate
from agents.main_job import train
from agents.policies import RowPolicy
from agents.presets import PAPER_IMAGES, paper
from agents.refine_args import RefineArgs
from agents.refine_command import refine_run
from agents.refine_policy import RefinePolicy
from agents.row_agent import RowAgent
from agents.run_folder import Run, load_run
from agents.sac import make_sac
from agents.train_args import TrainArgs
from agents.vec_env import GymnasiumVecEnv

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
