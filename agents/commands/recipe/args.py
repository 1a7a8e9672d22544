"""The arguments of `handlatent recipe`; the command line is generated from them."""

from dataclasses import dataclass
from pathlib import Path

from vae.adversarial.training import AdversarialConfig
from vae.model import Width

BEFORE = {"features_side": 128, "falling_deltas": 0.0, "prior_from": 1.0, "candidates": 0, "accept": 1.0}
"""What runs of versions that did not have these settings did."""


@dataclass(frozen=True)
class RecipeArgs:
    """Train everything that draws the packaged hands: VAE, samplers and agents. Run it again to resume."""

    data: str = "synthetic"
    """'synthetic' for synthetic hands only, or the folder of the 11k Hands download."""
    out: Path = Path("runs/hands")
    """Folder for the run."""
    width: Width = "large"
    """Width of the VAE's networks; 'small' is for a trial on two cores."""
    drawn: int = 12_000
    """Number of synthetic hands to pre-train on."""
    workers: int | None = None
    """Processes that render the synthetic hands; 0: the main process does. Default: as many as there are cores."""
    steps: int = AdversarialConfig.steps
    """Training steps of the VAE."""
    batch: int = AdversarialConfig.batch
    """Pictures per minibatch."""
    nats: float = AdversarialConfig.nats
    """Target KL divergence of the latents, in nats per picture."""
    features_side: int = AdversarialConfig.features_side
    """Pixels a side to which the critics of features enlarge pictures: a multiple of 32 from 128 to 512. 128: they do
    not."""
    falling_deltas: float = AdversarialConfig.deltas
    """Reach of uniform deltas that shift the latents while the VAE learns, at the start; it falls to 0 at the end. 0:
    none."""
    prior_from: float = 0.65
    """Share of the VAE's steps after which the encoder is frozen and the decoder also learns from the prior's latents;
    1: never."""
    varied: int = 60_000
    """Number of augmented pictures whose latents the samplers are fitted to."""
    flow_steps: int = 8_000
    """Training steps of the learned prior, and again of the one that is fitted to selected candidates."""
    candidates: int = 100_000
    """Latents that the learned prior draws for the rewarding judge to select from. A larger prior, fitted to those that
    it accepts, takes the first one's place. 0: none."""
    accept: float = 0.2
    """Share of the final prior's latents that drawing accepts. Below 1, a classifier learns from the judged candidates
    to predict the verdicts from a latent, and turns away the latents that it is least sure of. This is selection, not
    correction. 1, or no candidates: no classifier."""
    temperature: float = 1.0
    """Temperature of the learned prior: the standard deviation of the noise that a sample starts from."""
    final_denoise: float = 0.4
    """Final fraction of a sample of the learned prior, replaced by one denoising step; 0: none."""
    reencode_passes: int = 1
    """How many times a sample of the learned prior is decoded and encoded again."""
    latent_samples: int = 40_000
    """Latents that the agent on HandLatent-v0 learns from; 0: train no such agent."""
    refine_samples: int = 30_000
    """Corrections that the agent on HandRefine-v0 learns from; 0: train no such agent."""
    refine_rows: int = 512
    """Latents that the agent on HandRefine-v0 corrects in parallel."""
    refine_width: int = 512
    """Width of both hidden layers of its actor."""
    delta_scale: float = 0.5
    """Kappa of HandRefine-v0: a correction moves a latent by at most this in each dimension."""
    checkpoint_seconds: float = 60.0
    """Shortest time between two checkpoints, in seconds."""
    seed: int = 0
    """Seed of everything except the split by person, which is the same as for the judges."""
    device: str = "auto"
    """'auto', 'cpu', 'cuda' or 'cuda:N'."""
