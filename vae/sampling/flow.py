"""A learned prior over the latents: a flow that carries standard normal noise to where the encoder puts pictures."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Generator, Tensor, nn

from vae.checkpoint import save_tensors
from vae.optim import cosine_decay, ema_decay, update_ema

WIDTH, BLOCKS = 576, 4
FREQUENCIES = 32  # of the time, as sines and cosines
EVALUATIONS = 50  # of the velocity, for a sample
AVERAGING = 0.999  # decay per step of the averaged weights
LOOK = 500  # steps between two looks at held-out pictures


class Velocity(nn.Module):
    """A residual network: which way latents flow, and how fast."""

    def __init__(self, latent_dim: int, width: int = WIDTH, blocks: int = BLOCKS) -> None:
        """Build it for (n, latent_dim)."""
        super().__init__()
        self.first = nn.Linear(latent_dim, width)
        self.time = nn.Sequential(nn.Linear(2 * FREQUENCIES, width), nn.SiLU(), nn.Linear(width, width))
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.LayerNorm(width),
                nn.Linear(width, width),
                nn.SiLU(),
                nn.Linear(width, width),
            )
            for _ in range(blocks)
        )
        self.last = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, latent_dim))

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        """Return (n, latent_dim) velocities of (n, latent_dim) places at (n,) times in [0, 1]."""
        angle = t.unsqueeze(1) * torch.exp(torch.linspace(0, math.log(200.0), FREQUENCIES, device=t.device))
        when = self.time(torch.cat([angle.sin(), angle.cos()], 1))
        x = self.first(x)
        for block in self.blocks:
            x = x + block(x + when)
        velocity: Tensor = self.last(x)
        return velocity


class FlowPrior:
    """Rectified flow (Liu, Gong & Liu 2023; Lipman et al. 2023) from noise to encoded pictures.

    The network learns the mean of (latent - noise) at places between the two; to sample, noise follows it from time 0
    to 1 by Heun's method. A sample may then settle: its own last share s is taken for noise, as though it had only come
    to time 1 - s, and replaced by the mean that the network expects there.
    """

    def __init__(
        self, velocity: Velocity, mean: Tensor, scale: Tensor, temperature: float = 1.0, final_denoise: float = 0.0
    ) -> None:
        """Take a trained network.

        Args:
            velocity: Of latents that were shifted by `mean` and divided by `scale`.
            mean: (D,) float32.
            scale: (D,) float32, above 0.
            temperature: In (0, 1]: the standard deviation of the noise; below 1 samples are usual and less diverse.
            final_denoise: In [0, 1), the share s; 0: not at all.
        """
        self.velocity, self.mean, self.scale = velocity.eval().requires_grad_(False), mean, scale
        self.temperature, self.final_denoise = temperature, final_denoise

    @torch.no_grad()
    def sample(self, n: int, seed: int) -> Tensor:
        """Draw latents.

        Args:
            n: How many, >= 1.
            seed: >= 0.

        Returns:
            (n, D) float32 on the CPU.
        """
        noise = torch.randn(n, len(self.mean), generator=torch.Generator().manual_seed(seed))
        x = self.temperature * noise.to(self.mean.device)
        steps = EVALUATIONS // 2
        for step in range(steps):
            t = torch.full((n,), step / steps, device=x.device)
            first = self.velocity(x, t)
            second = self.velocity(x + first / steps, t + 1 / steps)
            x = x + (first + second) / (2 * steps)
        if self.final_denoise:
            x = (1 - self.final_denoise) * x
            x = x + self.final_denoise * self.velocity(x, torch.full((n,), 1 - self.final_denoise, device=x.device))
        return (x * self.scale + self.mean).cpu()

    def to(self, device: torch.device | str) -> FlowPrior:
        """Move the network; samples are drawn on the CPU either way, and are the same up to rounding."""
        self.velocity.to(device)
        self.mean, self.scale = self.mean.to(device), self.scale.to(device)
        return self

    def save(self, path: Path) -> None:
        """Write all to one safetensors file, the network's weights in half precision."""
        tensors = {f"velocity.{name}": tensor.half() for name, tensor in self.velocity.state_dict().items()}
        numbers = {name: torch.tensor(getattr(self, name)) for name in ("temperature", "final_denoise")}
        save_tensors(path, {**tensors, "mean": self.mean, "scale": self.scale, **numbers})

    @classmethod
    def load(cls, path: Path) -> FlowPrior:
        """Read what `save` wrote."""
        tensors = {name: tensor.float() for name, tensor in load_file(path).items()}
        mean, scale = tensors.pop("mean"), tensors.pop("scale")
        if "settle" in tensors:  # what earlier versions called it
            tensors["final_denoise"] = tensors.pop("settle")
        temperature, final_denoise = (float(tensors.pop(name)) for name in ("temperature", "final_denoise"))
        weights = {name.removeprefix("velocity."): tensor for name, tensor in tensors.items()}
        width, blocks = len(weights["first.weight"]), sum(name.endswith(".1.weight") for name in weights) - 1
        velocity = Velocity(len(mean), width, blocks)
        velocity.load_state_dict(weights)
        return cls(velocity, mean, scale, temperature, final_denoise)


def fit_flow(
    latents: Callable[[int, Generator], Tensor],
    held_out: Tensor,
    *,
    steps: int = 12_000,
    batch: int = 2048,
    learning_rate: float = 1e-3,
    width: int = WIDTH,
    blocks: int = BLOCKS,
    seed: int = 0,
) -> tuple[FlowPrior, list[dict[str, float]]]:
    """Train a flow; of its averaged weights those are kept that carry noise best to held-out people's latents.

    Args:
        latents: From a number n and a generator to (n, D) float32 draws from the training pictures' posteriors.
        held_out: (m, D) float32, draws from other people's posteriors, on the same device.
        steps: Of AdamW, at least 1.
        batch: Latents a step.
        learning_rate: At its peak; it rises over 200 steps and falls to nothing.
        width: Of the network.
        blocks: Of the network.
        seed: >= 0, of weights and noise.

    Returns:
        The flow, and the course of its training: "step", "loss", "held_out".
    """
    device = held_out.device
    generator = torch.Generator(device).manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        velocity, averaged = (Velocity(held_out.shape[1], width, blocks) for _ in range(2))
    averaged.load_state_dict(velocity.state_dict())
    velocity.to(device).train(), averaged.to(device).eval()
    some = latents(4 * batch, generator)
    mean, scale = some.mean(0), some.std(0).clamp(min=1e-3)
    optimizer = torch.optim.AdamW(velocity.parameters(), learning_rate, (0.9, 0.99), weight_decay=0.05)
    others = ((held_out - mean) / scale).repeat(math.ceil(2048 / len(held_out)), 1)
    fixed = torch.randn(others.shape, generator=generator, device=device)
    times = torch.rand(len(others), generator=generator, device=device)
    log: list[dict[str, float]] = []
    best, lowest = {}, math.inf
    for step in range(1, steps + 1):
        optimizer.param_groups[0]["lr"] = learning_rate * (min(1.0, step / 200) * cosine_decay((step - 1) / steps))
        x = (latents(batch, generator) - mean) / scale
        noise = torch.randn(x.shape, generator=generator, device=device)
        t = torch.sigmoid(torch.randn(batch, generator=generator, device=device))  # most of them in the middle
        loss = _flow_loss(velocity, x, noise, t)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]  # torch does not annotate it
        optimizer.step()
        with torch.no_grad():
            update_ema(averaged.parameters(), velocity.parameters(), ema_decay(AVERAGING, step, head_start=0))
            if step % LOOK == 0 or step == steps:
                value = float(_flow_loss(averaged, others, fixed, times))
                log.append({"step": step, "loss": float(loss.detach()), "held_out": value})
                if value < lowest:
                    best, lowest = {name: tensor.clone() for name, tensor in averaged.state_dict().items()}, value
    averaged.load_state_dict(best)
    return FlowPrior(averaged, mean, scale), log


def _flow_loss(velocity: Velocity, x: Tensor, noise: Tensor, t: Tensor) -> Tensor:
    """Return the mean squared error of the velocity at time t, between noise at 0 and latents at 1."""
    at = t.unsqueeze(1)
    error: Tensor = (velocity((1 - at) * noise + at * x, t) - (x - noise)).square().mean()
    return error
