"""Train a VAE one minibatch at a time, in two calls, so that the caller can shift the latents in between.

    latents = trainer.encode()        # posterior means of the next minibatch
    losses = trainer.step(shift)      # decode mean + shift, one optimiser step

Random numbers depend only on (seed, purpose, step). So a trainer resumes from its weights, its optimiser and its step
count; no random state is saved. In several processes (`vae.acceleration.parallel`), each computes its rows of the
minibatch.
"""

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_
from torch.optim.swa_utils import AveragedModel

from vae.acceleration import parallel
from vae.acceleration.stacked import Stack
from vae.acceleration.stacked_weights import StackedWeights, copied, unstacked
from vae.checks import check_images, check_numbers, integer
from vae.device import channels_last, reduced_precision
from vae.evaluation import Losses, measure
from vae.images.augmentation import affine_from, warp
from vae.images.image_set import to_float
from vae.loss import gaussian_reconstruction, kl_to_standard_normal
from vae.model import VAE
from vae.optim import adamw, cosine_decay, ema_decay, follow_variance, update_ema, with_rates, without_buffers
from vae.seeds import Purpose, stream_seed
from vae.training_config import TrainingConfig


@dataclass(frozen=True)
class _Minibatch:
    index: Tensor  # (batch,) int64
    latents: Tensor  # (batch, latent) float32, detached posterior means
    # and the rows of this process: all, if there is one
    images: Tensor  # (own, 3, S, S) float32 in [0, 1]
    mean: Tensor  # (own, latent) float32, with its graph
    log_var: Tensor  # (own, latent) float32, with its graph
    noise: Tensor  # (own, latent) float32, of the step


class Trainer:
    """Hold a VAE, its optimiser, its averaged weights and its training pictures."""

    _pending: _Minibatch | None
    _epoch_order: tuple[int, Tensor] | None  # of an epoch, (step, batch) int64 on the device
    _stack: Stack | None

    def __init__(self, vae: VAE, images: Tensor, config: TrainingConfig, seed: int, device: str = "cpu") -> None:
        """Move everything to the device, without training.

        Args:
            vae: The model to train, in place.
            images: (image, 3, S, S) uint8, the training pictures; kept on the device, and not copied if they lie there.
            config: Settings.
            seed: >= 0, for data order, augmentation and latent noise.
            device: "cpu", "cuda" or "cuda:N". On CUDA the steps run in bfloat16.

        Raises:
            ValueError: If the pictures' shape or type is wrong, or there are fewer of them than `batch_size`, or the
                processes do not divide `batch_size`.
        """
        check_images(images, vae.size, config.batch_size)
        parallel.local_rows(config.batch_size)
        self.config, self.seed, self.device = config, integer("seed", seed, 0), torch.device(device)
        self.images = images.to(self.device)
        self.vae = channels_last(vae, self.device)
        self.vae.train(config.learning_rate > 0)  # a frozen VAE stays in evaluation mode
        parallel.take_weights_of_main(self.vae)
        self.averaged = AveragedModel(self.vae).eval()  # `step` sets the decay of its moving average
        self._parameters = list(self.vae.parameters())  # listed once, which takes a millisecond
        encoder = {id(parameter) for parameter in self.vae.encoder.parameters()}
        others = [parameter for parameter in self._parameters if id(parameter) not in encoder]
        self._groups = [others, list(self.vae.encoder.parameters())]  # as a backward pass reaches them
        self.optimizer = adamw(self._parameters, config.learning_rate)
        self.steps_done = 0
        self.forget()
        self._compile()

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what can be computed again. A VAE in a stack is copied: what else holds it gets another copy."""
        left_out = ("_pending", "_stack", "_epoch_order", "_encode_images", "_decode_and_score")
        state = {name: value for name, value in self.__dict__.items() if name not in left_out}
        return unstacked(state, [self.vae, self.averaged], self.optimizer, self.images)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore a copy."""
        self.__dict__.update(state)
        self.forget()
        self._compile()

    @property
    def steps_per_epoch(self) -> int:
        """Minibatches per epoch: N / B, rounded up; the epoch's first pictures fill the last one."""
        return math.ceil(len(self.images) / self.config.batch_size)

    @property
    def epoch(self) -> int:
        """Epochs completed."""
        return self.steps_done // self.steps_per_epoch

    @property
    def total_steps(self) -> int:
        """Optimiser steps in `config.epochs` epochs."""
        return self.config.epochs * self.steps_per_epoch

    def encode(self) -> Tensor:
        """Encode the minibatch that the next `step` trains on; until then, repeated calls return the same.

        Returns:
            (batch, latent) float32, detached posterior means.
        """
        if self._pending is None:
            self._pending = self._encode_next()
        return self._pending.latents.clone()  # the caller may keep or change them

    def step(self, shift: Tensor | None = None, *, measure_without: bool = False) -> Losses:
        """Train on the minibatch of `encode`: sampling, KL and decoding use mean + shift.

        Args:
            shift: (batch, latent) float32 on the device, or None; zeros give the same as None, bit for bit.
            measure_without: Whether to also measure the losses without the shift, with the same weights and noise.
                It does not change the training, unless decoding changes buffers, as spectral normalisation does.

        Returns:
            The minibatch's losses before the optimiser step, detached.

        Raises:
            ValueError: If the shift has another shape.
        """
        expected = (self.config.batch_size, self.vae.latent_dim)
        if shift is not None and shift.shape != expected:
            raise ValueError(f"shift must have the shape (picture, latent), {expected}, got {tuple(shift.shape)}.")
        self.encode()
        batch = self._pending
        assert batch is not None, "encode() fills it"
        rows = parallel.local_rows(self.config.batch_size)
        shift = None if shift is None else parallel.broadcast(shift.detach())[rows]
        mean = batch.mean if shift is None else batch.mean + shift
        without = None
        if measure_without:
            # keep the unused graph: without it, a GPU would compile this pass separately and round differently
            if self._stack is None:
                scored = self._decode_and_score(batch.mean, batch.log_var, batch.noise, batch.images)
            else:
                scored = tuple(part[0] for part in self._stack.score(0.0))
            without = _losses(batch.index, *scored)
        if self._stack is None:
            reconstruction, kl, decoded = self._decode_and_score(mean, batch.log_var, batch.noise, batch.images)
            if self.config.learning_rate > 0:
                squared_error = (decoded - batch.images).square().mean()
                objective = (reconstruction + self.config.kl_weight * kl).mean() / batch.images[0].numel()
                self._descend(objective, squared_error)
                follow_variance(self.vae.log_variance, squared_error)
            decay = ema_decay(self.config.averaging, self.steps_done)
            self.averaged.multi_avg_fn = partial(_average, decay=decay)
            self.averaged.update_parameters(self.vae)
        else:
            self._stack.step(None if shift is None else shift[None])
            reconstruction, kl, decoded = (scored[0].clone() for scored in self._stack.scored)
        self.step_is_done()
        return _losses(batch.index, reconstruction, kl, decoded, without)

    def loss_gradient(self, shift: Tensor, generator: torch.Generator) -> Tensor:
        """Return the gradient of the loss with respect to a shift of the latents of `encode`, without training.

        Args:
            shift: (batch, latent) float32 on the device, the point at which to differentiate.
            generator: Source of the latent noise, on the device; `step` uses other noise.

        Returns:
            (batch, latent) float32; row i is the gradient of picture i's loss, in nats per unit of latent.
        """
        self.encode()
        batch = self._pending
        assert batch is not None, "encode() fills it"
        shift = shift.detach().requires_grad_()
        noise = torch.randn(shift.shape, generator=generator, device=self.device)
        with torch.enable_grad():
            mean = batch.mean.detach() + shift
            reconstruction, kl, _ = self._decode_and_score(mean, batch.log_var.detach(), noise, batch.images)
            return torch.autograd.grad((reconstruction + kl).sum(), shift)[0]

    def state_dict(self) -> dict[str, Any]:
        """Copy what a resumed run needs, except the pictures, into nested dicts of tensors and numbers."""
        state = {
            "vae": self.vae.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "steps_done": self.steps_done,
            "seed": self.seed,
        }
        return cast(dict[str, Any], copied(state))

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned, to resume exactly from that step.

        Args:
            state: Returned by the `state_dict` of a trainer with the same model, pictures and settings.

        Raises:
            ValueError: If a number is not finite, except in buffers of one's own, or the optimiser had other settings.
                Errors of other kinds follow if parts are missing or do not fit.
        """
        modules = {"vae": self.vae, "averaged": self.averaged}
        checked = {name: without_buffers(state[name], module) for name, module in modules.items()}
        check_numbers("trainer", {**state, **checked})
        steps_done = integer("steps_done", state["steps_done"], 0, self.total_steps)
        seed = integer("seed", state["seed"], 0)
        groups = with_rates(self.optimizer.state_dict()["param_groups"], state["optimizer"]["param_groups"])
        self.vae.load_state_dict(state["vae"])
        self.averaged.load_state_dict(state["averaged"])
        moments_of = copy.deepcopy(state["optimizer"]["state"])  # since the optimiser keeps the tensors it is given
        self.optimizer.load_state_dict({"state": moments_of, "param_groups": groups})
        for parameter, moments in self.optimizer.state.items():  # fused AdamW reads all of them in one memory order
            moments["step"] = moments["step"].reshape(())
            for name in ("exp_avg", "exp_avg_sq"):
                moments[name] = torch.empty_like(parameter).copy_(moments[name])
        self.steps_done, self.seed = steps_done, seed
        self.forget()

    @property
    def averaged_vae(self) -> VAE:
        """The VAE with averaged weights: the one to save and to draw samples from."""
        module = self.averaged.module
        assert isinstance(module, VAE), "it was built from one"
        return module

    def measure(self, images: Tensor | None = None, *, averaged: bool = False) -> Losses:
        """Measure the loss of pictures without training: no augmentation, the same latent noise each time.

        Args:
            images: (image, 3, S, S) uint8, or None for the training pictures.
            averaged: Whether to measure the averaged weights, in evaluation mode, and not the current ones, in training
                mode.

        Returns:
            Losses of all pictures, in order.
        """
        images = self.images if images is None else images.to(self.device)
        generator = torch.Generator(self.device).manual_seed(stream_seed(self.seed, Purpose.EVALUATE, 0))
        return measure(self.averaged_vae if averaged else self.vae, images, generator)

    def next_index(self) -> Tensor:
        """Return the positions of the next minibatch's pictures, (batch,) int64 on the device."""
        epoch, place = divmod(self.steps_done, self.steps_per_epoch)
        if self._epoch_order is None or self._epoch_order[0] != epoch:
            order = np.random.default_rng((self.seed, Purpose.ORDER, epoch)).permutation(len(self.images))
            places = np.arange(self.steps_per_epoch * self.config.batch_size) % len(order)
            filled = torch.from_numpy(order[places]).to(self.device, non_blocking=True)
            self._epoch_order = (epoch, filled.view(-1, self.config.batch_size))
        return self._epoch_order[1][place]

    def next_affine(self) -> Tensor | None:
        """Draw the random numbers of the next minibatch's augmentation, (batch, 5) float32; None without it."""
        if not self.config.augment:
            return None
        return torch.rand(self.config.batch_size, 5, generator=self._generator(Purpose.AUGMENT), device=self.device)

    def next_noise(self) -> Tensor:
        """Draw the latent noise of the next step, (batch, latent) float32."""
        shape = (self.config.batch_size, self.vae.latent_dim)
        return torch.randn(shape, generator=self._generator(Purpose.LATENT), device=self.device)

    @property
    def next_rate(self) -> float:
        """The learning rate of the next step."""
        return learning_rate(self.steps_done, self.total_steps, self.config)

    @property
    def next_blend(self) -> float:
        """The share of the new weights in the averaged weights at the next step; 1 at the first."""
        return 1.0 - ema_decay(self.config.averaging, self.steps_done) if self.steps_done else 1.0

    def step_is_done(self) -> None:
        """Count a step that was taken here or by `SideBySide`."""
        self.steps_done += 1
        self._pending = None

    def _compile(self) -> None:
        compiled = self.config.compiled and self.device.type == "cuda"
        encode, score = functions_of(self.vae, self.device)  # of the VAE alone: a trainer holds nothing that holds it
        self._encode_images = torch.compile(encode) if compiled else encode
        self._decode_and_score = torch.compile(score) if compiled else score

    def forget(self) -> None:
        """Drop what can be computed again, and what holds on to tensors that are about to be replaced."""
        self._pending = None
        self._epoch_order = None
        self._stack = None

    def _encode_next(self) -> _Minibatch:
        rows = parallel.local_rows(self.config.batch_size)
        index, affine = self.next_index(), self.next_affine()
        own, affine, noise = index[rows], None if affine is None else affine[rows], self.next_noise()[rows]
        if self.config.graphed and self.device.type == "cuda" and self._stack is None:
            weights = StackedWeights([self.vae], [self.averaged], [self.optimizer])
            self._stack = stack([self], weights)
        if self._stack is not None:
            drawn = None if affine is None else affine[None]
            self._stack.encode(own[None], drawn, noise[None], self.next_rate, self.next_blend)
            images, mean, log_var = (encoded[0] for encoded in self._stack.encoded)
            mean = mean.detach().clone()  # the caller may keep the means
            return _Minibatch(index, parallel.all_gather(mean), images, mean, log_var, noise)
        images = to_float(self.images[own]).contiguous(memory_format=torch.channels_last)
        if affine is not None:
            images = warp(images, affine_from(affine))
        mean, log_var = self._encode_images(images)
        return _Minibatch(index, parallel.all_gather(mean.detach()), images, mean, log_var, noise)

    def _generator(self, purpose: Purpose) -> torch.Generator:
        return torch.Generator(self.device).manual_seed(stream_seed(self.seed, purpose, self.steps_done))

    def _descend(self, objective: Tensor, squared_error: Tensor) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        with parallel.averaged_gradients(self._groups, [squared_error]):
            objective.backward()
        clip_grad_norm_(self._parameters, self.config.gradient_norm)
        for group in self.optimizer.param_groups:
            group["lr"] = self.next_rate
        states = list(self.optimizer.state.values())
        if len(states) > 1 and states[0]["step"] is states[1]["step"]:  # weights of a stack share one count of steps
            for state in states:
                state["step"] = state["step"].clone()
        self.optimizer.step()


def functions_of(vae: VAE, device: torch.device) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Return what a step computes with a VAE: one function encodes pictures, the other decodes and scores latents."""

    def encode(images: Tensor) -> tuple[Tensor, Tensor]:
        with reduced_precision(device):
            mean, log_var = vae.encode(images)
        return mean.float(), log_var.float()

    def score(mean: Tensor, log_var: Tensor, noise: Tensor, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        with reduced_precision(device):
            decoded = vae.decode(mean + torch.exp(0.5 * log_var) * noise)
        reconstruction = gaussian_reconstruction(decoded, images, vae.log_variance)
        return reconstruction, kl_to_standard_normal(mean, log_var), decoded.detach().float()

    return encode, score


def _losses(
    index: Tensor, reconstruction: Tensor, kl: Tensor, decoded: Tensor, without: Losses | None = None
) -> Losses:
    """Join the losses of all processes; pictures stay where they were decoded, and are kept only if there is one."""
    reconstruction, kl = reconstruction.detach(), kl.detach()
    if parallel.world_size() > 1:
        reconstruction, kl = parallel.all_gather(torch.stack([reconstruction, kl], 1)).T.contiguous()
    return Losses(index, reconstruction, kl, decoded.detach() if parallel.world_size() == 1 else None, without)


def _average(averaged: Any, current: Any, _: Any, *, decay: float) -> None:
    update_ema(averaged, current, decay)


def learning_rate(step: int, total_steps: int, config: TrainingConfig) -> float:
    """Return the learning rate of a step: linear warm-up, then cosine decay to 1 % of the peak.

    Args:
        step: >= 0, steps already done.
        total_steps: >= 1, steps of the whole run; later steps keep the final rate.
        config: Its `learning_rate` and `warmup_steps` are used.

    Returns:
        A float above 0; 0 if `config.learning_rate` is 0.
    """
    warmup = min(config.warmup_steps, total_steps // 10)
    if step < warmup:
        return config.learning_rate * (step + 1) / warmup
    done = min(1.0, (step - warmup) / max(1, total_steps - warmup))
    return config.learning_rate * cosine_decay(done, floor=0.01)


def stack(trainers: Sequence[Trainer], weights: StackedWeights) -> Stack:
    """Build the stack that takes the steps of trainers with the same settings, except seed and KL weight."""
    config = trainers[0].config
    return Stack(
        trainers[0].vae,
        weights,
        [trainer.images for trainer in trainers],
        batch_size=config.batch_size // parallel.world_size(),
        augment=config.augment,
        gradient_norm=config.gradient_norm,
        kl_weights=[trainer.config.kl_weight for trainer in trainers],
        trains=config.learning_rate > 0,
        graphed=config.graphed,
        fused=config.compiled and len(trainers) == 1,
    )
