"""Measure the hands that a VAE draws with each of four samplers.

The rewarding judge may have paid an agent for these hands. So the reporting judge measures them, and the score of the
rewarding judge stands beside it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from agents.figures.intervals import Column, Figures, median, share
from hand_env.anatomy import ANATOMICAL, CRITERIA, Judge, Known
from hand_env.anatomy.judge import CHUNK
from hand_env.anatomy.measures import sharpness
from vae.distribution.half_samples import NORMAL_95, Estimate
from vae.evaluation import decode_chunks
from vae.images import to_float, to_uint8
from vae.model import VAE
from vae.progress import in_chunks
from vae.sampling.sampler import Sampler

PLAIN = 0.05  # standard deviation of the pixels; the plainest photograph of 11k Hands has 0.099 at 64 pixels
COLUMNS = {
    "correct": Column("correct %", 100, 1),
    "anatomical": Column("anatomical %", 100, 1),
    "score": Column("mean score", 1, 3),
    "untrusted": Column("not trusted %", 100, 1),
    "skin": Column("human skin tone %", 100, 1),
    "plain": Column("plain squares %", 100, 1),
    "sharpness": Column("sharpness", 1, 2, 1e9),
    "new": Column("new %", 100, 1),
    "score_by_parser": Column("mean score by the rewarding judge", 1, 3),
}
_SKIN = CRITERIA.index("skin")


@dataclass(frozen=True, eq=False)
class Judges:
    """Hold both judges, on one device."""

    parser: Judge
    reporter: Judge


class Yardstick:
    """Measure drawn hands against one set of training pictures."""

    def __init__(self, judges: Judges, training: Tensor, held_out: Tensor) -> None:
        """Measure the pictures that drawn hands are compared with.

        Args:
            judges: Both judges.
            training: (n, 3, S, S) uint8, what the VAE is trained on.
            held_out: (m, 3, S, S) uint8, pictures of other people. They set the limits of what is new.
        """
        self.judges, self.device = judges, judges.reporter.device
        others = to_float(held_out.to(self.device))
        self.known = Known(judges.reporter, to_float(training.to(self.device)), others)
        self.usual_sharpness = float(sharpness(others).median())

    def measure(self, vae: VAE, sampler: Sampler, n: int, seed: int) -> tuple[Figures, Tensor]:
        """Draw hands and measure them.

        Args:
            vae: Decodes the latents; it is on the judges' device.
            sampler: Draws the latents.
            n: Number of hands, at least 4.
            seed: Seed of the latents.

        Returns:
            Figures by the names in `COLUMNS`, with 95 % intervals, and the hands, (n, 3, S, S) uint8 on the CPU. The
            intervals are Wilson's for shares and come from halves of the hands for the median sharpness. For a mean
            score, the interval is 1.96 standard errors to each side.
        """
        chunks = decode_chunks(vae, sampler.sample(n, seed), CHUNK[self.device.type])
        pictures = torch.cat([to_uint8(chunk) for chunk in chunks])
        return self.figures(pictures), pictures.cpu()

    @torch.no_grad()
    def figures(self, pictures: Tensor) -> Figures:
        """Measure (n, 3, S, S) uint8 pictures, n at least 4; see `measure`."""
        images = to_float(pictures.to(self.device))
        parts = [self.judges.reporter.find(chunk) for chunk in in_chunks(images, CHUNK[self.device.type], "Judging")]
        holds, doubts, score, feature = (
            torch.cat(column)
            for column in zip(
                *((part.holds, part.doubts, part.score, part.parse.feature) for part in parts), strict=True
            )
        )
        trusted = ~doubts.any(1)
        found = {
            "correct": _share(holds.all(1) & trusted),
            "anatomical": _share(holds[:, : len(ANATOMICAL)].all(1)),
            "score": _mean(score),
            "untrusted": _share(~trusted),
            "skin": _share(holds[:, _SKIN]),
            "plain": _share(spread(images) < PLAIN),
            "sharpness": median((sharpness(images) / self.usual_sharpness).cpu().numpy()),
            "new": _share(self.known.novelty(images, feature).new),
            "score_by_parser": _mean(self.judges.parser.score(images)),
        }
        return {name: COLUMNS[name].clip(found[name]) for name in COLUMNS}


def spread(images: Tensor) -> Tensor:
    """Measure how far pictures are from a plain square of any colour.

    Args:
        images: (n, 3, S, S) float in [0, 1].

    Returns:
        (n,), the standard deviation of the pixels around their picture's mean colour, over all three channels.
    """
    return images.var((2, 3), correction=0).mean(1).sqrt()


def _share(of: Tensor) -> Estimate:
    values: Sequence[bool] = of.tolist()
    return share(values)


def _mean(of: Tensor) -> Estimate:
    values = of.double()
    mean, half_width = float(values.mean()), NORMAL_95 * float(values.std() / len(values) ** 0.5)
    return Estimate(mean, mean - half_width, mean + half_width)
