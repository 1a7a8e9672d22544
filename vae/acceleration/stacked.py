"""Take one training step of K VAEs of one architecture at once; on a GPU, as CUDA graphs.

A step of a small VAE launches hundreds of small kernels, and launching them takes longer than running them. A CUDA
graph launches all of them at once. Stacking the weights of K VAEs (`torch.func.vmap`) makes each kernel do the work of
K. `Trainer` uses a stack of one on a GPU; `SideBySide` uses a stack of K.
"""

import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from vae.acceleration import parallel
from vae.acceleration.cuda_graphs import EAGER_STEPS, capture_stream, usable_generators
from vae.acceleration.stacked_weights import StackedWeights
from vae.device import compiled, fastest_convolutions, reduced_precision
from vae.images.augmentation import affine_from, warp
from vae.images.image_set import to_float
from vae.loss import gaussian_of_squared, kl_to_standard_normal, squared_distance
from vae.model import VAE
from vae.optim import follow_variance


class Stack:
    """Compute the steps of K VAEs. Random numbers, learning rate and data order come from the caller."""

    def __init__(
        self,
        vae: VAE,
        stacked: StackedWeights,
        pictures: Sequence[Tensor],
        *,
        batch_size: int,
        augment: bool,
        gradient_norm: float,
        kl_weights: Sequence[float],
        trains: bool,
        graphed: bool,
        fused: bool,
    ) -> None:
        """Allocate the inputs, which keep their place in memory.

        Args:
            vae: One of the VAEs, for its architecture.
            stacked: The weights of all.
            pictures: K training sets, (image, 3, S, S) uint8, on the device; they may be one tensor.
            batch_size: B.
            augment: Whether to flip, rotate, shift and scale the pictures a little.
            gradient_norm: > 0, each VAE's gradient is clipped to this norm.
            kl_weights: K factors of the KL term in the objective.
            trains: Whether the weights change.
            graphed: Whether to capture the steps on a GPU.
            fused: Whether torch.compile joins small kernels on a GPU first, where it can (`vae.device.compiled`).
        """
        self.stacked, self.augments, self.gradient_norm, self.trains = stacked, augment, gradient_norm, trains
        self._forward, self._count, device = _Forward(vae), len(pictures), pictures[0].device
        call = partial(_call_one if self._count == 1 else _call_all, self._forward)
        self._prepare = compiled(_prepared, device, fused)
        self._encoder = compiled(partial(call, "encode"), device, fused)
        self._score = compiled(partial(_scored, partial(call, "decode")), device, fused)
        self._pictures, offsets = _concatenate(pictures)
        self._offsets = torch.tensor(offsets, device=device)[:, None]
        shape = (self._count, batch_size)
        self._index = torch.zeros(shape, dtype=torch.int64, device=device)
        self._affine = torch.zeros((*shape, 5), device=device)
        self._noise = torch.zeros((*shape, vae.latent_dim), device=device)
        self._shift = torch.zeros_like(self._noise)
        self._kl_weights = torch.tensor(list(kl_weights), device=device)[:, None]
        self._blend = torch.zeros((), device=device)
        self._steps, self._wants_graphs = 0, graphed and device.type == "cuda"
        self._stream = capture_stream(device) if self._wants_graphs else None
        self._replays: tuple[Callable[[], None], Callable[[], None]] | None = None  # of both halves, once captured
        self.encoded: tuple[Tensor, ...] = ()  # pictures (K, B, 3, S, S), means and log-variances (K, B, D)
        self.scored: tuple[Tensor, ...] = ()  # reconstruction and KL (K, B), decoded pictures (K, B, 3, S, S)

    def encode(self, index: Tensor, affine: Tensor | None, noise: Tensor, rate: float, blend: float) -> None:
        """Encode the next minibatches to `encoded`, whose tensors the next call overwrites.

        This also takes all but the shift that `step` needs, so that a GPU does not wait for it then.

        Args:
            index: (K, B) int64 on the device, positions in each VAE's own training set.
            affine: (K, B, 5) float32 in [0, 1), random numbers for the augmentation; None without augmentation.
            noise: (K, B, D) float32, standard normal, for the latents' sampling.
            rate: The learning rate of the step.
            blend: In [0, 1], share of the new weights in the averaged weights.
        """
        torch.add(index, self._offsets, out=self._index)
        if affine is not None:
            self._affine.copy_(affine)
        self._noise.copy_(noise)
        self.stacked.rate.fill_(rate)
        self._blend.fill_(blend)
        if self._wants_graphs and self._steps == EAGER_STEPS:
            self._wants_graphs = False
            self._capture()
        self._launch(0)

    def step(self, shift: Tensor | None) -> None:
        """Train on the encoded minibatches; `scored` holds the losses before the step until the next call.

        Args:
            shift: (K, B, D) float32, or None.
        """
        if shift is None:
            self._shift.zero_()
        else:
            self._shift.copy_(shift)
        self._launch(1)
        self._steps += 1

    def _encode(self) -> None:
        rows = self._pictures[self._index.flatten()].unflatten(0, self._index.shape)  # outside: their number may differ
        images = self._prepare(rows, self._affine if self.augments else None)
        self.stacked.round_leaves()
        with reduced_precision(images.device):
            mean, log_var = self._encoder(self._weights(), images)  # (K, B, D) each
        self.encoded = images, mean.float(), log_var.float()

    def score(self, shift: Tensor | float) -> tuple[Tensor, Tensor, Tensor]:
        """Decode and score the encoded minibatches as `step` does, with the same noise, without training.

        Args:
            shift: (K, B, D) float32, or 0.

        Returns:
            Reconstruction and KL, (K, B) each, in nats, and decoded pictures, (K, B, 3, S, S), without their graph.
        """
        return self._measure(shift)[:3]

    def _measure(self, shift: Tensor | float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return what `score` does, and the mean squared error of the pixels, (K,), without a graph."""
        images, mean, log_var = self.encoded
        with reduced_precision(images.device), fastest_convolutions():
            return self._score(self._weights(), images, mean + shift, log_var, self._noise)

    def _step(self) -> None:
        reconstruction, kl, decoded, squared_error = self._measure(self._shift)
        if self.trains:
            objective = (reconstruction + self._kl_weights * kl).mean(1) / decoded[0, 0].numel()  # (K,)
            self._descend(objective.sum(), squared_error)
            follow_variance(self.stacked.log_variance, squared_error)
        self.stacked.average(self._blend)
        self.scored = reconstruction.detach(), kl.detach(), decoded

    def _descend(self, objective: Tensor, squared_error: Tensor) -> None:
        gradients = torch.autograd.grad(objective, list(self.stacked.leaves.values()), allow_unused=True)
        rows = self.stacked.take_gradients(gradients)
        parallel.all_reduce_mean([rows, squared_error])
        norm = torch.linalg.vector_norm(rows, dim=1, keepdim=True)
        rows.mul_((self.gradient_norm / (norm + 1e-6)).clamp_max(1.0))
        self.stacked.update(gradients)

    def _weights(self) -> dict[str, Tensor]:
        named = {**self.stacked.leaves, **self.stacked.constants, "log_variance": self.stacked.log_variance}
        return {f"vae.{name}": tensor for name, tensor in named.items()}

    def _launch(self, half: int) -> None:
        """Run one half of the step; before the capture, on the stream that will capture it, as PyTorch asks for."""
        run = (self._replays or (self._encode, self._step))[half]
        if self._stream is None or not self._wants_graphs:
            return run()
        usual = torch.cuda.current_stream(self._stream.device)  # where the caller's copies run, on this GPU
        self._stream.wait_stream(usual)
        with torch.cuda.stream(self._stream), fastest_convolutions():
            run()
        usual.wait_stream(self._stream)

    def _capture(self) -> None:
        """Capture both halves of the step; if that fails, train without graphs and say so."""
        self.encoded = self.scored = ()  # lets go of the eager steps' autograd graphs, which a capture must not meet
        try:
            self._replays = _captured(self._encode, self._step, cast(torch.cuda.Stream, self._stream))
        except Exception as error:  # whatever a user's own VAE does that a graph cannot hold
            warnings.warn(f"The VAE's step runs without CUDA graphs, and slower: {error}", stacklevel=2)


@torch.no_grad()
def probe(vaes: Sequence[VAE], image: Tensor) -> None:
    """Encode and decode a picture with K VAEs at once, so that an architecture that cannot be stacked raises here.

    Args:
        vaes: K VAEs of one architecture, which stay as they are.
        image: (3, S, S) uint8, on their device.
    """
    forwards = [_Forward(vae) for vae in vaes]
    weights, buffers = stack_module_state(forwards)
    images = to_float(image).expand(len(vaes), 1, -1, -1, -1)  # (K, 1, 3, S, S)
    mean, _ = _call_all(forwards[0], "encode", {**weights, **buffers}, images)  # (K, 1, D)
    _call_all(forwards[0], "decode", {**weights, **buffers}, mean)


def _prepared(pictures: Tensor, affine: Tensor | None) -> Tensor:
    """Turn minibatches, (K, B, 3, S, S) uint8, into float32 in [0, 1], and augment them by (K, B, 5) random numbers."""
    images = to_float(pictures.flatten(0, 1))  # (K B, 3, S, S)
    if len(pictures) == 1:  # as a trainer without a stack has them
        images = images.contiguous(memory_format=torch.channels_last)
    if affine is not None:
        images = warp(images, affine_from(affine.flatten(0, 1)))
    return images.view(*pictures.shape[:2], *images.shape[1:])


def _scored(
    decode: Callable[[dict[str, Tensor], Tensor], Tensor],
    weights: dict[str, Tensor],
    images: Tensor,
    mean: Tensor,
    log_var: Tensor,
    noise: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Sample latents, decode them, and measure both terms of the loss; see `Stack._measure` for the shapes."""
    decoded = decode(weights, mean + torch.exp(0.5 * log_var) * noise)
    squared, n_values = vmap(squared_distance)(decoded, images), images[0, 0].numel()  # (K, B)
    reconstruction = gaussian_of_squared(squared, n_values, weights["vae.log_variance"][:, None])
    kl = vmap(kl_to_standard_normal)(mean, log_var)
    return reconstruction, kl, decoded.detach().float(), squared.detach().mean(1) / n_values


def _call_one(forward: "_Forward", method: str, weights: dict[str, Tensor], argument: Tensor) -> Any:
    own = {name: tensor.squeeze(0) for name, tensor in weights.items()}  # the gradient of [0] is a copy
    result = forward.call(method, own, argument[0])
    return result[None] if isinstance(result, Tensor) else tuple(part[None] for part in result)


def _call_all(forward: "_Forward", method: str, weights: dict[str, Tensor], argument: Tensor) -> Any:
    return vmap(lambda own, x: forward.call(method, own, x))(weights, argument)


def _captured(
    encode: Callable[[], None], step: Callable[[], None], stream: torch.cuda.Stream
) -> tuple[Callable[[], None], Callable[[], None]]:
    """Record the kernels of two functions and return functions that replay them; `step` reads what `encode` wrote."""
    encoding, training = torch.cuda.CUDAGraph(), torch.cuda.CUDAGraph()
    mode = parallel.capture_mode()
    torch.cuda.synchronize(stream.device)
    with usable_generators(stream):
        with torch.cuda.graph(encoding, stream=stream, capture_error_mode=mode):
            encode()
        with torch.cuda.graph(training, pool=encoding.pool(), stream=stream, capture_error_mode=mode):
            step()
    torch.cuda.synchronize(stream.device)
    return encoding.replay, training.replay


class _Forward(nn.Module):
    """Reach a VAE's two methods through one `forward`, as `functional_call` needs."""

    def __init__(self, vae: VAE) -> None:
        super().__init__()
        self.vae = vae
        first = {id(tensor): name for name, tensor in (*self.named_parameters(), *self.named_buffers())}
        self.first_names = {name: first[id(tensor)] for name, tensor in _places(self)}

    def call(self, method: str, weights: dict[str, Tensor], argument: Tensor) -> Any:
        """Call a method of the VAE with other weights, named as by `named_parameters` and `named_buffers`."""
        own = {name: weights[first] for name, first in self.first_names.items()}
        return functional_call(self, own, (method, argument), tie_weights=False)  # it would fill a shared layer twice

    def forward(self, method: str, argument: Tensor) -> Any:
        before = dict(self.vae.named_buffers())
        result = self.vae.encode(argument) if method == "encode" else self.vae.decode(argument)
        for name, buffer in self.vae.named_buffers():
            if before.get(name, buffer) is not buffer:
                raise ValueError(
                    f"a VAE must change its buffers in place, got another tensor at {name!r}. Write it with copy_(), "
                    "or train without a stack: TrainingConfig(graphed=False), SideBySide(stacked=False)."
                )
        return result


def _places(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Yield each tensor under the name of each place that holds it; a module with two names has one place."""
    for name, part in module.named_modules():
        yield from part.named_parameters(name, recurse=False, remove_duplicate=False)
        yield from part.named_buffers(name, recurse=False, remove_duplicate=False)


def _concatenate(pictures: Sequence[Tensor]) -> tuple[Tensor, list[int]]:
    """Join the distinct training sets, and return where each VAE's own begins."""
    views = [(own.data_ptr(), own.stride(), own.shape) for own in pictures]
    distinct = dict(zip(views, pictures, strict=True))
    begins, total = {}, 0
    for view, own in distinct.items():
        begins[view], total = total, total + len(own)
    joined = pictures[0] if len(distinct) == 1 else torch.cat(list(distinct.values()))
    return joined, [begins[view] for view in views]
