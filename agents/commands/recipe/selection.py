"""Teach a learned prior what a judge accepts: it draws, the judge chooses, and a new prior is fitted to the chosen.

This is reinforcement learning of the prior, in its simplest form: rejection-sampling fine-tuning, as RAFT does it for
language and diffusion models (Dong et al. 2023, "RAFT: Reward rAnked FineTuning"). Each round is one step of policy
improvement. Only the judge's verdict is used, so any judge will do.
"""

from collections.abc import Callable

import torch
from torch import Generator, Tensor

from vae.model import VAE
from vae.sampling.flow import FlowPrior
from vae.sampling.flow_fit import Log, fit_flow

Accept = Callable[[Tensor], Tensor]
"""Takes (n, 3, S, S) float32 pictures in [0, 1], returns (n,) values; above 0.5 means accepted."""

CHUNK = 512  # latents at a time
HELD_OUT = 16  # one of this many chosen latents is held out, to choose among the fit's weights


@torch.no_grad()
def choose(prior: FlowPrior, vae: VAE, accept: Accept, n: int, seed: int) -> Tensor:
    """Draw n latents and return those whose pictures are accepted.

    Args:
        prior: Draws the latents.
        vae: Decodes them, on its current device.
        accept: The judge's verdict.
        n: Number of latents drawn, >= 1.
        seed: >= 0.

    Returns:
        (m, D) float32 on the VAE's device, m <= n.
    """
    device = vae.log_variance.device
    kept = []
    for latents in torch.split(prior.sample(n, seed).to(device), CHUNK):
        kept.append(latents[accept(vae.decode(latents).float().clamp(0, 1)).to(device) > 0.5])
    return torch.cat(kept)


def refit(chosen: Tensor, steps: int, seed: int) -> tuple[FlowPrior, Log]:
    """Fit a new prior to (m, D) chosen latents, m >= 16; see `vae.sampling.flow_fit.fit_flow`."""
    held_out, rest = chosen[: len(chosen) // HELD_OUT], chosen[len(chosen) // HELD_OUT :]

    def draw(n: int, generator: Generator) -> Tensor:
        return rest[torch.randint(0, len(rest), (n,), generator=generator, device=rest.device)]

    return fit_flow(draw, held_out, steps=steps, seed=seed)
