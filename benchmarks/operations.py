"""Count floating-point operations, and measure how many a device does per second at best."""

import copy
import statistics
import time

import torch
from torch.utils.flop_counter import FlopCounterMode

from vae import VAE
from vae.device import resolve_device

PRODUCT = {"cpu": 1024, "cuda": 8192}  # rows of the matrices


def of_training(vae: VAE) -> float:
    """Count the operations of one picture there and back: encode, decode and their gradients.

    They are counted on the CPU: what a GPU adds to use its tensor cores (`vae.model.AlignedConv2d`) does not count.
    """
    vae = copy.deepcopy(vae).cpu()
    with FlopCounterMode(display=False) as counter, torch.enable_grad():
        mean, log_var = vae.encode(torch.zeros(1, 3, vae.size, vae.size))
        (vae.decode(mean).sum() + log_var.sum()).backward()
    return float(counter.get_total_flops())


def per_second(name: str) -> float:
    """Return the operations per second of a large matrix product: bfloat16 on a GPU, float32 on a CPU."""
    device = torch.device(resolve_device(name))
    rows, kind = PRODUCT[device.type], torch.bfloat16 if device.type == "cuda" else torch.float32
    factor, seconds = torch.randn(rows, rows, device=device, dtype=kind), list[float]()
    for _ in range(20):
        began = time.perf_counter()
        factor @ factor
        if device.type == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - began)
    return 2 * rows**3 / statistics.median(seconds)
