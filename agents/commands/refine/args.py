"""The arguments of `handlatent refine`; the command line is generated from them."""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from agents.command_line.flags import RUN
from agents.rl.row_agent import REFINE_BELOW

WRONG_BELOW = 1.0  # verdicts: a wrong hand has 0
BEFORE = {"reward": "logit", "critic_epochs": 0}
"""What refiners of versions that did not have these settings did."""


@dataclass(frozen=True)
class RefineArgs:
    """Train an agent to correct a finished run's latents before they are decoded. Run it again to resume."""

    run: Path = field(metadata=RUN)
    """Folder of the finished run."""
    samples: int = 60_000
    """Number of corrections to learn from, rounded up to whole steps of all rows."""
    rows: int = 512
    """Latents corrected in parallel. SAC makes 3 updates per 64 of them ('latents': 16), at least 1 per step."""
    policy: Literal["pictures", "latents"] = "pictures"
    """What SAC's networks see: 'pictures' decoded from the latents (needs a GPU), or the bare 'latents'."""
    sampler: Literal["auto", "prior", "mixture", "normal"] = "auto"
    """Where latents are drawn from; see generate. 'auto' takes the first of the three that the run has;
    'rejection' would leave few wrong hands to learn from."""
    reward: Literal["logit", "verdict"] = "logit"
    """What pays SAC when it changes: the rewarding judge's 'logit', or its 'verdict', 1 for correct and 0 for wrong."""
    critic_epochs: int = 4
    """Before SAC starts, its critics learn the scores of the latents drawn in advance, from as many samples of these as
    this number of passes would have. 0: none. Only for --policy pictures and one step an episode, and not with
    --refine-below inf, since nothing is judged in advance then."""
    refine_below: float = REFINE_BELOW
    """Learn only from latents whose pictures score below this, in log-odds of the rewarding judge. 'inf': from all.
    With --reward verdict, SAC learns from wrong hands alone."""
    delta_scale: float = 1.0
    """Kappa: a correction moves a latent by at most this in each dimension."""
    steps_per_episode: int = 1
    """Corrections per latent, one after another."""
    width: int = 1024
    """Width of both hidden layers of SAC's actor ('latents': and of its critics)."""
    held_out: int = 1000
    """Number of latents held out from training, to measure the refiner on."""
    checkpoint_seconds: float = 60.0
    """Shortest time between two checkpoints, in seconds."""
    seed: int = 0
    """Seed of the latents, the agent's weights and its exploration."""
    device: str = "auto"
    """'auto', 'cpu', 'cuda' or 'cuda:N'."""
    out: Path | None = None
    """Folder for a copy of the run with this refiner in it, to keep several refiners of one run. Default: RUN."""

    @property
    def taught_epochs(self) -> int:
        """`critic_epochs`, or 0 where critics learn no scores in advance."""
        looks = self.policy == "pictures" and self.steps_per_episode == 1 and self.learned_below < math.inf
        return self.critic_epochs if looks else 0

    @property
    def learned_below(self) -> float:
        """Score below which SAC learns from a latent, in the unit of the reward."""
        return WRONG_BELOW if self.reward == "verdict" else self.refine_below
