"""Train the VAE of the packaged weights: mostly on synthetic hands at first, then more and more on photographs.

The decoder learns not only colours but also where palm and digits lie, so that latents carry a hand's structure.
Annotated Hands (Yang et al. 2024) does so for a GAN and a diffusion model. The reconstruction loss compares pixels and
features of an ImageNet network. Two kinds of critics make the pictures sharp:

- patch critics judge decoded latents of pictures, and decoded mixtures of two latents;
- feature critics start later and judge decoded latents of pictures only. If they judged mixtures too, a decoder would
  learn to draw pictures that the latents do not describe.

Near the end, `learn_prior` may hand over latents of a learned prior. Then the encoder stays as it is. Both kinds of
critics also judge what the decoder makes of these latents, since that is what the VAE will be asked to draw.

The KL term's weight is adjusted so that latents carry a set number of nats per picture. Uniform deltas may shift the
latents while the VAE learns; their reach falls to 0.

In several processes (`vae.acceleration.parallel`), each computes its rows of the batch. All draw the same random
numbers for the whole batch, so a step is that of one process, except for the order in which sums are taken.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from vae.acceleration import parallel
from vae.acceleration.cuda_graphs import GraphedSteps
from vae.adversarial.batches import Batches
from vae.adversarial.critics import FeatureCritic, PatchCritic, critic_loss, disguise, passing_loss
from vae.adversarial.perceptual import perceptual_distance
from vae.device import channels_last, reduced_precision
from vae.images.labelled.hands import IGNORE, Hands
from vae.images.labelled.vocabulary import REGIONS
from vae.loss import kl_to_standard_normal
from vae.model import VAE, Decoder, VAEConfig, build_vae
from vae.optim import cosine_decay, ema_decay, set_rate, update_ema
from vae.seeds import Purpose, first_weights, stream_seed

AHEAD = 8  # batches that are made at once: each of the many small edits costs less per hand on more hands
AVERAGING = 0.999  # decay per step of the averaged weights
ADJUST = 10  # steps between two adjustments of the KL term's weight
WARMUP = 300  # steps over which the learning rate rises, at most a tenth of all steps
CRITICS_RATE = 2e-4  # the critics' learning rate, which is constant
FIRST_WEIGHT = 1e-5  # of the KL term, per nat
Seen = list[tuple[PatchCritic | FeatureCritic, list[Tensor], list[Tensor]]]  # what each critic sees of real and decoded


@dataclass(frozen=True)
class AdversarialConfig:
    """Configure the adversarial training of a VAE.

    Attributes:
        steps: Optimiser steps.
        batch: Pictures per step.
        learning_rate: Peak of AdamW's learning rate.
        nats: Target of the KL term, nats per picture.
        drawn: Share of synthetic hands in a batch, at the start and at the end.
        pretraining: Share of the steps over which the first of these changes linearly to the second.
        look: Weight of the perceptual distance; the mean absolute difference of pixels has weight 1.
        regions: Weight of the regions' cross-entropy.
        passing: Weight of the adversarial loss of the patch critics, and of that of the feature critics.
        passing_with_prior: The same once the decoder learns from a prior's latents, too.
        patches_from: Share of the steps after which the patch critics start.
        features_from: Share of the steps after which the feature critics start.
        features_side: Pixels a side to which the feature critics' pictures are enlarged, a multiple of 32. If it is the
            VAE's size, they stay as they are.
        deltas: Reach of uniform deltas that shift the latents before they are decoded, at the start; it falls in a line
            to 0 at the end. 0: none.
        seed: >= 0.
    """

    steps: int = 8000
    batch: int = 160
    learning_rate: float = 4e-4
    nats: float = 120.0
    drawn: tuple[float, float] = (0.75, 0.15)
    pretraining: float = 0.4
    look: float = 0.4
    regions: float = 0.05
    passing: float = 0.05
    passing_with_prior: float = 0.1
    patches_from: float = 0.2
    features_from: float = 0.6
    features_side: int = 192
    deltas: float = 0.0
    seed: int = 0


class AdversarialTrainer:
    """Hold the VAE, its averaged weights, the critics and their optimisers."""

    def __init__(
        self,
        settings: AdversarialConfig,
        config: VAEConfig,
        batches: Batches,
        device: str,
        graphed: bool = True,
        fused: bool = True,
    ) -> None:
        """Build everything on a device; train nothing yet.

        Args:
            settings: Settings of the training.
            config: Size and width of the VAE.
            batches: Make the batches.
            device: "cpu", "cuda" or "cuda:N".
            graphed: Whether to capture the step as CUDA graphs on a GPU. The results are the same within rounding.
            fused: Whether torch.compile joins the small kernels of the perceptual distance on a GPU, where it can
                (`vae.device.compiled`); likewise.

        Raises:
            ValueError: If the processes cannot share the batch.
        """
        self.settings, self.batches, self.device = settings, batches, torch.device(device)
        self._rows, self._halves = own_rows(settings.batch)
        if self.device.type == "cuda":
            torch.backends.cudnn.benchmark = True
            torch.backends.cudnn.benchmark_limit = 3  # kernels tried for a convolution: those that should be fastest
            torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
        self.vae: VAE = build_vae(config, settings.seed)
        self.decoder = cast(Decoder, self.vae.decoder)
        with first_weights(settings.seed):
            self.regions = nn.Conv2d(self.decoder.feature_channels, len(REGIONS), 1)
            self.patches, self.features = PatchCritic(), FeatureCritic(config.size, settings.features_side)
        for module in (self.vae, self.regions, self.patches, self.features):
            parallel.take_weights_of_main(channels_last(module, self.device))
        if self.device.type == "cuda":
            self.features.stages.bfloat16()  # else autocast rounds their weights in each step
        self._look = perceptual_distance(self.device, fused)  # fused alone: for all else, it takes longer than it saves
        self.averaged: VAE = copy.deepcopy(self.vae).eval().requires_grad_(False)
        painters = [*self.vae.parameters(), *self.regions.parameters()]
        encoder = list(self.vae.encoder.parameters())
        self._groups = [
            [*self.vae.decoder.parameters(), *self.regions.parameters()],
            encoder,
        ]  # as a backward pass goes
        rate = settings.learning_rate
        self.painters = self._optimizer(painters, rate, (0.9, 0.99))
        learned = [*self.patches.parameters(), *self.features.heads.parameters()]
        self.critics = self._optimizer(learned, CRITICS_RATE, (0.0, 0.99))
        self.log_weight, self.steps = math.log(FIRST_WEIGHT), 0
        self.generator = Generator(self.device)  # of a step
        self.launch = GraphedSteps(self.device, self.generator, graphed)
        self._ready: list[Hands] = []
        self.pool: Tensor | None = None

    def freeze_encoder(self) -> None:
        """From now on, keep the averaged encoder, rounded to half precision, as it is saved."""
        kept = self.averaged.encoder.state_dict()
        for tensor in kept.values():
            tensor.copy_(tensor.half())
        self.vae.encoder.load_state_dict(kept)
        self.vae.encoder.requires_grad_(False)

    def learn_prior(self, latents: Tensor) -> None:
        """Teach the decoder what a learned prior draws, too.

        Args:
            latents: (n, D) float32, drawn from a prior that was fitted to the frozen encoder's latents.
        """
        self.pool = latents.to(self.device)

    @property
    def share(self) -> float:
        """Share of the training that is done, 0 to 1."""
        return self.steps / self.settings.steps

    def step(self) -> dict[str, Tensor]:
        """Take an optimiser step; return the terms of the loss, detached scalars, which the next step may overwrite."""
        s = self.settings
        warm = min(1.0, (self.steps + 1) / min(WARMUP, s.steps // 10 + 1))
        set_rate(self.painters, s.learning_rate * (warm * cosine_decay(self.share, floor=0.02)))
        kind = self.share >= s.patches_from, self.share >= s.features_from, self.pool is not None
        terms = self.launch(kind, partial(self._step, *kind), self._inputs(kind[0]))
        update_ema(self.averaged.parameters(), self.vae.parameters(), ema_decay(AVERAGING, self.steps))
        if self.steps % ADJUST == 0:  # reading the loss waits for the device, so do it only every ADJUST steps
            nats = float(terms["kl"]) / math.exp(self.log_weight)
            self.log_weight += 0.1 * max(-1.0, min(1.0, math.log(max(nats, 1.0) / s.nats)))
        self.steps += 1
        return terms

    def _inputs(self, mixes: bool) -> dict[str, Tensor]:
        """Return the next batch, and what else changes with each step; the step draws its other numbers itself."""
        hands, real = self._next()
        n, size = self.settings.batch, self.vae.latent_dim
        generator = self._seed(self.generator, Purpose.ADVERSARIAL_LATENT)
        inputs = {
            "images": hands.images.contiguous(memory_format=torch.channels_last),
            "regions": hands.regions,
            "noise": torch.randn(n, size, generator=generator, device=self.device)[self._rows],
            "weight": torch.tensor(math.exp(self.log_weight)).to(self.device, non_blocking=True),
        }
        if self.pool is not None:
            rows = torch.randint(len(self.pool), (-(-n // 2),), generator=generator, device=self.device)
            inputs["prior"] = self.pool[rows[self._halves]]
        elif mixes:
            orders = [torch.randperm(m, generator=generator, device=self.device) for m in (real, n - real)]
            inputs["order"] = torch.cat([orders[0], real + orders[1]])
        if self.settings.deltas:
            uniform = torch.rand(n, size, generator=self._generator(Purpose.ADVERSARIAL_DELTAS), device=self.device)
            inputs["shift"] = self.settings.deltas * (1 - self.share) * (2 * uniform[self._rows] - 1)
        return inputs

    def _step(self, patches: bool, features: bool, prior: bool, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        """Train on a batch, with or without critics of patches and of features and a prior; return the loss's terms."""
        s, images = self.settings, inputs["images"]
        passing = s.passing_with_prior if prior else s.passing
        with reduced_precision(self.device):
            mean, log_var = self.vae.encode(images)
            latents = mean + torch.exp(0.5 * log_var) * inputs["noise"]
            if "shift" in inputs:
                latents = latents + inputs["shift"]
            if prior:
                latents = torch.cat([latents, inputs["prior"]])
            elif patches:
                mixed = _mixed(parallel.all_gather(latents.detach()), inputs["order"], self.generator)[::2]
                latents = torch.cat([latents, mixed[self._halves]])
            maps, n = self.decoder.features(latents), len(images)
            painted = self.decoder.paint(maps).float()
            decoded, between = painted[:n], painted[n:]
            terms = {
                "pixels": (decoded - images).abs().mean(),
                "look": s.look * self._look(decoded, images),
                "regions": s.regions * self._region_loss(maps[:n], inputs["regions"]),
            }
            seen: Seen = []
            for critic in [c for c, starts in ((self.patches, patches), (self.features, features)) if starts]:
                fake = decoded[::2]  # half a batch: critics cost as much as the rest
                if prior or critic is self.patches:
                    fake = torch.cat([fake, between])
                with torch.no_grad():
                    of_real = critic.see(self._disguise(images[::2]))
                of_fake = critic.see(self._disguise(fake))  # for the decoder's step and the critic's own
                critic.learn(False)
                terms[critic.name] = passing * passing_loss(critic(of_fake))
                critic.learn(True)
                seen.append((critic, of_real, of_fake))
        terms["kl"] = inputs["weight"] * kl_to_standard_normal(mean, log_var).mean()
        self._descend(list(terms.values()))
        if seen:
            terms["critics"] = self._criticise(seen)
        return {name: term.detach() for name, term in terms.items()}

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run needs; batches depend only on the seed and the step.

        Whether the encoder is frozen, and the latents of `learn_prior`, are not part of it: a resumed run calls
        `freeze_encoder` and `learn_prior` again.
        """
        return {
            "vae": self.vae.state_dict(),
            "averaged": self.averaged.state_dict(),
            "regions": self.regions.state_dict(),
            "patches": self.patches.state_dict(),
            "features": self.features.heads.state_dict(),
            "painters": self.painters.state_dict(),
            "critics": self.critics.state_dict(),
            "log_weight": self.log_weight,
            "steps": self.steps,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        for name in ("vae", "averaged", "regions", "patches"):
            getattr(self, name).load_state_dict(state[name])
        self.features.heads.load_state_dict(state["features"])
        for name in ("painters", "critics"):
            optimizer = getattr(self, name)
            own = {key: optimizer.param_groups[0][key] for key in ("lr", "capturable")}
            optimizer.load_state_dict(copy.deepcopy(state[name]))  # it keeps the tensors it is given
            rate = float(optimizer.param_groups[0]["lr"])
            optimizer.param_groups[0].update(own)  # of this device
            set_rate(optimizer, rate)
            for parameter, moments in optimizer.state.items():  # fused AdamW reads all of them in one memory order
                for moment in ("exp_avg", "exp_avg_sq"):
                    moments[moment] = torch.empty_like(parameter).copy_(moments[moment])
        self.log_weight, self.steps = state["log_weight"], state["steps"]
        self._ready = []
        self.launch = GraphedSteps(self.device, self.generator, self.launch.wanted)  # what graphs read has moved

    def _next(self) -> tuple[Hands, int]:
        """Return a batch and how many of its first hands are photographs; the rest are synthetic."""
        s = self.settings
        first = self.steps - self.steps % AHEAD
        drawn_share = np.interp(first / s.steps, (0.0, s.pretraining), s.drawn)
        drawn = s.batch if self.batches.photographs is None else round(float(drawn_share) * s.batch)
        real = s.batch - drawn
        if not self._ready:
            rows = torch.arange(AHEAD * s.batch, device=self.device)
            photographs, others = rows[: AHEAD * real].view(AHEAD, real), rows[AHEAD * real :].view(AHEAD, drawn)
            own = torch.cat([photographs, others], 1)[:, self._rows]  # (AHEAD, own)
            generator, alone = self._generator(Purpose.ADVERSARIAL_BATCH, first), parallel.world_size() == 1
            made = self.batches.batch(AHEAD * real, AHEAD * drawn, generator, None if alone else own.flatten())
            self._ready = [made.take(each) for each in (own if alone else rows[: own.numel()].view_as(own))]
            self._ready = self._ready[: AHEAD - self.steps % AHEAD]
        return self._ready.pop(), real

    def _region_loss(self, features: Tensor, regions: Tensor) -> Tensor:
        truth = F.interpolate(regions.unsqueeze(1), size=features.shape[-1], mode="nearest-exact")[:, 0].long()
        each = F.cross_entropy(self.regions(features).float(), truth, ignore_index=IGNORE, reduction="sum")
        known = (truth != IGNORE).sum().float()
        parallel.all_reduce_mean([known])  # of all processes, so that each pixel counts the same
        return each / known.clamp(min=1 / parallel.world_size())

    def _optimizer(self, parameters: list[nn.Parameter], rate: float, betas: tuple[float, float]) -> torch.optim.AdamW:
        on_gpu = self.device.type == "cuda"  # there a graph reads the rate from the device
        first = torch.tensor(rate, device=self.device) if on_gpu else rate
        return torch.optim.AdamW(parameters, first, betas, weight_decay=0.01, fused=True, capturable=on_gpu)

    def _descend(self, terms: list[Tensor]) -> None:
        self.painters.zero_grad(set_to_none=True)
        loss = torch.stack(terms).sum()
        with parallel.averaged_gradients(self._groups, [term.detach() for term in terms]):
            loss.backward()
        nn.utils.clip_grad_norm_(self.vae.parameters(), 1.0)
        self.painters.step()

    def _criticise(self, seen: Seen) -> Tensor:
        losses = []
        with reduced_precision(self.device):
            for critic, real, fake in seen:
                n = len(real[0])
                maps = critic([torch.cat([r, f.detach()]) for r, f in zip(real, fake, strict=True)])
                losses.append(critic_loss([m[:n] for m in maps], [m[n:] for m in maps]))
        self.critics.zero_grad(set_to_none=True)
        loss = torch.stack(losses).sum()
        with parallel.averaged_gradients([self.critics.param_groups[0]["params"]], [loss.detach()]):
            loss.backward()
        self.critics.step()
        return loss

    def _disguise(self, images: Tensor) -> Tensor:
        """Disguise pictures that come in parts of half a batch."""
        return disguise(images, self.generator, len(images) // (self._halves.stop - self._halves.start))

    def _generator(self, purpose: Purpose, step: int | None = None) -> Generator:
        return self._seed(Generator(self.device), purpose, step)

    def _seed(self, generator: Generator, purpose: Purpose, step: int | None = None) -> Generator:
        return generator.manual_seed(stream_seed(self.settings.seed, purpose, self.steps if step is None else step))


def own_rows(batch: int) -> tuple[slice, slice]:
    """Return which rows of a batch this process takes, and which of every other row.

    Raises:
        ValueError: If the processes cannot share both.
    """
    processes = parallel.world_size()
    if processes > 1 and batch % (2 * processes):
        raise ValueError(
            f"The batch must be a multiple of twice the number of processes, {2 * processes}, got {batch!r}. It counts "
            "the pictures of all processes together, and critics see half of them."
        )
    return parallel.local_rows(batch), parallel.local_rows(-(-batch // 2))


def _mixed(latents: Tensor, order: Tensor, generator: Generator) -> Tensor:
    """Mix the latents of two photographs, or of two synthetic hands, and keep their variance."""
    angle = 0.5 * math.pi * torch.rand(len(latents), 1, generator=generator, device=latents.device)
    return torch.cos(angle) * latents + torch.sin(angle) * latents[order]
