"""The arguments of `handlatent train`; the command line is generated from them."""

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
    """Number of pictures to use, split 80/10/10 by person. Default: all of a folder, or 2000 synthetic ones."""
    size: Literal[32, 64, 128, 256] = 64
    """Width and height of a picture, in pixels."""
    side: Side = "all"
    """11k Hands: which side of the hand."""
    hand: Hand = "all"
    """11k Hands: which hand."""
    accessories: Keep = "include"
    """11k Hands: whether to use pictures with rings, watches and the like."""
    irregularities: Keep = "include"
    """11k Hands: whether to use pictures marked as irregular."""
    agent: Literal["none", "random", "sac", "sac-flat"] = "sac"
    """What acts while the VAE trains. 'sac': the trained agent of HandSchedule-v0, which decides up to five times how
    the latents are shifted. 'sac-flat': a SAC agent that learns during this training, over the whole batch. 'random':
    the paper's untrained agent. 'none': nothing."""
    agent_weights: Path | None = None
    """Agent 'sac': its weights, as `handlatent schedule` writes them. Default: the packaged ones, for photographs or
    for synthetic hands."""
    epochs: int = 60
    """Passes over the training pictures."""
    batch_size: int = 16
    """Pictures per minibatch (B), of all processes together, at most the number of training pictures."""
    latent_dim: int = 300
    """Number of latent dimensions (D)."""
    width: Width = "small"
    """Width of the VAE's networks: 'small' for two cores, 'large' for a GPU."""
    learning_rate: float = 5e-4
    """Peak learning rate of the VAE."""
    kl_weight: float = 1.0
    """Factor of the KL term in the VAE's objective (beta): larger ones pull the latents towards the standard normal,
    and blur the hands."""
    delta_scale: float = 0.1
    """Agents 'random' and 'sac-flat': kappa, the most that they move a latent in each dimension."""
    reward_scale: float = 0.01
    """Lambda: reward for each nat by which the loss falls."""
    checkpoint_seconds: float = 60.0
    """Shortest time between two checkpoints, in seconds; checkpoints are written at the end of an epoch."""
    seed: int = 0
    """Seed of everything: choice and split of pictures, weights, data order, noise, agent, samples."""
    device: str = "auto"
    """'auto', 'cpu', 'cuda' or 'cuda:N'."""
    out: Path = Path("runs/train")
    """Folder for the run."""
    resume: Path | None = None
    """Resume the run in this folder from its last checkpoint, with its own settings. Only --device may differ, and
    --data if the same pictures are now in another folder."""
