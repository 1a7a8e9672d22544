"""What each process of a data-parallel training of the recipe's VAE does in tests."""

import os
from pathlib import Path
from typing import Any

import torch

from vae import VAEConfig, parallel
from vae.adversarial.batches import Batches
from vae.adversarial.training import AdversarialConfig, AdversarialTrainer
from vae.images.labelled.drawn import draw_right_hands

PATCHES = {  # two batches are made at once, and the critics of patches are narrow
    "vae.adversarial.training.AHEAD": 2,
    "vae.adversarial.critics.WIDTHS": (8, 16, 32, 32),
}
SETTINGS = AdversarialConfig(steps=10, batch=8, patches_from=0.2, features_from=0.4, deltas=1.0)
PRIOR_FROM = 7  # steps


def curve() -> dict[str, Any]:
    """Train without critics, with those of patches, with those of features too, and with a prior."""
    hands = draw_right_hands(24, seed=3, workers=0)
    hands.regions[:4] = 255  # unknown, and so the two processes do not know as many pixels
    batches = Batches(hands.take(slice(12)), hands.take(slice(12, 24)))
    run = AdversarialTrainer(SETTINGS, VAEConfig(128, 24, "small"), batches, "cpu")
    terms = []
    for step in range(SETTINGS.steps):
        if step == PRIOR_FROM:
            run.learn_prior(torch.randn(9, 24, generator=torch.Generator().manual_seed(1)))
        terms.append({name: term.clone() for name, term in run.step().items()})
    state = run.state_dict()
    weights = {part: state[part] for part in ("vae", "averaged", "regions", "patches", "features")}
    return {"terms": terms, "weights": weights, "log_weight": run.log_weight}


def work(folder: Path) -> int:
    with parallel.process_group("cpu"):
        torch.save(curve(), folder / f"{os.environ['RANK']}.pt")
    return 0
