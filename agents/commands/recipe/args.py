"""The arguments of `handlatent recipe`; the command line is generated from them."""

from dataclasses import dataclass
from pathlib import Path

from vae.adversarial.training import AdversarialConfig
from vae.model import Width


@dataclass(frozen=True)
class RecipeArgs:
    """Train all that draws the packaged hands: VAE, samplers, agents; typed again after a stop, go on."""

    data: str = "synthetic"
    """'synthetic' for drawn hands alone, or the folder of the 11k Hands download."""
    out: Path = Path("runs/hands")
    """Folder for the run."""
    width: Width = "large"
    """The VAE's; 'small' is to try the recipe on two cores."""
    drawn: int = 12_000
    """Synthetic hands to pre-train on."""
    workers: int = 14
    """Processes that draw them; 0: this one does."""
    steps: int = AdversarialConfig.steps
    """Of the VAE's training."""
    batch: int = AdversarialConfig.batch
    """Pictures a step."""
    nats: float = AdversarialConfig.nats
    """What the latents may tell of a picture."""
    varied: int = 60_000
    """Varied pictures whose latents the samplers are fitted to."""
    flow_steps: int = 12_000
    """Of the learned prior's training."""
    temperature: float = 0.9
    """Of the learned prior: the standard deviation of the noise that it carries to latents."""
    final_denoise: float = 0.4
    """Of the learned prior: the last share of a sample that is replaced by what is expected there; 0: none."""
    reencode_passes: int = 3
    """How often a sample of the learned prior is decoded and encoded again."""
    latent_samples: int = 40_000
    """Latents that the agent on HandLatent-v0 learns from; 0: there is none."""
    refine_samples: int = 60_000
    """Corrections that the agent on HandRefine-v0 learns from; 0: there is none."""
    refine_rows: int = 512
    """Latents corrected side by side."""
    refine_width: int = 512
    """Of both hidden layers of its actor."""
    delta_scale: float = 0.5
    """Kappa of HandRefine-v0: a correction moves a latent by at most this in each dimension."""
    checkpoint_seconds: float = 60.0
    """At least this long between two checkpoints."""
    seed: int = 0
    """Of everything but the split by person, which is the judges'."""
    device: str = "auto"
    """'auto', 'cpu', 'cuda' or 'cuda:N'."""
