"""Teach the learned prior what the judge accepts: it draws, the judge selects, a larger prior learns what is left.

This is reinforcement learning of a generative model in its simplest form: rejection-sampling fine-tuning, as in RAFT
(Dong et al. 2023, "RAFT: Reward rAnked FineTuning for Generative Foundation Model Alignment"). Its reward is a verdict,
so any judge will do. There can be any number of selected latents, while the pictures that the first prior learned
from are few: a larger network can learn from them.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from hand_env.anatomy import Judge, Known
from vae.model import VAE
from vae.progress import in_chunks
from vae.sampling.flow import FlowPrior
from vae.sampling.flow_fit import Log, fit_flow
from vae.sampling.reencoded import Reencoded

Verdicts = Callable[[Tensor], Tensor]
"""Takes (n, 3, S, S) float32 pictures in [0, 1] and returns (n, k) bool; a picture is accepted if all k hold."""

VERDICTS = ("correct", "new")  # of `right_and_new`

TEMPERATURE, FINAL_DENOISE, REENCODE_PASSES = (
    1.0,
    0.2,
    2,
)  # of the candidates: more varied than the hands that are drawn in the end
WIDTH, BLOCKS = 768, 6  # of the larger prior's network
NEAR = 0.15  # share of held-out people's photographs that are nearer to a training photograph than a candidate may be
FEWEST = 256  # accepted latents that a prior is fitted to
HELD_OUT = 20  # one of this many accepted latents is held out, to choose among the fit's weights
CHUNK = {"cpu": 64, "cuda": 512}  # latents at a time


@dataclass(frozen=True, eq=False)
class Candidates:
    """Hold judged candidates, on the VAE's device.

    Attributes:
        latents: (n, D) float32.
        holds: (n, k) bool, whether each of the k verdicts holds.
    """

    latents: Tensor
    holds: Tensor

    @property
    def accepted(self) -> Tensor:
        """(m, D) float32, the candidates for which all verdicts hold."""
        return self.latents[self.holds.all(1)]

    @property
    def shares(self) -> list[float]:
        """Share of the candidates for which each of the k verdicts holds, 0..1."""
        found: list[float] = self.holds.double().mean(0).tolist()
        return found


def right_and_new(judge: Judge, known: Known | None) -> Verdicts:
    """Return the verdicts of the rewarding judge: whether a hand is correct and, if photographs are known, new."""

    def verdicts(images: Tensor) -> Tensor:
        found = judge.find(images)
        columns = [found.holds.all(1) & ~found.doubts.any(1)]
        if known is not None:
            columns.append(known.novelty(images, found.parse.feature.float()).new.to(images.device))
        return torch.stack(columns, 1)

    return verdicts


@torch.no_grad()
def draw_candidates(prior: FlowPrior, vae: VAE, verdicts: Verdicts, n: int, seed: int) -> Candidates:
    """Draw n candidates from a prior and have them judged.

    Args:
        prior: Draws the candidates with `TEMPERATURE` and `FINAL_DENOISE`; its own settings stay as they are.
        vae: Decodes them, and encodes them again as often as `REENCODE_PASSES` says, on its current device.
        verdicts: What must hold for a picture.
        n: Number of candidates, >= 1.
        seed: >= 0.

    Returns:
        All of them, with their verdicts.
    """
    device = vae.log_variance.device
    hotter = FlowPrior(prior.velocity, prior.mean, prior.scale, TEMPERATURE, FINAL_DENOISE)
    chain = Reencoded(hotter, vae, REENCODE_PASSES)
    drawn, held = [], []
    for chunk in in_chunks(hotter.sample(n, seed), CHUNK[device.type], "Selecting", "candidates"):
        latents = chain.reencode(chunk.to(device))
        drawn.append(latents)
        held.append(verdicts(vae.decode(latents).float().clamp(0, 1)))
    return Candidates(torch.cat(drawn), torch.cat(held))


def fit_to_selected(
    latents: Tensor, *, steps: int, seed: int, width: int | None = None, blocks: int | None = None
) -> tuple[FlowPrior, Log]:
    """Fit a prior to (m, D) selected latents; see `vae.sampling.flow_fit.fit_flow`. Its network is a large one.

    Raises:
        ValueError: If there are fewer than `FEWEST` latents.
    """
    if len(latents) < FEWEST:
        raise ValueError(f"A prior needs at least {FEWEST} selected latents, got {len(latents)}.")
    held_out, rest = latents[: len(latents) // HELD_OUT], latents[len(latents) // HELD_OUT :]

    def draw(n: int, generator: Generator) -> Tensor:
        return rest[torch.randint(0, len(rest), (n,), generator=generator, device=rest.device)]

    return fit_flow(draw, held_out, steps=steps, seed=seed, width=width or WIDTH, blocks=blocks or BLOCKS)
