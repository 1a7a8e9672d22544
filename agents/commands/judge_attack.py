"""Attack the rewarding judge, and see what the reporting judge says of it."""

from dataclasses import dataclass, field
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from agents.commands.flags import RUN
from agents.runs.run import load_run
from hand_env import image_grid
from hand_env.anatomy import Judge
from hand_env.anatomy.report import Agreement, measure_agreement
from hand_env.gradient_ascent import gradient_ascent
from vae.evaluation import decode_all
from vae.images import to_float
from vae.model import VAE

SHOWN = 20  # pictures in the grid
TOGETHER = 32  # latents moved at a time
LEAST = 1e-6  # of a score, before its logarithm


@dataclass(frozen=True)
class JudgeAttackArgs:
    """Draw from a run, move the latents uphill on the rewarding judge's score, and print what both judges say."""

    run: Path = field(metadata=RUN)
    """The run's folder."""
    n: int = 200
    """How many hands."""
    steps: int = 40
    """Of Adam, without bounds on the latents."""
    rate: float = 0.05
    """Of Adam: about how far a latent moves in a step."""
    sampler: str = "auto"
    """'auto', 'prior', 'mixture' or 'normal', as in generate."""
    seed: int = 0
    """Of the latents."""
    parser: Path | None = None
    """The rewarding judge's weights, in place of the package's."""
    reporter: Path | None = None
    """The reporting judge's weights, in place of the package's."""
    grid: Path | None = None
    """A PNG to write: the first 20 hands as drawn, below the same after the climb."""


def judge_attack(args: JudgeAttackArgs) -> str:
    """Measure how far both judges agree, on samples and on samples that please the first.

    Args:
        args: Settings.

    Returns:
        A table.

    Raises:
        ValueError: If there is no finished run, or a setting is wrong.
    """
    if args.n < 1 or args.steps < 0 or args.rate <= 0:
        got = f"{args.n!r}, {args.steps!r} and {args.rate!r}"
        raise ValueError(f"--n must be at least 1, --steps at least 0 and --rate above 0, got {got}.")
    run = load_run(args.run)
    judges = Judge.load(args.parser), Judge.load(args.reporter, architecture="reporter")
    latents = run.samplers[run.sampler_name(args.sampler)].sample(args.n, args.seed)
    climbed = _attacked(run.vae, judges[0], latents, args.steps, args.rate)
    lines = [
        f"{'':28} {'rewarding judge: anatomical':36} {'reporting judge: anatomical':36} {'alike':36} kappa  scores"
    ]
    drawn = []
    for name, places in (("samples", latents), (f"after {args.steps} steps uphill", climbed)):
        pictures = decode_all(run.vae, places)
        drawn.append(pictures[:SHOWN])
        lines.append(_line(name, measure_agreement(*(judge.judge(to_float(pictures)) for judge in judges))))
    moved = (climbed - latents).norm(dim=1).mean() / latents.norm(dim=1).mean()
    if args.grid:
        Image.fromarray(image_grid(torch.cat(drawn), columns=min(args.n, SHOWN))).save(args.grid)
    return "\n".join([*lines, f"latents moved by {moved:.0%} of their length"])


def _attacked(vae: VAE, judge: Judge, latents: Tensor, steps: int, rate: float) -> Tensor:
    """Climb the log of the judge's score, a few latents at a time."""

    def score(chunk: Tensor) -> Tensor:
        return judge.find(vae.decode(chunk).clamp(0, 1)).score

    def log_score(scores: Tensor) -> Tensor:
        return scores.clamp(min=LEAST).log()

    chunks = torch.split(latents, TOGETHER)
    return torch.cat([gradient_ascent(score, part, steps=steps, rate=rate, objective=log_score) for part in chunks])


def _line(name: str, found: Agreement) -> str:
    rates = f"{found.first!s:36} {found.second!s:36} {found.alike!s:36}"
    return f"{name:28} {rates} {found.kappa:5.2f}  {found.scores[0]:.2f} {found.scores[1]:.2f}"
