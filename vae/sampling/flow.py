"""Learn a prior over the latents: a flow from standard normal noise to the latents of encoded pictures."""

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
FREQUENCIES = 32  # of the time embedding, as sines and cosines
EVALUATIONS = 50  # of the velocity, per sample
AVERAGING = 0.999  # decay per step of the averaged weights
LOOK = 500  # steps between two evaluations on held-out latents


class Velocity(nn.Module):
    """A residual network that predicts the velocity of latents in the flow."""

    def __init__(self, latent_dim: int, width: int = WIDTH, blocks: int = BLOCKS) -> None:
        """Build the network for (n, latent_dim) latents."""
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
        """Return (n, latent_dim) velocities at (n, latent_dim) positions and (n,) times in [0, 1]."""
        angle = t.unsqueeze(1) * torch.exp(torch.linspace(0, math.log(200.0), FREQUENCIES, device=t.device))
        when = self.time(torch.cat([angle.sin(), angle.cos()], 1))
        x = self.first(x)
        for block in self.blocks:
            x = x + block(x + when)
        velocity: Tensor = self.last(x)
        return velocity


class FlowPrior:
    """Rectified flow (Liu, Gong & Liu 2023; Lipman et al. 2023) from noise to encoded pictures.

    The network learns the mean of (latent - noise) at positions between the two. To sample, noise follows this velocity
    from time 0 to 1 by Heun's method. An optional denoising step then replaces the last share s of a sample. It scales
    the sample by 1 - s, takes that as the state at time 1 - s, and moves it to time 1 in one step.
    """

    def __init__(
        self, velocity: Velocity, mean: Tensor, scale: Tensor, temperature: float = 1.0, final_denoise: float = 0.0
    ) -> None:
        """Store a trained network.

        Args:
            velocity: The network, trained on (latent - mean) / scale.
            mean: (D,) float32.
            scale: (D,) float32, above 0.
            temperature: In (0, 1], standard deviation of the noise; below 1, samples are more typical, less diverse.
            final_denoise: In [0, 1), the share s; 0 for no denoising step.
        """
        self.velocity, self.mean, self.scale = velocity.eval().requires_grad_(False), mean, scale
        self.temperature, self.final_denoise = temperature, final_denoise

    @torch.no_grad()
    def sample(self, n: int, seed: int) -> Tensor:
        """Draw latents.

        Args:
            n: Number of latents, >= 1.
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
        """Move the network to a device; samples stay on the CPU and are the same up to rounding."""
        self.velocity.to(device)
        self.mean, self.scale = self.mean.to(device), self.scale.to(device)
        return self

    def save(self, path: Path) -> None:
        """Write everything to one safetensors file, the network's weights in half precision."""
        tensors = {f"velocity.{name}": tensor.half() for name, tensor in self.velocity.state_dict().items()}
        numbers = {name: torch.tensor(getattr(self, name)) for name in ("temperature", "final_denoise")}
        save_tensors(path, {**tensors, "mean": self.mean, "scale": self.scale, **numbers})

    @classmethod
    def load(cls, path: Path) -> FlowPrior:
        """Read what `save` wrote."""
        tensors = {name: tensor.float() for name, tensor in load_file(path).items()}
        mean, scale = tensors.pop("mean"), tensors.pop("scale")
        if "settle" in tensors:  # its name in earlier versions
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
    """Train a flow; keep the averaged weights with the lowest loss on held-out people's latents.

    Args:
        latents: Takes a number n and a generator, returns (n, D) float32 draws from the training pictures' posteriors.
        held_out: (m, D) float32, draws from the posteriors of held-out people's pictures, on the same device.
        steps: AdamW steps, at least 1.
        batch: Latents per step.
        learning_rate: Its peak; it rises over 200 steps and then decays to 0.
        width: Width of the network.
        blocks: Residual blocks of the network.
        seed: >= 0, for weights and noise.

    Returns:
        The flow, and its training log with "step", "loss" and "held_out".
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
        t = torch.sigmoid(torch.randn(batch, generator=generator, device=device))  # most times are in the middle
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
