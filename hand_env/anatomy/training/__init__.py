"""Train the anatomy judge; using it needs nothing from this folder."""

from hand_env.anatomy.training.train import JudgeTraining, train_judge
from vae.images.backgrounds.collection import write_grounds
from vae.images.labelled.landmarks import write_landmarks
from vae.images.labelled.photographs import load_pack, write_pack

__all__ = ["JudgeTraining", "load_pack", "train_judge", "write_grounds", "write_landmarks", "write_pack"]
