"""The arguments of `handlatent refine`; the command line is generated from them."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from agents.commands.flags import RUN
from agents.rl.row_agent import REFINE_BELOW


@dataclass(frozen=True)
class RefineArgs:
    """Train an agent to correct a finished run's latents before they are decoded; typed again after a stop, go on."""

    run: Path = field(metadata=RUN)
    """The run's folder."""
    samples: int = 60_000
    """Corrections to learn from, rounded up to whole steps of all rows."""
    rows: int = 512
    """Latents corrected side by side; SAC makes 3 updates for each 64 of them ('latents': 16), at least 1 a step."""
    policy: Literal["pictures", "latents"] = "pictures"
    """What SAC's networks look at: the pictures that latents are decoded to, which takes a GPU, or bare latents."""
    sampler: Literal["auto", "prior", "mixture", "normal"] = "auto"
    """Where the latents come from; see generate. 'auto' is the first of the three that the run has."""
    refine_below: float = REFINE_BELOW
    """Log-odds of the rewarding judge: latents of pictures that score less are learned from; 'inf': all are."""
    delta_scale: float = 1.0
    """Kappa: a correction moves a latent by at most this in each dimension."""
    steps_per_episode: int = 1
    """Corrections that a latent gets, one after the other."""
    width: int = 1024
    """Of both hidden layers of SAC's actor ('latents': and of its critics)."""
    held_out: int = 1000
    """Latents that training never sees, to measure on at the end."""
    checkpoint_seconds: float = 60.0
    """At least this long between two checkpoints."""
    seed: int = 0
    """Of the latents, the agent's weights and its exploration."""
    device: str = "auto"
    """'auto', 'cpu', 'cuda' or 'cuda:N'."""
    out: Path | None = None
    """Folder for a copy of the run with this refiner in it, so that several can lie side by side; default: RUN."""
