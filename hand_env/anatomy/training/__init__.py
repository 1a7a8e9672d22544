"""Train the anatomy judge; using it needs nothing from this folder."""

from hand_env.anatomy.training.train import JudgeTrainer, JudgeTraining
from vae.images.backgrounds.collection import load_grounds, write_grounds
from vae.images.labelled.landmarks import write_landmarks
from vae.images.labelled.photographs import load_pack, write_pack

__all__ = [
    "JudgeTrainer",
    "JudgeTraining",
    "load_grounds",
    "load_pack",
    "write_grounds",
    "write_landmarks",
    "write_pack",
]
