"""Train the classifier of rejection sampling on judged latents, and choose its limits."""

from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from vae.checks import check_between, integer
from vae.optim import cosine_decay, set_rate
from vae.progress import progress_bar
from vae.sampling.rejection import WIDTH, LatentClassifier
from vae.seeds import seeded

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
    latents: Tensor, holds: Tensor, drawn: Tensor, *, share: float, seed: int, width: int = WIDTH
) -> FittedClassifier:
    """Train a classifier that accepts a share of a sampler's latents: those whose verdicts it is surest of.

    Each verdict's limit is the same quantile of its log-odds on `drawn`, so every verdict counts alike. A verdict that
    is the same for all latents teaches nothing, and gets no limit.

    Args:
        latents: (n, D) float32, judged latents. They may come from another sampler than `drawn`.
        holds: (n, K) bool, what a judge says of their pictures, on the same device.
        drawn: (m, D) float32, latents of the sampler that the classifier is for, on any device; nobody has judged them.
        share: Share of the sampler's latents to accept, above 0 and at most 1.
        seed: Seed of weights, batches and dropout, >= 0.
        width: Number of units of both hidden layers.

    Raises:
        ValueError: If the share is out of range, or there are too few judged latents or no drawn ones.
        NothingToLearnError: If each verdict is the same for all latents.
    """
    check_between("share", share, 0.0, 1.0, without="low")
    if len(latents) < FEWEST:
        raise ValueError(f"A classifier needs at least {FEWEST} judged latents, got {len(latents)}.")
    if not len(drawn):
        raise ValueError("The limits are chosen on latents of the sampler: at least 1 must be drawn, got 0.")
    apart = len(latents) // HELD_OUT
    learnable = (holds[apart:].any(0) & ~holds[apart:].all(0)).cpu()
    if not learnable.any():
        raise NothingToLearnError("Each verdict is the same for all latents, so there is nothing to learn.")
    classifier = _trained(latents[apart:], holds[apart:].float(), integer("seed", seed, 0), width)
    areas = _areas(classifier(latents[:apart]), holds[:apart])
    classifier.cpu()
    _choose_limits(classifier, drawn.cpu(), share, learnable)
    return FittedClassifier(classifier, areas)


def _trained(latents: Tensor, wanted: Tensor, seed: int, width: int) -> LatentClassifier:
    """Train on (n, D) latents to predict (n, K) float32 verdicts."""
    device, generator = latents.device, seeded(seed, latents.device)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # the layers' initial weights come from the global generator
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


def _choose_limits(classifier: LatentClassifier, drawn: Tensor, share: float, learnable: Tensor) -> None:
    """Set the limits of the learnable verdicts, (K,) bool, to one quantile, and the share that reaches them all."""
    ordered, order = classifier(drawn)[:, learnable].sort(0)
    lowest = order.argsort(0).min(1).values  # (m,) a latent's rank by the verdict that it has the lowest rank by
    fewest = max(1, round(share * len(drawn)))
    classifier.limits[learnable] = ordered[lowest.sort(descending=True).values[fewest - 1]]
    classifier.share = classifier.accepts(drawn).float().mean()
