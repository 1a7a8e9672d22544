"""Train the flow that is the learned prior; several of them side by side."""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Generator, Tensor
from torch.func import functional_call, vmap

from vae.acceleration.cuda_graphs import GraphedSteps
from vae.checks import integer
from vae.device import tensor_float_32
from vae.optim import cosine_decay, ema_decay, set_rate, update_ema
from vae.progress import progress_bar
from vae.sampling.flow import BLOCKS, WIDTH, FlowPrior, Velocity
from vae.seeds import first_weights, seeded

AVERAGING = 0.999  # decay per step of the averaged weights
LOOK = 500  # steps between two evaluations on held-out latents
FEWEST = 2048  # latents at least in such an evaluation; held-out ones are repeated

Draw = Callable[[int, Generator], Tensor]
Log = list[dict[str, float]]
Weights = dict[str, Tensor]


def fit_flow(latents: Draw, held_out: Tensor, *, seed: int = 0, **settings: Any) -> tuple[FlowPrior, Log]:
    """Train a flow; keep the averaged weights with the lowest loss on held-out people's latents.

    Args:
        latents: Takes a number n and a generator, returns (n, D) float32 draws from the training pictures' posteriors.
        held_out: (m, D) float32, draws from the posteriors of held-out people's pictures, on the same device.
        seed: >= 0, for weights and noise.
        settings: Other settings of `fit_flows`.

    Returns:
        The flow, and its training log with "step", "loss" and "held_out". "loss_low" and "loss_high" are the range of
        the loss since the last entry.
    """
    return fit_flows([latents], [held_out], seeds=[integer("seed", seed, 0)], **settings)[0]


@tensor_float_32()
def fit_flows(
    latents: Sequence[Draw],
    held_out: Sequence[Tensor],
    *,
    seeds: Sequence[int],
    steps: int = 12_000,
    batch: int = 2048,
    learning_rate: float = 1e-3,
    width: int = WIDTH,
    blocks: int = BLOCKS,
) -> list[tuple[FlowPrior, Log]]:
    """Train K flows side by side. Launching a step's kernels on a GPU costs about as much for several as for one.

    Each flow is the one that `fit_flow` trains, up to rounding.

    Args:
        latents: K functions, as for `fit_flow`.
        held_out: K tensors of the same shape, likewise.
        seeds: K seeds.
        steps: AdamW steps, at least 1.
        batch: Latents per step and flow.
        learning_rate: Its peak; it rises over 200 steps and then decays to 0.
        width: Width of the networks.
        blocks: Residual blocks of the networks.

    Returns:
        K flows with their training logs.

    Raises:
        ValueError: If latents are not finite, `steps` is below 1, or the training diverged.
    """
    steps = integer("steps", steps, 1)
    device, dim = held_out[0].device, held_out[0].shape[1]
    build = partial(Velocity, dim, width, blocks)
    skeleton, weights = _empty(build), _fresh(seeds, build, device)
    averaged = {name: tensor.detach().clone() for name, tensor in weights.items()}
    sources = [_Source(draw, own, seed, batch) for draw, own, seed in zip(latents, held_out, seeds, strict=True)]
    others, fixed, times = (torch.stack(column) for column in zip(*(own.fixed for own in sources), strict=True))
    on_gpu = device.type == "cuda"  # there a graph reads the rate from the device
    rate = torch.tensor(learning_rate, device=device) if on_gpu else learning_rate
    optimizer = torch.optim.AdamW(
        weights.values(), rate, (0.9, 0.99), weight_decay=0.05, fused=on_gpu or None, capturable=on_gpu
    )
    launch = GraphedSteps(device, sources[0].generator)

    def train(inputs: Weights) -> Weights:
        losses = _losses(skeleton, weights, **inputs)  # (K,)
        optimizer.zero_grad(set_to_none=True)
        losses.sum().backward()
        optimizer.step()
        return {"losses": losses.detach()}

    logs: list[Log] = [[] for _ in sources]
    recent: list[Tensor] = []  # losses since the last entry
    best: list[Weights] = [{} for _ in sources]
    for step in progress_bar(range(1, steps + 1), "Fitting the prior"):
        set_rate(optimizer, learning_rate * (min(1.0, step / 200) * cosine_decay((step - 1) / steps)))
        drawn = (torch.stack(column) for column in zip(*(own.draw() for own in sources), strict=True))
        losses = launch("step", train, dict(zip(("x", "noise", "t"), drawn, strict=True)))["losses"]
        with torch.no_grad():
            recent.append(losses.clone())  # a graph writes the next ones to the same place
            update_ema(averaged.values(), weights.values(), ema_decay(AVERAGING, step, head_start=0))
            if step % LOOK == 0 or step == steps:
                values = _losses(skeleton, averaged, others, fixed, times).tolist()
                low, high = torch.stack(recent).aminmax(dim=0)
                recent.clear()
                columns = zip(logs, losses.tolist(), values, low.tolist(), high.tolist(), strict=True)
                for row, (log, loss, value, *ends) in enumerate(columns):
                    if value < min((entry["held_out"] for entry in log), default=math.inf):
                        best[row] = {name: tensor[row].clone() for name, tensor in averaged.items()}
                    log.append(
                        {"step": step, "loss": loss, "held_out": value, "loss_low": ends[0], "loss_high": ends[1]}
                    )
    if not all(best):
        raise ValueError(f"the held-out loss must be finite, got {values} at the end. Lower learning_rate.")
    return [
        (FlowPrior(_empty(build, own), source.mean, source.scale), log)
        for own, source, log in zip(best, sources, logs, strict=True)
    ]


class _Source:
    """Draw the latents, noise and times of one flow."""

    def __init__(self, latents: Draw, held_out: Tensor, seed: int, batch: int) -> None:
        """Measure the latents' mean and scale, and draw what the evaluations use."""
        self.latents, self.batch, self.device = latents, batch, held_out.device
        self.generator = seeded(seed, self.device)
        some = latents(4 * batch, self.generator)
        for name, rows in (("latents", some), ("held_out", held_out)):
            if not rows.isfinite().all():
                raise ValueError(f"{name} must be finite, got NaN or infinity. Take a VAE that has not diverged.")
        self.mean, self.scale = some.mean(0), some.std(0).clamp(min=1e-3)
        others = ((held_out - self.mean) / self.scale).repeat(math.ceil(FEWEST / len(held_out)), 1)
        noise = torch.randn(others.shape, generator=self.generator, device=self.device)
        self.fixed = others, noise, torch.rand(len(others), generator=self.generator, device=self.device)

    def draw(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return (batch, D) latents, (batch, D) noise and (batch,) times; most times are in the middle."""
        x = (self.latents(self.batch, self.generator) - self.mean) / self.scale
        noise = torch.randn(x.shape, generator=self.generator, device=self.device)
        return x, noise, torch.sigmoid(torch.randn(self.batch, generator=self.generator, device=self.device))


def _fresh(seeds: Sequence[int], build: Callable[[], Velocity], device: torch.device) -> Weights:
    """Return the stacked weights of new networks, each from its own seed."""
    networks = []
    for seed in seeds:
        with first_weights(seed):
            networks.append(dict(build().named_parameters()))
    stacked = {name: torch.stack([own[name].detach() for own in networks]) for name in networks[0]}
    return {name: tensor.to(device).requires_grad_() for name, tensor in stacked.items()}


def _empty(build: Callable[[], Velocity], weights: Weights | None = None) -> Velocity:
    """Return a network without weights of its own, or with these; no random numbers are drawn for it."""
    with torch.device("meta"):
        velocity = build()
    if weights is not None:
        velocity.load_state_dict(weights, assign=True)
    return velocity


def _losses(skeleton: Velocity, weights: Weights, x: Tensor, noise: Tensor, t: Tensor) -> Tensor:
    """Return K mean squared errors of the velocities at times t, between noise at 0 and latents at 1."""

    def loss(own: Weights, x: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        at = t.unsqueeze(1)
        velocity = functional_call(skeleton, own, ((1 - at) * noise + at * x, t))
        error: Tensor = (velocity - (x - noise)).square().mean()
        return error

    if len(x) == 1:  # without vmap, whose matrix products of one flow are slower
        return loss({name: tensor[0] for name, tensor in weights.items()}, x[0], noise[0], t[0])[None]
    return vmap(loss)(weights, x, noise, t)
