"""Train the classifier of rejection sampling on judged latents, and choose its limits."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from vae.checks import check_between, integer
from vae.optim import cosine_decay, set_rate
from vae.progress import progress_bar
from vae.sampling.rejection import WIDTH, LatentClassifier
from vae.seeds import first_weights, seeded

EPOCHS, BATCH = 8, 256
LEARNING_RATE, WEIGHT_DECAY = 1e-3, 0.03
DROPPED = 0.4  # share of hidden numbers that training sets to 0
HELD_OUT = 10  # one of this many judged latents is held out, to measure on
FEWEST = 2560  # judged latents that a classifier learns from


class NothingToLearnError(ValueError):
    """No verdict tells latents apart."""


@dataclass(frozen=True, eq=False)
class FittedClassifier:
    """A trained classifier, and what it knows of held-out latents.

    Attributes:
        classifier: On the CPU; its `share` is that of the unlabelled latents that it accepts.
        areas: For each of the K verdicts, the area under the ROC curve on held-out latents, 0..1. 0.5 is a guess. None
            if all held-out latents have the same verdict.
    """

    classifier: LatentClassifier
    areas: list[float | None]


def fit_classifier(
    latents: Tensor,
    holds: Tensor,
    drawn: Tensor,
    *,
    share: float,
    seed: int,
    keeps: Sequence[float] | None = None,
    width: int = WIDTH,
) -> FittedClassifier:
    """Train a classifier that accepts a share of a sampler's latents: those whose verdicts it is surest of.

    Each verdict has a limit, chosen on `drawn`. A verdict that is the same for all latents teaches nothing, and gets
    none.

    Args:
        latents: (n, D) float32, judged latents. They may come from another sampler than `drawn`.
        holds: (n, K) bool, what a judge says of their pictures, on the same device.
        drawn: (m, D) float32, latents of the sampler that the classifier is for, on any device; nobody has judged them.
        share: Share of the sampler's latents to accept, above 0 and at most 1.
        seed: Seed of weights, batches and dropout, >= 0.
        keeps: K numbers above 0. How many latents reach each verdict's limit, in proportion: one with 2 keeps twice as
            many as one with 1, and so turns away fewer. Default: all limits keep equally many.
        width: Number of units of both hidden layers.

    Raises:
        ValueError: If the share or `keeps` is out of range, or there are too few judged latents or no drawn ones.
        NothingToLearnError: If each verdict is the same for all latents.
    """
    check_between("share", share, 0.0, 1.0, without="low")
    if len(latents) < FEWEST:
        raise ValueError(f"A classifier needs at least {FEWEST} judged latents, got {len(latents)}.")
    if not len(drawn):
        raise ValueError("The limits are chosen on latents of the sampler: at least 1 must be drawn, got 0.")
    each = torch.ones(holds.shape[1]) if keeps is None else torch.tensor(keeps, dtype=torch.float32)
    if each.shape != holds.shape[1:] or not (each.isfinite() & (each > 0)).all():
        raise ValueError(f"keeps must be {holds.shape[1]} numbers above 0, one for each verdict, got {keeps}.")
    apart = len(latents) // HELD_OUT
    learnable = (holds[apart:].any(0) & ~holds[apart:].all(0)).cpu()
    if not learnable.any():
        raise NothingToLearnError("Each verdict is the same for all latents, so there is nothing to learn.")
    classifier = _trained(latents[apart:], holds[apart:].float(), integer("seed", seed, 0), width)
    areas = _areas(classifier(latents[:apart]), holds[:apart])
    classifier.cpu()
    choose_limits(classifier, drawn.cpu(), share, torch.where(learnable, each, math.inf))
    return FittedClassifier(classifier, areas)


def _trained(latents: Tensor, wanted: Tensor, seed: int, width: int) -> LatentClassifier:
    """Train on (n, D) latents to predict (n, K) float32 verdicts."""
    device, generator = latents.device, seeded(seed, latents.device)
    with first_weights(seed):
        classifier = LatentClassifier(latents.shape[1], wanted.shape[1], width)
    classifier.mean, classifier.scale = latents.mean(0).cpu(), latents.std(0).clamp(min=1e-6).cpu()
    classifier.to(device)
    optimizer = torch.optim.AdamW(classifier.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    batches = -(-len(latents) // BATCH)
    for epoch in progress_bar(range(EPOCHS), "Fitting the classifier", unit="epochs"):
        order = torch.randperm(len(latents), generator=generator, device=device)
        for number, rows in enumerate(order.split(BATCH)):
            set_rate(optimizer, LEARNING_RATE * cosine_decay((epoch + number / batches) / EPOCHS))
            masks = tuple(_mask(len(rows), width, generator) for _ in range(2))
            loss = binary_cross_entropy_with_logits(classifier(latents[rows], masks), wanted[rows])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
    classifier.eval().requires_grad_(False)
    for layer in classifier.parameters():
        layer.copy_(layer.half())  # as it is saved, before the limits are chosen
    return classifier


def _mask(rows: int, width: int, generator: Generator) -> Tensor:
    kept = torch.rand(rows, width, generator=generator, device=generator.device) >= DROPPED
    return kept / (1 - DROPPED)


def _areas(scores: Tensor, holds: Tensor) -> list[float | None]:
    from sklearn.metrics import roc_auc_score  # here: importing scikit-learn takes a second

    columns = zip(holds.cpu().T, scores.cpu().T, strict=True)
    return [
        float(roc_auc_score(verdicts.numpy(), own.numpy())) if verdicts.any() and not verdicts.all() else None
        for verdicts, own in columns
    ]


def choose_limits(classifier: LatentClassifier, drawn: Tensor, share: float, keeps: Tensor) -> None:
    """Set the limits so that a share of (m, D) drawn latents reaches them all, and the share itself.

    Args:
        classifier: On the CPU.
        drawn: (m, D) float32 on the CPU.
        share: In (0, 1].
        keeps: (K,) float32, above 0: see `fit_classifier`. A verdict with infinity gets no limit.
    """
    ordered, order = classifier(drawn).sort(0, descending=True)
    places = order.argsort(0)  # (m, K): 0 for the latent that is surest of a verdict
    worst = (places / keeps).max(1).values
    farthest = worst.sort().values[max(1, round(share * len(drawn))) - 1]
    for verdict, many in enumerate(keeps.tolist()):
        if math.isfinite(many):
            last = (places[:, verdict] / many <= farthest).sum() - 1
            classifier.limits[verdict] = ordered[last, verdict]
    classifier.share = classifier.accepts(drawn).float().mean()
