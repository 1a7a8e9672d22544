"""A handful of synthetic hands, some of which stand in for photographs."""

import pytest
import torch

from vae.adversarial.batches import Batches
from vae.images.labelled.synthetic_pool import render_right_hands


@pytest.fixture(scope="session")
def drawn():
    return render_right_hands(32, seed=3, workers=0)


@pytest.fixture(scope="session")
def batches(drawn):
    rows = torch.arange(32)
    return Batches(drawn.take(rows[:16]), drawn.take(rows[16:]))
