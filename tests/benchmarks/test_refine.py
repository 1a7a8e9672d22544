"""What `benchmarks/refine.py --operations` counts."""

import re

import torch
from torch.utils.flop_counter import FlopCounterMode

from vae import VAEConfig, build_vae


def test_operations_are_those_of_two_decodings_of_the_buffer_and_of_one_with_a_gradient(benchmark):
    decoder = build_vae(VAEConfig(64, 300, "large"), seed=0).decoder.requires_grad_(False)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        decoder(torch.zeros(1, 300))
    once = 1000 * counter.get_total_flops() / 1e9
    said = benchmark("refine").operations(64, 1000)
    kept, moved, networks, left = map(int, re.findall(r" (\d+) (?:to|in|where)", said))
    assert abs(kept - 2 * once) <= 1
    assert abs(moved - 2 * once) <= 1  # forward, and the gradient of the latents alone
    assert networks > 0
    assert abs(left - moved - networks) <= 1
