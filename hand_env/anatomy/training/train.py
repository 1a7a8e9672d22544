"""Train a judge from new or given weights within a time budget; the caller writes the checkpoints."""

from __future__ import annotations

import copy
import sys
import time
from collections.abc import Callable
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from hand_env.anatomy.network import Architecture, Network, build_network
from hand_env.anatomy.training.batches import JudgeBatches, Recipe
from hand_env.anatomy.training.calibrate import calibrate
from hand_env.anatomy.training.imitate import Imitator
from hand_env.anatomy.training.loss import WEIGHTS, loss_terms, nearness
from hand_env.anatomy.training.validate import Examples, choose_limits, figures, table
from hand_env.anatomy.weights import load_network, save_network
from vae.device import reduced_precision, resolve_device
from vae.images.labelled.hands import Hands
from vae.images.labelled.photographs import Photographs
from vae.images.labelled.style import restyle
from vae.images.labelled.synthetic_pool import SyntheticPool
from vae.images.random_source import GeneratorSource
from vae.model import Width
from vae.optim import cosine_decay, ema_decay, set_rate, update_ema
from vae.progress import progress_bar, say

NEAR = 64  # hands per batch whose features are compared in two styles
AHEAD = 4  # batches that are made together


@dataclass(frozen=True)
class JudgeTraining:
    """Settings of a training run.

    Attributes:
        architecture: "parser" may pay rewards, "reporter" only reports.
        seed: Seed of weights, synthetic hands and batches. The number of steps depends on the machine.
        seconds: Time to train the judge itself, seconds.
        imitation_seconds: Time to train the first imitator; the second takes 1.5 times as long. 0: no imitators.
        drawing_seconds: Longest wait for the first synthetic hands, seconds.
        drawn: Number of synthetic hands to wait for.
        capacity: Largest number of synthetic hands in memory; more are rendered during the training.
        batch: Hands per step.
        rate: Peak learning rate.
        workers: Number of processes that render synthetic hands; None: one for each core.
        device: "auto", "cpu" or "cuda".
        examples: Number of synthetic validation hands of each kind.
        every: Seconds between two validations.
        start: File of the weights to start from; "": new weights.
    """

    architecture: Architecture = "parser"
    seed: int = 0
    seconds: float = 360.0
    imitation_seconds: float = 30.0
    drawing_seconds: float = 30.0
    drawn: int = 60_000
    capacity: int = 200_000
    batch: int = 512
    rate: float = 1.2e-3
    workers: int | None = None
    device: str = "auto"
    examples: int = 250
    every: float = 60.0
    start: str = ""


class JudgeTrainer:
    """Hold a network in training, its average and its data."""

    def __init__(
        self, settings: JudgeTraining, photographs: Photographs, out: Path, grounds: tuple[Tensor, Tensor] | None = None
    ) -> None:
        """Build the network, its average and the batches; train nothing yet.

        Args:
            settings: See `JudgeTraining`.
            photographs: What `load_pack` returns.
            out: Folder of the weights, which exists.
            grounds: Backgrounds, as `load_grounds` returns them; None: no hand gets another background.
        """
        self.settings, self.out = settings, out
        self.device = resolve_device(settings.device)
        if self.device != "cpu":
            torch.backends.cudnn.benchmark = True
            torch.backends.cuda.matmul.allow_tf32 = True
        reports = settings.architecture == "reporter"
        offset = 7919 if reports else 0  # with the same seed, both learn from different hands
        self.pool = SyntheticPool(settings.capacity, settings.seed + offset, self.device, settings.workers)
        generator = torch.Generator(self.device).manual_seed(settings.seed + offset)
        recipe = Recipe(malformed=0.65, strength=1.25) if reports else Recipe()
        self.grounds = grounds
        self.batches = JudgeBatches(photographs.train.to(self.device), self.pool, generator, recipe)
        if grounds is not None:
            self.batches.grounds = grounds[0].to(self.device)
        self.network: Network = build_network(settings.architecture, settings.seed + offset)
        if settings.start:
            self.network.load_state_dict(load_network(Path(settings.start))[0].state_dict())
        self.network.to(self.device)
        self.averaged: Network = copy.deepcopy(self.network).eval()
        decay = [p for p in self.network.parameters() if p.dim() > 1]
        plain = [p for p in self.network.parameters() if p.dim() <= 1]
        groups = [{"params": decay, "weight_decay": 0.03}, {"params": plain, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(groups, settings.rate, (0.9, 0.98))
        self.steps, self.spent = 0, 0.0
        self._ready: list[Hands] = []
        self.photographs = photographs

    def prepare(self) -> None:
        """Wait for synthetic hands, train the imitators, and make the validation examples."""
        settings = self.settings
        self.pool.wait_for(min(settings.drawn, 2000), settings.drawing_seconds)
        self._imitate()
        held = self.pool.wait_for(settings.drawn, settings.drawing_seconds)
        say(f"{held} synthetic hands to begin with", sys.stdout)
        self.examples = Examples(self.photographs.validation, settings.examples, self.device)
        if self.batches.imitators:
            self.examples.imitate(self.batches.imitators)
        if self.grounds is not None:
            self.examples.compose(self.grounds[1])

    def _imitate(self) -> None:
        """Train two imitators, one on photographs and one on everything."""
        seconds = self.settings.imitation_seconds
        if not seconds:
            return
        images, generator = self.photographs.train.images, self.batches.generator
        width: Width = "small" if self.device == "cpu" else "large"
        size = min(128, self.settings.batch)

        def photographs() -> Tensor:
            self.pool.collect()
            rows = torch.randint(0, len(images), (size,), generator=generator, device=self.device)
            return _mirrored(self.batches.photographs.images[rows].float() / 255, generator)

        def everything() -> Tensor:
            self.pool.collect()
            return self.batches.labelled(size).images

        for number, pictures in enumerate((photographs, everything)):
            imitator = Imitator(self.settings.seed + number, self.device, width)
            error = imitator.train(pictures, seconds * (1.0 + 0.5 * number), generator)
            imitator.fit(images)
            say(f"imitator {number}: {imitator.steps} steps, mean squared error {error:.5f}", sys.stdout)
            self.batches.imitators.append(imitator)

    def step(self) -> dict[str, float] | None:
        """Take one step; return the loss terms every 100 steps, else None."""
        share = min(1.0, self.spent / self.settings.seconds)
        rate = self.settings.rate * min(1.0, (self.steps + 1) / 200) * cosine_decay(share, floor=0.02)
        set_rate(self.optimizer, rate)
        hands = self._next()
        again = self._again(hands)
        images = torch.cat([hands.images, again]).contiguous(memory_format=torch.channels_last)
        self.network.train()
        with reduced_precision(torch.device(self.device)):
            parse = self.network(images)
        n = len(hands)
        near = nearness(parse.feature[:NEAR], parse.feature[n:])
        for name in vars(parse):
            setattr(parse, name, getattr(parse, name)[:n])
        terms = {**loss_terms(parse, hands), "near": near}
        loss = torch.stack([WEIGHTS[name] * term for name, term in terms.items()]).sum()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), 2.0)
        if torch.isfinite(norm):
            self.optimizer.step()
        self._average()
        self.steps += 1
        return {name: float(term.detach()) for name, term in terms.items()} if self.steps % 100 == 1 else None

    def train(self, stops: Callable[[], bool]) -> None:
        """Train until the time is used up, after `prepare`.

        Args:
            stops: Called between two steps, where all parts of the training agree; returns whether to stop now.
        """
        start, validated, total = time.monotonic() - self.spent, self.spent, round(1000 * self.settings.seconds)
        done = min(total, round(1000 * self.spent))
        with progress_bar(title="Training the judge", unit="ms", total=total, initial=done, leave=True) as bar:
            while self.spent < self.settings.seconds and not stops():
                if self.spent - validated > self.settings.every:
                    validated = self.spent
                    self.finish()
                terms = self.step()
                try:
                    if self.steps % 5 == 0:
                        self.pool.collect()
                except BrokenProcessPool:  # in a terminal, Ctrl-C ends the worker processes too
                    if not stops():
                        raise
                self.spent = time.monotonic() - start
                bar.update(min(total, round(1000 * self.spent)) - bar.n)
                if terms is not None:
                    self._log(terms)

    def finish(self) -> Path:
        """Validate, choose limits, and write the current weights; return their file."""
        limits = self._validate()
        path = self.out / f"{self.settings.architecture}.safetensors"
        save_network(path, self.averaged, calibrate(self.averaged, self.settings.architecture, limits, self.examples))
        return path

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed training needs; its batches start over from the seed."""
        return {
            "network": self.network.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "steps": self.steps,
            "spent": self.spent,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self.network.load_state_dict(state["network"])
        self.averaged.load_state_dict(state["averaged"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.steps, self.spent = state["steps"], state["spent"]

    def _validate(self) -> dict[str, float]:
        """Choose limits, print the validation figures of the averaged network, and return the limits."""
        limits = choose_limits(self.averaged, self.examples)
        shares = figures(self.averaged, self.examples, limits)
        say(f"{self.spent:5.0f} s limits {limits}\n{table(shares)}", sys.stdout)
        return limits

    def _log(self, terms: dict[str, float]) -> None:
        left = max(0.0, self.settings.seconds - self.spent)
        listed = " ".join(f"{name} {value:.3f}" for name, value in terms.items())
        say(
            f"{self.spent:5.0f} s, {left:.0f} s left, step {self.steps} drawn {self.pool.taken} {listed}",
            sys.stdout,
        )

    def _next(self) -> Hands:
        """Return a batch; several are made together, because each edit is cheaper for many hands at once."""
        if not self._ready:
            made = self.batches.batch(AHEAD * self.settings.batch, self.network.size)
            rows = torch.arange(len(made), device=made.images.device)
            self._ready = [made.take(part) for part in torch.split(rows, self.settings.batch)]
        return self._ready.pop()

    def _again(self, hands: Hands) -> Tensor:
        """Return the first hands of a batch in another style."""
        some = hands.take(torch.arange(NEAR, device=self.device) % len(hands))
        some.images = some.images.clone()
        restyle(some, self.network.size, GeneratorSource(NEAR, self.batches.generator), 0.7)
        return some.images

    @torch.no_grad()
    def _average(self) -> None:
        update_ema(self.averaged.parameters(), self.network.parameters(), ema_decay(0.999, self.steps))
        for kept, current in zip(self.averaged.buffers(), self.network.buffers(), strict=True):
            kept.copy_(current)


def _mirrored(images: Tensor, generator: torch.Generator) -> Tensor:
    flip = torch.rand(len(images), 1, 1, 1, generator=generator, device=images.device) < 0.5
    return torch.where(flip, images.flip(3), images)
