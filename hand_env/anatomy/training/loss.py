"""Compute the loss terms of the judge from all answers with known labels."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from hand_env.anatomy.network import Parse
from vae.images.labelled.hands import IGNORE, Hands

WEIGHTS = {
    "regions": 0.7,
    "joints": 8.0,
    "states": 1.5,
    "extra": 1.0,
    "whole": 3.0,
    "hand": 0.5,
    "up": 0.5,
    "doubts": 0.5,
    "near": 0.1,
}
DEFECT_WEIGHT = 4.0  # because most digits are normal
TEMPERATURE = 0.1  # of the feature in `nearness`


def loss_terms(parse: Parse, hands: Hands) -> dict[str, Tensor]:
    """Measure the error of each answer; unknown labels are ignored.

    Args:
        parse: Answers on n pictures.
        hands: Labels of the same pictures.

    Returns:
        A float32 scalar, >= 0, unweighted, for each of `WEIGHTS` except "near". The unit is nats; for "joints"
        it is the mean of |x| + |y| in fractions of the side, and for "up" the mean squared distance of unit vectors.
    """
    regions = hands.regions.unsqueeze(1)
    regions = F.interpolate(regions, size=parse.regions.shape[-2:], mode="nearest-exact")[:, 0].long()
    weight = torch.ones(parse.states.shape[-1], device=parse.states.device)
    weight[1:] = DEFECT_WEIGHT
    known = ~torch.isnan(hands.joints).any(-1) & (hands.joints > 0).all(-1) & (hands.joints < 1).all(-1)
    away = (parse.joints - torch.nan_to_num(hands.joints)).abs().sum(-1)
    return {
        "regions": F.cross_entropy(parse.regions, regions, ignore_index=IGNORE, reduction="sum")
        / (regions != IGNORE).sum().clamp(min=1),
        "joints": (away * known).sum() / known.sum().clamp(min=1),
        "states": _entropy(parse.states.flatten(0, 1), hands.states.flatten(), weight),
        "extra": _entropy(parse.extra, hands.extra, None),
        "whole": _yes_or_no(parse.whole, hands.whole),
        "hand": _yes_or_no(parse.hand, hands.hand),
        "up": _direction(parse.up, hands.up),
        "doubts": _yes_or_no(parse.doubts, hands.doubts),
    }


def nearness(first: Tensor, second: Tensor) -> Tensor:
    """Measure whether two views of the same hand have similar features (InfoNCE loss).

    Args:
        first: (n, 128) unit vectors.
        second: (n, 128) unit vectors of the same hands in another style.

    Returns:
        A scalar, >= 0, nats per hand.
    """
    alike = first @ second.T / TEMPERATURE
    return F.cross_entropy(alike, torch.arange(len(first), device=first.device))


def _entropy(logits: Tensor, truth: Tensor, weight: Tensor | None) -> Tensor:
    each = F.cross_entropy(logits, truth, weight, ignore_index=-1, reduction="none")
    return each.sum() / (truth >= 0).sum().clamp(min=1)


def _yes_or_no(logits: Tensor, truth: Tensor) -> Tensor:
    known = ~torch.isnan(truth)
    each = F.binary_cross_entropy_with_logits(logits, torch.nan_to_num(truth), reduction="none")
    return (each * known).sum() / known.sum().clamp(min=1)


def _direction(up: Tensor, truth: Tensor) -> Tensor:
    known = ~torch.isnan(truth).any(1)
    each = (up - torch.nan_to_num(truth)).square().sum(1)
    return (each * known).sum() / known.sum().clamp(min=1)
