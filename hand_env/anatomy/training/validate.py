"""Measure a network on validation people and unseen seeds, and choose its limits on them."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from hand_env.anatomy.margins import raw_margins
from hand_env.anatomy.network import Network, Parse, parse_both_ways
from hand_env.anatomy.training.batches import ALL_EDITS
from hand_env.anatomy.training.imitate import Imitator
from vae.images.labelled.compositing import composable, compose
from vae.images.labelled.hands import Hands
from vae.images.labelled.not_hands import MIXES
from vae.images.labelled.smear import smear
from vae.images.labelled.style import reframe, resized, shrink
from vae.images.labelled.synthetic_pool import render_hands
from vae.images.random_source import GeneratorSource
from vae.images.synthetic import DEFECTS
from vae.progress import in_chunks, progress_bar

SEED = 1_000_003  # of the synthetic hands of validation; no training run uses it
SIZES = (64, 128)
CHUNK = 256  # pictures at a time
REJECTED_REAL, REJECTED_DRAWN = 0.03, 0.012  # shares of correct validation hands that the limit on the whole may reject
REJECTED_BY_PART = 0.004


class Examples:
    """Hold validation pictures by kind, 128 x 128 pixels, on a device."""

    def __init__(self, photographs: Hands, drawn: int, device: str) -> None:
        """Make the pictures; the same arguments give the same pictures.

        Args:
            photographs: Photographs of validation people, uint8.
            drawn: Number of synthetic hands of each kind.
            device: Device of the pictures.
        """
        generator = torch.Generator().manual_seed(SEED)
        photographs = photographs.take(torch.arange(len(photographs)))
        photographs.images = photographs.images.float() / 255
        known = torch.nonzero(~torch.isnan(photographs.joints).flatten(1).any(1))[:, 0][:drawn]
        some, n = photographs.take(known), len(known)
        kinds = {"photographs": photographs}
        for name, edit in progress_bar(ALL_EDITS.items(), "Making validation pictures", unit="edits"):
            edited = some.take(torch.arange(n))
            shrink(edited, GeneratorSource(n, generator), 0.8)
            edit(edited, GeneratorSource(n, generator))
            reframe(edited, GeneratorSource(n, generator), wild=0.0)
            kinds[f"edit {name}"] = edited
        for name, mix in MIXES.items():
            kinds[f"mix {name}"] = mix(some, some.take(_turned(some)), GeneratorSource(n, generator))
        for number, name in enumerate(progress_bar(("none", *DEFECTS), "Rendering validation hands", unit="kinds")):
            hands = render_hands(SEED, number * 10_000, 2 * drawn if name == "none" else drawn, name)
            hands.images = hands.images.float() / 255
            kinds[f"drawn {name}"] = hands
        for name in [name for name in kinds if name.startswith(("photographs", "edit "))]:
            smeared = kinds[name].take(torch.arange(len(kinds[name])))
            smear(smeared, GeneratorSource(len(smeared), generator))
            kinds[f"smeared {name}"] = smeared
        self.kinds = {name: hands.to(device) for name, hands in kinds.items()}

    def imitate(self, imitators: list[Imitator]) -> None:
        """Add reconstructions and samples of the imitators."""
        photographs = self.kinds["photographs"]
        random = GeneratorSource(len(photographs), torch.Generator(photographs.images.device).manual_seed(SEED))
        again = photographs.take(torch.arange(len(photographs), device=random.device))
        imitators[-1].reconstruct(again)
        self.kinds["vae reconstructed"] = again
        moved = photographs.take(torch.arange(len(photographs), device=random.device))
        imitators[0].reconstruct(moved, random)
        self.kinds["vae moved"] = moved
        self.kinds["vae sampled"] = imitators[0].sample(photographs, photographs.take(_turned(photographs)), random)

    def compose(self, grounds: Tensor) -> None:
        """Add scenes: correct and wrong hands on validation backgrounds, (g, 3, T, T) uint8."""
        device = self.kinds["photographs"].images.device
        generator = torch.Generator(device).manual_seed(SEED)
        grounds = grounds.to(device)
        scenes = {}
        for name, hands in self.kinds.items():
            if name.startswith(("photographs", "edit ", "drawn ")):
                some = hands.take(torch.nonzero(composable(hands) & ~torch.isnan(hands.whole))[:, 0])
                if len(some):
                    compose(some, grounds, GeneratorSource(len(some), generator))
                    scenes[f"scene {name}"] = some
        self.kinds.update(scenes)


def _turned(hands: Hands) -> Tensor:
    return torch.roll(torch.arange(len(hands), device=hands.images.device), len(hands) // 2)


@torch.no_grad()
def parse_all(network: Network, images: Tensor, size: int) -> Parse:
    """Parse pictures, (n, 3, 128, 128) float32, after resizing them to `size` pixels."""
    parts = [
        parse_both_ways(network, resized(resized(part, size), network.size))
        for part in in_chunks(images, CHUNK, "Parsing")
    ]
    return Parse(**{name: torch.cat([getattr(part, name) for part in parts]) for name in vars(parts[0])})


def choose_limits(network: Network, examples: Examples) -> dict[str, float]:
    """Choose the limits of `margins` so that few correct validation hands fall below them."""
    limits: dict[str, float] = {}
    sources = {"photographs": REJECTED_REAL, "drawn none": REJECTED_DRAWN}
    found = {
        source: [raw_margins(parse_all(network, examples.kinds[source].images, size)) for size in SIZES]
        for source in sources
    }
    for name in ("whole", "hand", "states", "extra"):
        lows = []
        for source, share in sources.items():
            values = torch.cat([values[name] for values in found[source]]).float().cpu()
            share = share if name == "whole" else REJECTED_BY_PART
            lows.append(float(torch.quantile(values, share)))
        limits[name] = round(min(0.0 if name != "whole" else math.inf, *lows), 4)
    return limits


def figures(network: Network, examples: Examples, limits: dict[str, float]) -> dict[str, tuple[float, float]]:
    """Return the share of each kind that the network calls anatomical, at 64 and at 128 pixels."""
    shares = {}
    for name, hands in progress_bar(examples.kinds.items(), "Validating", unit="kinds of pictures"):
        known = hands.whole == 0 if "edit " in name else ~torch.isnan(hands.whole)  # not all edits can be made
        each = []
        for size in SIZES:
            values = raw_margins(parse_all(network, hands.images, size))
            passed = torch.stack([values[key] >= limits[key] for key in limits]).all(0)
            each.append(float(passed[known].float().mean()))
        shares[name] = (each[0], each[1])
    return shares


def table(shares: dict[str, tuple[float, float]]) -> str:
    """Write the figures as a text table, in the order of `Examples`."""
    lines = [f"{name:28} {at_64:6.1%} {at_128:6.1%}" for name, (at_64, at_128) in shares.items()]
    return "\n".join([f"{'found anatomical':28} {'64':>6} {'128':>6}", *lines])
