"""Train the anatomy judge; nothing in here is needed to use it."""

from hand_env.anatomy.training.landmarks import write_landmarks
from hand_env.anatomy.training.photographs import load_pack, write_pack
from hand_env.anatomy.training.train import JudgeTraining, train_judge

__all__ = ["JudgeTraining", "load_pack", "train_judge", "write_landmarks", "write_pack"]
