"""The arguments of the main job; the command line is generated from them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vae.images.hands11k import Hand, Keep, Side
from vae.model import Width


@dataclass(frozen=True)
class TrainArgs:
    """Train a VAE on pictures of hands with an agent acting on its latents, then draw new hands."""

    data: str = "synthetic"
    """'synthetic', or a folder: the 11k Hands download as it comes, or any folder of pictures."""
    images: int | None = None
    """How many pictures to use, split 80/10/10 by person; default: all of a folder, 2000 synthetic ones."""
    size: Literal[32, 64, 128] = 64
    """Pixels a side."""
    side: Side = "all"
    """11k Hands: which side of the hand."""
    hand: Hand = "all"
    """11k Hands: which hand."""
    accessories: Keep = "include"
    """11k Hands: pictures with rings, watches and the like."""
    irregularities: Keep = "include"
    """11k Hands: pictures marked as irregular."""
    agent: Literal["none", "random", "sac"] = "sac"
    """'none' leaves the latents alone, 'random' is the paper's untrained agent, 'sac' learns."""
    epochs: int = 60
    """Passes over the training pictures."""
    batch_size: int = 16
    """Pictures a minibatch (B), at most the training pictures."""
    latent_dim: int = 300
    """Latent dimensions (D)."""
    width: Width = "small"
    """The VAE's: 'small' for two cores, 'large' for a GPU."""
    learning_rate: float = 5e-4
    """The VAE's, at its peak."""
    delta_scale: float = 0.1
    """Kappa: the agent moves a latent by at most this in each dimension."""
    reward_scale: float = 0.01
    """Lambda: reward for each nat that the loss falls."""
    checkpoint_seconds: float = 60.0
    """At least this long between two checkpoints; one is written at an epoch's end."""
    seed: int = 0
    """Of everything: choice and split of pictures, weights, data order, noise, agent, samples."""
    device: str = "auto"
    """'auto', 'cpu', 'cuda' or 'cuda:N'."""
    out: Path = Path("runs/train")
    """Folder for the run."""
    resume: Path | None = None
    """Continue the run in this folder from its last checkpoint, with its own settings; --device may differ."""
