"""What each process of a data-parallel training of the recipe's VAE does in tests."""

import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vae import VAEConfig
from vae.acceleration import parallel
from vae.adversarial.batches import Batches
from vae.adversarial.training import AdversarialConfig, AdversarialTrainer
from vae.images.labelled.hands import IGNORE
from vae.images.labelled.synthetic_pool import render_right_hands

NARROW = {"vae.adversarial.critics.WIDTHS": (8, 16, 32, 32), "vae.adversarial.training.AHEAD": 2}
# Adam makes steps of full length out of gradients that are 0 but for rounding; with small steps, that stays rounding
SLOW = {"vae.adversarial.training.CRITICS_RATE": 1e-6}
PRIOR_FROM = 5  # steps
SETTINGS = AdversarialConfig(7, 4, learning_rate=1e-6, patches_from=1 / 7, features_from=3 / 7, deltas=1.0)


def curve() -> dict[str, Any]:
    """Train without critics, with those of patches, with those of features too, and with a prior; return all terms."""
    hands = render_right_hands(24, seed=3, workers=0)
    hands.regions[:6] = IGNORE  # the processes know the regions of different numbers of pixels
    run = AdversarialTrainer(
        SETTINGS, VAEConfig(128, 24, "small"), Batches(hands.take(slice(12)), hands.take(slice(12, 24))), "cpu"
    )
    terms = []
    for step in range(SETTINGS.steps):
        if step == PRIOR_FROM:
            run.freeze_encoder()
            run.learn_prior(torch.randn(9, 24, generator=torch.Generator().manual_seed(1)))
        terms.append({name: term.clone() for name, term in run.step().items()})
    state = run.state_dict()
    weights = {part: state[part] for part in ("vae", "averaged", "regions", "patches", "features")}
    return {"terms": terms, "weights": weights, "gradients": gradients(run), "log_weight": run.log_weight}


def gradients(run: AdversarialTrainer) -> list[Tensor]:
    """Return the running means of the gradients that both optimisers hold, each as one vector."""
    states = (optimizer.state_dict()["state"].values() for optimizer in (run.painters, run.critics))
    return [torch.cat([own["exp_avg"].flatten() for own in state]) for state in states]


def work(folder: Path) -> int:
    """Do the same in each process, and write what came out."""
    with parallel.process_group("cpu"):
        torch.save(curve(), folder / f"{os.environ['RANK']}.pt")
    return 0
