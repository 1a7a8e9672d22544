"""Train the VAE of the packaged weights: mostly on synthetic hands at first, then more and more on photographs.

The decoder learns not only colours but also where palm and digits lie, so that latents carry a hand's structure.
Annotated Hands (Yang et al. 2024) does so for a GAN and a diffusion model. The reconstruction loss compares pixels and
features of an ImageNet network. Two kinds of critics make the pictures sharp:

- patch critics judge decoded latents of pictures, and decoded mixtures of two latents;
- feature critics start later and judge decoded latents of pictures only. To please them with mixtures, a decoder would
  have to draw pictures that the latents do not describe.

The KL term's weight is adjusted so that latents carry a set number of nats per picture. Uniform deltas may shift the
latents while the VAE learns; their reach falls to 0.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from vae.adversarial.batches import Batches
from vae.adversarial.critics import FeatureCritic, PatchCritic, critic_loss, disguise, passing_loss
from vae.adversarial.perceptual import Perceptual
from vae.images.labelled.hands import IGNORE, Hands
from vae.images.labelled.vocabulary import REGIONS
from vae.loss import kl_to_standard_normal
from vae.model import VAE, Decoder, VAEConfig, build_vae
from vae.optim import cosine_decay, ema_decay, stream_seed, update_ema

AHEAD = 8  # batches that are made at once: each of the many small edits costs less per hand on more hands
AVERAGING = 0.999  # decay per step of the averaged weights
ADJUST = 10  # steps between two adjustments of the KL term's weight
WARMUP = 300  # steps over which the learning rate rises, at most a tenth of all steps
CRITICS_RATE = 2e-4  # the critics' learning rate, which is constant
FIRST_WEIGHT = 1e-5  # of the KL term, per nat
Fakes = list[tuple[PatchCritic | FeatureCritic, Tensor]]  # each critic with the decoded pictures it judges
_BATCH, _LATENT, _DELTAS = range(3)  # purposes of random numbers: one stream each


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
        patches_from: Share of the steps after which the patch critics start.
        features_from: Share of the steps after which the feature critics start.
        deltas: Reach of uniform deltas that shift the latents before they are decoded, at the start; it falls in a line
            to 0 at the end. 0: none.
        seed: >= 0.
    """

    steps: int = 9000
    batch: int = 160
    learning_rate: float = 4e-4
    nats: float = 120.0
    drawn: tuple[float, float] = (0.75, 0.15)
    pretraining: float = 0.4
    look: float = 0.4
    regions: float = 0.05
    passing: float = 0.05
    patches_from: float = 0.2
    features_from: float = 0.6
    deltas: float = 0.0
    seed: int = 0


class AdversarialTrainer:
    """Hold the VAE, its averaged weights, the critics and their optimisers."""

    def __init__(self, settings: AdversarialConfig, config: VAEConfig, batches: Batches, device: str) -> None:
        """Build everything on a device; train nothing yet."""
        self.settings, self.batches, self.device = settings, batches, torch.device(device)
        if self.device.type == "cuda":
            torch.backends.cudnn.benchmark = True
            torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
        self.vae: VAE = build_vae(config, settings.seed)
        self.decoder = cast(Decoder, self.vae.decoder)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            self.regions = nn.Conv2d(self.decoder.width, len(REGIONS), 1)
            self.patches, self.features = PatchCritic(), FeatureCritic()
        self.look = Perceptual()
        for module in (self.vae, self.regions, self.patches, self.features, self.look):
            module.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch has no overload for it
        self.averaged: VAE = copy.deepcopy(self.vae).eval().requires_grad_(False)
        painters = [*self.vae.parameters(), *self.regions.parameters()]
        rate = settings.learning_rate
        self.painters = torch.optim.AdamW(painters, rate, (0.9, 0.99), weight_decay=0.01, fused=True)
        learned = [*self.patches.parameters(), *self.features.heads.parameters()]
        self.critics = torch.optim.AdamW(learned, CRITICS_RATE, (0.0, 0.99), weight_decay=0.01, fused=True)
        self.log_weight, self.steps = math.log(FIRST_WEIGHT), 0
        self._ready: list[Hands] = []

    @property
    def share(self) -> float:
        """Share of the training that is done, 0 to 1."""
        return self.steps / self.settings.steps

    def step(self) -> dict[str, Tensor]:
        """Take an optimiser step; return the terms of the loss, detached scalars."""
        s = self.settings
        warm = min(1.0, (self.steps + 1) / min(WARMUP, s.steps // 10 + 1))
        self.painters.param_groups[0]["lr"] = s.learning_rate * (warm * cosine_decay(self.share, floor=0.02))
        hands, real = self._next()
        images = hands.images.contiguous(memory_format=torch.channels_last)
        generator = self._generator(_LATENT)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"):
            mean, log_var = self.vae.encode(images)
            latents = mean + torch.exp(0.5 * log_var) * torch.randn(mean.shape, generator=generator, device=self.device)
            if s.deltas:
                uniform = 2 * torch.rand(mean.shape, generator=self._generator(_DELTAS), device=self.device) - 1
                latents = latents + s.deltas * (1 - self.share) * uniform
            features = self.decoder.features(latents)
            decoded = self.decoder.paint(features).float()
            terms = {
                "pixels": (decoded - images).abs().mean(),
                "look": s.look * self.look(decoded, images),
                "regions": s.regions * self._region_loss(features, hands),
            }
            fakes: Fakes = []  # for half a batch: critics cost as much as the rest
            if self.share >= s.patches_from:
                between = self.vae.decode(_mixed(latents.detach(), real, generator)[::2]).float()
                fakes.append((self.patches, torch.cat([decoded[::2], between])))
            if self.share >= s.features_from:
                fakes.append((self.features, decoded[::2]))
            for critic, fake in fakes:
                critic.learn(False)
                terms[critic.name] = s.passing * passing_loss(critic(disguise(fake, generator)))
                critic.learn(True)
        terms["kl"] = math.exp(self.log_weight) * kl_to_standard_normal(mean, log_var).mean()
        self._descend(torch.stack(list(terms.values())).sum())
        if fakes:
            terms["critics"] = self._criticise(images[::2], fakes, generator)
        update_ema(self.averaged.parameters(), self.vae.parameters(), ema_decay(AVERAGING, self.steps))
        if self.steps % ADJUST == 0:  # reading the loss waits for the device, so do it only every ADJUST steps
            nats = float(terms["kl"].detach()) / math.exp(self.log_weight)
            self.log_weight += 0.1 * max(-1.0, min(1.0, math.log(max(nats, 1.0) / s.nats)))
        self.steps += 1
        return {name: term.detach() for name, term in terms.items()}

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run needs; batches depend only on the seed and the step."""
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
            optimizer.load_state_dict(copy.deepcopy(state[name]))  # it keeps the tensors it is given
            for parameter, moments in optimizer.state.items():  # fused AdamW reads all of them in one memory order
                for moment in ("exp_avg", "exp_avg_sq"):
                    moments[moment] = torch.empty_like(parameter).copy_(moments[moment])
        self.log_weight, self.steps = state["log_weight"], state["steps"]
        self._ready = []

    def _next(self) -> tuple[Hands, int]:
        """Return a batch and how many of its first hands are photographs; the rest are synthetic."""
        s = self.settings
        first = self.steps - self.steps % AHEAD
        drawn_share = np.interp(first / s.steps, (0.0, s.pretraining), s.drawn)
        drawn = s.batch if self.batches.photographs is None else round(float(drawn_share) * s.batch)
        real = s.batch - drawn
        if not self._ready:
            made = self.batches.batch(AHEAD * real, AHEAD * drawn, self._generator(_BATCH, first))
            rows = torch.arange(len(made), device=self.device)
            photographs, others = rows[: AHEAD * real].view(AHEAD, real), rows[AHEAD * real :].view(AHEAD, drawn)
            self._ready = [made.take(torch.cat(parts)) for parts in zip(photographs, others, strict=True)]
            self._ready = self._ready[: AHEAD - self.steps % AHEAD]
        return self._ready.pop(), real

    def _region_loss(self, features: Tensor, hands: Hands) -> Tensor:
        truth = F.interpolate(hands.regions.unsqueeze(1), size=features.shape[-1], mode="nearest-exact")[:, 0].long()
        each = F.cross_entropy(self.regions(features).float(), truth, ignore_index=IGNORE, reduction="sum")
        return each / (truth != IGNORE).sum().clamp(min=1)

    def _descend(self, loss: Tensor) -> None:
        self.painters.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]  # torch does not annotate it
        nn.utils.clip_grad_norm_(self.vae.parameters(), 1.0)
        self.painters.step()

    def _criticise(self, images: Tensor, fakes: Fakes, generator: Generator) -> Tensor:
        n, losses = len(images), []
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"):
            for critic, fake in fakes:
                maps = critic(disguise(torch.cat([images, fake.detach()]), generator))
                losses.append(critic_loss([m[:n] for m in maps], [m[n:] for m in maps]))
        self.critics.zero_grad(set_to_none=True)
        loss = torch.stack(losses).sum()
        loss.backward()  # type: ignore[no-untyped-call]  # likewise
        self.critics.step()
        return loss

    def _generator(self, purpose: int, step: int | None = None) -> Generator:
        number = stream_seed(self.settings.seed, purpose, self.steps if step is None else step)
        return Generator(self.device).manual_seed(number)


def _mixed(latents: Tensor, real: int, generator: Generator) -> Tensor:
    """Mix the latents of two photographs, or of two synthetic hands, and keep their variance."""
    n, device = len(latents), latents.device
    orders = [torch.randperm(size, generator=generator, device=device) for size in (real, n - real)]
    angle = 0.5 * math.pi * torch.rand(n, 1, generator=generator, device=device)
    return torch.cos(angle) * latents + torch.sin(angle) * latents[torch.cat([orders[0], real + orders[1]])]
