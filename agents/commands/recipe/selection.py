"""Teach the learned prior what the judge accepts: it draws, the judge selects, a larger prior learns what is left.

This is reinforcement learning of a generative model in its simplest form: rejection-sampling fine-tuning, as in RAFT
(Dong et al. 2023, "RAFT: Reward rAnked FineTuning for Generative Foundation Model Alignment"). Its reward is a verdict,
so any judge will do. There can be any number of selected latents, while the pictures that the first prior learned
from are few: a larger network can learn from them. Candidates that are more like photographs are learned more often.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Generator, Tensor

from hand_env.anatomy import Judge, Known
from vae.model import VAE
from vae.progress import in_chunks
from vae.sampling.flow import FlowPrior
from vae.sampling.flow_fit import Draw, Log, fit_flow
from vae.sampling.reencoded import Reencoded
from vae.seeds import seeded


class Judged(NamedTuple):
    """Hold what a judge says of n pictures.

    Attributes:
        holds: (n, k) bool, whether each of the k verdicts holds; a picture is accepted if all do.
        features: (n, f) float32, the judge's features.
    """

    holds: Tensor
    features: Tensor


Verdicts = Callable[[Tensor], Judged]
"""Takes (n, 3, S, S) float32 pictures in [0, 1]."""

VERDICTS = ("correct", "new")  # of `right_and_new`

TEMPERATURE, FINAL_DENOISE, REENCODE_PASSES = (
    1.0,
    0.2,
    2,
)  # of the candidates: more varied than the hands that are drawn in the end
WIDTH, BLOCKS = 768, 6  # of the larger prior's network
NEAR = 0.2  # share of held-out people's photographs that are nearer to a training photograph than a candidate may be
FEWEST = 256  # accepted latents that a prior is fitted to
COMPONENTS = 16  # of the judge's features, by which candidates are compared with photographs
POWER = 0.5  # of the ratio of densities; 1 would follow the photographs' distribution, and leave few candidates
MOST = 3.0  # natural log of a ratio's factor above or below the median, at most
HELD_OUT = 20  # one of this many accepted latents is held out, to choose among the fit's weights
CHUNK = {"cpu": 64, "cuda": 512}  # latents at a time


@dataclass(frozen=True, eq=False)
class Candidates:
    """Hold judged candidates, on the VAE's device.

    Attributes:
        latents: (n, D) float32.
        holds: (n, k) bool, whether each of the k verdicts holds.
        features: (n, f) float32, the judge's features of the pictures.
    """

    latents: Tensor
    holds: Tensor
    features: Tensor

    @property
    def accepted(self) -> Candidates:
        """The m candidates for which all verdicts hold."""
        rows = self.holds.all(1)
        return Candidates(self.latents[rows], self.holds[rows], self.features[rows])

    @property
    def shares(self) -> list[float]:
        """Share of the candidates for which each of the k verdicts holds, 0..1."""
        found: list[float] = self.holds.double().mean(0).tolist()
        return found


def right_and_new(judge: Judge, known: Known | None) -> Verdicts:
    """Return the verdicts of the rewarding judge: whether a hand is correct and, if photographs are known, new."""

    def verdicts(images: Tensor) -> Judged:
        found = judge.find(images)
        features, columns = found.parse.feature.float(), [found.holds.all(1) & ~found.doubts.any(1)]
        if known is not None:
            columns.append(known.novelty(images, features).new.to(images.device))
        return Judged(torch.stack(columns, 1), features)

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
    drawn, judged = [], list[Judged]()
    for chunk in in_chunks(hotter.sample(n, seed), CHUNK[device.type], "Selecting", "candidates"):
        latents = chain.reencode(chunk.to(device))
        drawn.append(latents)
        judged.append(verdicts(vae.decode(latents).float().clamp(0, 1)))
    return Candidates(torch.cat(drawn), *map(torch.cat, zip(*judged, strict=True)))


def likeness(candidates: Tensor, photographs: Tensor) -> Tensor:
    """Say how often to learn each candidate, so that what is learned is more like photographs.

    A logistic regression tells the two apart by the photographs' leading principal components. Its log-odds estimate
    the log ratio of both densities, as the critic of discriminator rejection sampling does (Azadi et al. 2019).

    Args:
        candidates: (m, f) float32, features of their pictures.
        photographs: (k, f) float32, features of photographs.

    Returns:
        (m,) float32, weights above 0, on the candidates' device: the ratio to the power of `POWER`.
    """
    from sklearn.decomposition import PCA  # here: importing scikit-learn takes a second
    from sklearn.linear_model import LogisticRegression

    theirs, own = photographs.cpu().numpy(), candidates.cpu().numpy()
    components = PCA(min(COMPONENTS, *theirs.shape), svd_solver="full").fit(theirs)
    rows = np.concatenate([components.transform(theirs), components.transform(own)])
    rows /= rows[len(theirs) :].std(0).clip(min=1e-6)
    regression = LogisticRegression(max_iter=1000, class_weight="balanced")
    ratio = regression.fit(rows, np.arange(len(rows)) < len(theirs)).decision_function(rows[len(theirs) :])
    weights = np.exp(POWER * (ratio - np.median(ratio)).clip(-MOST, MOST))
    return torch.from_numpy(weights.astype(np.float32)).to(candidates.device)


def fit_to_selected(latents: Tensor, weights: Tensor | None = None, *, steps: int, seed: int) -> tuple[FlowPrior, Log]:
    """Fit a prior to selected latents; see `vae.sampling.flow_fit.fit_flow`. Its network is a large one.

    Args:
        latents: (m, D) float32.
        weights: (m,) float32 above 0, on the same device: how often each is learned, in proportion. None: all alike.
        steps: Steps of the training.
        seed: >= 0.

    Raises:
        ValueError: If there are fewer than `FEWEST` latents.
    """
    if len(latents) < FEWEST:
        raise ValueError(f"A prior needs at least {FEWEST} selected latents, got {len(latents)}.")
    apart = len(latents) // HELD_OUT
    weights = torch.ones_like(latents[:, 0]) if weights is None else weights
    held_out, rest = (_draw(latents[part], weights[part]) for part in (slice(apart), slice(apart, None)))
    some = held_out(apart, seeded(seed, latents.device))
    return fit_flow(rest, some, steps=steps, seed=seed, width=WIDTH, blocks=BLOCKS)


def _draw(latents: Tensor, weights: Tensor) -> Draw:
    """Return a function that draws (n, D) of (m, D) latents in proportion to their (m,) weights."""

    def draw(n: int, generator: Generator) -> Tensor:
        return latents[torch.multinomial(weights, n, replacement=True, generator=generator)]

    return draw
