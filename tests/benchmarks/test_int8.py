import numpy as np
import pytest
import torch

from agents.runs.packaged import load_packaged
from vae.quantisation.int8 import LARGE


@pytest.fixture
def script(benchmark):
    return benchmark("int8")


def test_a_paired_difference_has_the_interval_of_agresti_and_min(script):
    """By hand: (86 - 150) / 1602 = -0.0400, and 1.96 sqrt(150 + 86 + 1 - 64^2 / 1602) / 1602 = 0.0187."""
    before = np.zeros(1600, bool)
    before[: 794 + 150] = True
    after = np.zeros(1600, bool)
    after[:794] = after[794 + 150 :][:86] = True
    assert script.difference(before, after) == "-4.0 (-5.9 to -2.1)"


def test_it_has_a_width_where_nothing_changes(script):
    correct = np.arange(1000) < 900
    assert script.difference(correct, correct) == "+0.0 (-0.2 to +0.2)"


@pytest.mark.slow(seconds=3)
def test_only_the_large_weights_of_the_named_parts_are_rounded_and_in_a_copy(script):
    run = load_packaged("synthetic")  # in half precision
    whole = {part: script.module(run, part).state_dict() for part in ("encoder", "prior", "decoder")}
    before = {part: {name: tensor.clone() for name, tensor in state.items()} for part, state in whole.items()}
    changed = script.rounded(run, ("encoder", "prior"))
    for part, state in before.items():
        now = script.module(changed, part).state_dict()
        for name, tensor in state.items():
            assert torch.equal(whole[part][name], tensor)
            large = tensor.ndim > 1 and tensor.numel() >= LARGE
            assert torch.equal(now[name], tensor) != (large and part in ("encoder", "prior"))
    assert changed.samplers["prior"].vae is changed.vae
