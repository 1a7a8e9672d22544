"""Learn a prior over the latents: a flow from standard normal noise to the latents of encoded pictures."""

from __future__ import annotations

import math
from pathlib import Path

import torch
from torch import Tensor, nn

from vae.files import load_weights, save_tensors
from vae.progress import progress_bar
from vae.seeds import seeded

WIDTH, BLOCKS = 576, 4
FREQUENCIES = 32  # of the time embedding, as sines and cosines
EVALUATIONS = 50  # of the velocity, per sample


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

    @property
    def latent_dim(self) -> int:
        """D, the numbers of a latent."""
        return len(self.mean)

    @torch.no_grad()
    def sample(self, n: int, seed: int) -> Tensor:
        """Draw latents.

        Args:
            n: Number of latents, >= 1.
            seed: >= 0.

        Returns:
            (n, D) float32 on the CPU.
        """
        noise = torch.randn(n, self.latent_dim, generator=seeded(seed))
        x = self.temperature * noise.to(self.mean.device)
        steps = EVALUATIONS // 2
        for step in progress_bar(range(steps), "Drawing from the prior"):
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
        tensors = {name: tensor.float() for name, tensor in load_weights(path).items()}
        mean, scale = tensors.pop("mean"), tensors.pop("scale")
        if "settle" in tensors:  # its name in earlier versions; no warning, since the set `synthetic` has it and ships
            tensors["final_denoise"] = tensors.pop("settle")
        temperature, final_denoise = (float(tensors.pop(name)) for name in ("temperature", "final_denoise"))
        weights = {name.removeprefix("velocity."): tensor for name, tensor in tensors.items()}
        width, blocks = len(weights["first.weight"]), sum(name.endswith(".1.weight") for name in weights) - 1
        with torch.device("meta"):  # no random numbers are drawn for weights that are replaced
            velocity = Velocity(len(mean), width, blocks)
        velocity.load_state_dict(weights, assign=True)
        return cls(velocity, mean, scale, temperature, final_denoise)
