"""Draw latents by rejection: a network that has learned a judge's verdicts turns most latents away, without the judge.

This is selection, not correction: no latent is changed.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from vae.checks import integer
from vae.files import DamagedError, load_weights, save_tensors
from vae.sampling.reencoded import Reencoded
from vae.sampling.sampler import Sampler

WIDTH = 512  # of both hidden layers
NO_LIMIT = torch.finfo(torch.float32).min  # log-odds that every latent reaches; a file may not hold infinity
SPARE = 1.2  # times as many candidates are drawn as should be needed
MOST = 8192  # candidates at a time
PATIENCE = 30  # times as many candidates as should be needed are drawn, before the limits are called too strict


class LatentClassifier(nn.Module):
    """Predict verdicts on a picture from its latent alone, and say which latents are good enough.

    Attributes:
        mean: (D,) float32, subtracted from latents.
        scale: (D,) float32, above 0; what is left is divided by it.
        limits: (K,) float32, log-odds that a latent's verdicts must reach.
        share: () float32, the share of latents that reached all limits when these were chosen, in (0, 1].
    """

    mean: Tensor
    scale: Tensor
    limits: Tensor
    share: Tensor

    def __init__(self, latent_dim: int, verdicts: int, width: int = WIDTH) -> None:
        """Build the network for (n, latent_dim) latents and K `verdicts`; its limits accept everything."""
        super().__init__()
        sizes = (latent_dim, width, width, verdicts)
        self.layers = nn.ModuleList(nn.Linear(before, after) for before, after in pairwise(sizes))
        self.register_buffer("mean", torch.zeros(latent_dim))
        self.register_buffer("scale", torch.ones(latent_dim))
        self.register_buffer("limits", torch.full((verdicts,), NO_LIMIT))
        self.register_buffer("share", torch.ones(()))

    def forward(self, latents: Tensor, masks: tuple[Tensor, ...] = ()) -> Tensor:
        """Predict.

        Args:
            latents: (n, D) float32.
            masks: (n, width) float32 for each hidden layer, which multiply it: dropout, in training alone.

        Returns:
            (n, K) float32, the log-odds that each verdict holds.
        """
        hidden = (latents - self.mean) / self.scale
        for number, layer in enumerate(self.layers[:-1]):
            hidden = nn.functional.silu(layer(hidden))
            if masks:
                hidden = hidden * masks[number]
        found: Tensor = self.layers[-1](hidden)
        return found

    @torch.no_grad()
    def accepts(self, latents: Tensor) -> Tensor:
        """Return (n,) bool, whether each of (n, D) latents reaches all limits."""
        found: Tensor = (self(latents) >= self.limits).all(1)
        return found

    def save(self, path: Path) -> None:
        """Write everything to one safetensors file, the layers in half precision."""
        state = self.state_dict()
        save_tensors(path, {name: part.half() if name.startswith("layers") else part for name, part in state.items()})

    @classmethod
    def load(cls, path: Path) -> LatentClassifier:
        """Read what `save` wrote.

        Raises:
            FileNotFoundError: If there is no such file.
            DamagedError: If it is not as it was written, or holds no classifier.
        """
        state = {name: part.float() for name, part in load_weights(path).items()}
        try:
            width, latent_dim = state["layers.0.weight"].shape
            with torch.device("meta"):  # no random numbers are drawn for weights that are replaced
                found = cls(latent_dim, len(state["limits"]), width)
            found.load_state_dict(state, assign=True)
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise DamagedError(f"'{path}' is damaged: it must hold a classifier of latents ({error})") from error
        if not (0 < found.share <= 1 and (found.scale > 0).all()):
            raise DamagedError(f"'{path}' is damaged: its share must lie in (0, 1] and its scale above 0")
        return found.eval().requires_grad_(False)


class RejectionSampler:
    """Draw from another sampler until enough latents are accepted.

    A network of three layers looks at the latents in place of the judge, which would have to see pictures. So this is
    cheap, unless the other sampler itself decodes, as `Reencoded` does. Discriminator rejection sampling (Azadi et al.
    2019) draws from a GAN in this way, with the GAN's own critic.
    """

    def __init__(self, sampler: Sampler, classifier: LatentClassifier) -> None:
        """Combine a sampler and a classifier, which stays on the CPU."""
        self.sampler, self.classifier = sampler, classifier

    def sample(self, n: int, seed: int) -> Tensor:
        """Draw latents.

        Args:
            n: Number of latents, >= 1.
            seed: >= 0.

        Returns:
            (n, latent) float32 on the CPU, all of them accepted.

        Raises:
            RuntimeError: If the classifier accepts too few latents of this sampler.
        """
        n, seeds = integer("n", n, 1), np.random.default_rng(integer("seed", seed, 0))
        share, drawn, found, accepted = float(self.classifier.share), 0, 0, list[Tensor]()
        while found < n:
            if drawn > PATIENCE * n / share:
                raise RuntimeError(
                    f"The classifier accepts too few latents: {found:,} of {drawn:,}, and {n:,} are wanted. It was "
                    f"made to accept {share:.1%} of them. So it belongs to another sampler. Draw without rejection."
                )
            count = min(int(SPARE * (n - found) / share) + 1, MOST)
            latents = self.sampler.sample(count, int(seeds.integers(2**31)))
            accepted.append(latents[self.classifier.accepts(latents)])
            drawn, found = drawn + count, found + len(accepted[-1])
        return torch.cat(accepted)[:n]


def innermost(sampler: Sampler) -> Sampler:
    """Return the sampler that draws what rejection and re-encoding start from, or the sampler itself without these."""
    while isinstance(sampler, RejectionSampler | Reencoded):
        sampler = sampler.sampler
    return sampler
