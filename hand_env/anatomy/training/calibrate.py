"""Choose a judge's limits and doubts on validation people, seeds and backgrounds."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from hand_env.anatomy.judge import Judge
from hand_env.anatomy.margins import raw_margins
from hand_env.anatomy.network import Network
from hand_env.anatomy.training.validate import Examples
from hand_env.anatomy.weights import Calibration
from vae.images.labelled.vocabulary import DOUBTS
from vae.progress import in_chunks, progress_bar

REJECTED_SCENES = 0.03  # share of correct scenes that the limit on a part may reject
DOUBTED = 0.005  # share of correct scenes that each doubt may apply to
UNSURE = (0.3, 0.75)  # probabilities of a correct hand, given its worst margin: unsure in between
FAR = 5.0  # margins are clipped to -FAR..FAR
CHUNK = 128  # pictures per chunk
PARTS = ("hand", "states", "extra")


def calibrate(network: Network, architecture: str, limits: dict[str, float], examples: Examples) -> Calibration:
    """Widen the limits for scenes, and choose the limits of the doubts.

    The limit on the whole is at most 0, where correct and wrong are equally likely. Each limit on a part rejects at
    most 3 % of the correct scenes. The unsure range is where a logistic regression on the worst margin gives a
    probability of 0.3 to 0.75.

    Args:
        network: The network, in training or trained.
        architecture: The network's, "parser" or "reporter".
        limits: Result of `choose_limits`.
        examples: Validation pictures with scenes; without scenes, there are no doubts and the limits stay.
    """
    scenes = [name for name in examples.kinds if name.startswith("scene ")]
    if not scenes:
        return Calibration(architecture, limits)
    judge = Judge(network, Calibration(architecture, {**limits, "hand": min(0.0, limits["hand"])}), _device(network))
    looks = progress_bar(scenes, "Choosing limits", unit="kinds of scenes")
    found = {name: _look(judge, examples.kinds[name].images) for name in looks}
    truth = {name: _truth(name, examples.kinds[name].whole) for name in scenes}
    right = {
        key: torch.cat([found[name][key][truth[name] == 1] for name in scenes]) for key in ("whole", *PARTS, *DOUBTS)
    }
    low = {name: round(min(limits[name], _quantile(right[name], REJECTED_SCENES)), 4) for name in PARTS}
    low["whole"] = round(min(0.0, limits["whole"]), 4)
    doubts = {name: round(_quantile(right[name], 1 - DOUBTED), 4) for name in DOUBTS}
    worst = torch.cat(
        [torch.stack([found[name][key] - low[key] for key in low]).amin(0).clamp(-FAR, FAR) for name in scenes]
    )
    below, above = _unsure(worst, torch.cat([truth[name] for name in scenes]))
    return Calibration(architecture, low, doubts={**doubts, "unsure below": below, "unsure above": above})


def _device(network: Network) -> torch.device:
    return next(network.parameters()).device


@torch.no_grad()
def _look(judge: Judge, images: Tensor) -> dict[str, Tensor]:
    """Return the margins and doubts of pictures, cropped as the judge does, on the CPU."""
    parses = [judge.find(part, crop=True).parse for part in in_chunks(images, CHUNK, "Judging")]
    each = [
        {**raw_margins(parse), **{name: parse.doubts[:, number] for number, name in enumerate(DOUBTS)}}
        for parse in parses
    ]
    return {name: torch.cat([values[name] for values in each]).float().cpu() for name in each[0]}


def _truth(name: str, whole: Tensor) -> Tensor:
    """Return 1: correct, 0: wrong, NaN: unknown. An edit that could not be made counts as unknown."""
    truth = whole.float().cpu()
    return torch.where(truth == 1, torch.full_like(truth, torch.nan), truth) if "edit " in name else truth


def _quantile(values: Tensor, share: float) -> float:
    return float(torch.quantile(values, share)) if len(values) else 0.0


def _unsure(worst: Tensor, truth: Tensor) -> tuple[float, float]:
    """Return the margins between which a verdict is unsure; correct and wrong hands have equal weight."""
    from sklearn.linear_model import LogisticRegression  # here: importing scikit-learn takes a second

    known = ~torch.isnan(truth)
    if len(set(truth[known].tolist())) < 2:
        return 0.0, 0.0
    fitted = LogisticRegression(class_weight="balanced").fit(worst[known, None].numpy(), truth[known].numpy())
    slope, start = float(fitted.coef_[0, 0]), float(fitted.intercept_[0])
    if slope <= 0:
        return 0.0, 0.0
    below, above = (round((math.log(chance / (1 - chance)) - start) / slope, 4) for chance in UNSURE)
    return float(np.clip(below, -FAR, 0)), float(np.clip(above, 0, FAR))
