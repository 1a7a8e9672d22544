"""Attack the rewarding judge, and compare its verdicts with those of the reporting judge."""

from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from agents.command_line.flags import RUN, check_at_least, check_hands, check_rates
from agents.runs.run import load_run
from hand_env import image_grid
from hand_env.anatomy import Judge
from hand_env.anatomy.report import Agreement, measure_agreement
from hand_env.gradient_ascent import gradient_ascent
from vae.evaluation import decode_all
from vae.images import to_float
from vae.images.overview import is_overview, save_overview
from vae.model import VAE
from vae.progress import in_chunks

SHOWN = 20  # pictures in the grid
CHUNK = 32  # latents moved at a time
LEAST = 1e-6  # smallest score whose logarithm is taken


@dataclass(frozen=True)
class JudgeAttackArgs:
    """Draw hands from a run, raise the rewarding judge's score by gradient ascent, and compare two judges' verdicts."""

    run: Path = field(metadata=RUN)
    """The run's folder."""
    n: int = 200
    """Number of hands."""
    steps: int = 40
    """Adam steps, without bounds on the latents."""
    rate: float = 0.05
    """Learning rate of Adam: about how far each number of a latent moves per step."""
    sampler: str = "auto"
    """'auto', 'rejection', 'prior', 'mixture' or 'normal', as in generate."""
    seed: int = 0
    """Seed of the latents."""
    parser: Path | None = None
    """Weights of the rewarding judge, in place of the packaged ones."""
    reporter: Path | None = None
    """Weights of the reporting judge, in place of the packaged ones."""
    grid: Path | None = None
    """A PNG to write: the first 20 hands, and below them the same hands after the gradient ascent."""


def judge_attack(args: JudgeAttackArgs) -> str:
    """Measure how often both judges agree: on samples, and on samples optimised for the rewarding judge.

    Args:
        args: Settings.

    Returns:
        A table.

    Raises:
        ValueError: If the run is not finished, or a setting is out of its range.
    """
    check_at_least(1, args, "n")
    check_at_least(0, args, "steps", "seed")
    check_rates(args, "rate")
    if args.grid and args.grid.exists() and not is_overview(args.grid):
        raise ValueError(
            f"--grid '{args.grid}' is there already, and handlatent did not draw it. Choose another --grid."
        )
    if args.grid and not (args.grid.suffix.lower() == ".png" and args.grid.parent.is_dir()):
        raise ValueError(f"--grid must be a .png in a folder that exists, got {str(args.grid)!r}.")
    run = load_run(args.run)
    check_hands("--n", args.n, run.vae.size, run.vae.latent_dim)
    judges = Judge.load(args.parser), Judge.load(args.reporter, architecture="reporter")
    latents = run.samplers[run.sampler_name(args.sampler)].sample(args.n, args.seed)
    raised = _attacked(run.vae, judges[0], latents, args.steps, args.rate)
    lines = [
        f"{'':28} {'rewarding judge: anatomical':36} {'reporting judge: anatomical':36} {'alike':36} kappa  scores"
    ]
    drawn = []
    for name, places in (("samples", latents), (f"after {args.steps} steps uphill", raised)):
        pictures = decode_all(run.vae, places)
        drawn.append(pictures[:SHOWN])
        lines.append(_line(name, measure_agreement(*(judge.judge(to_float(pictures)) for judge in judges))))
    moved = (raised - latents).norm(dim=1).mean() / latents.norm(dim=1).mean()
    if args.grid:
        save_overview(args.grid, image_grid(torch.cat(drawn), columns=min(args.n, SHOWN)))
    return "\n".join([*lines, f"latents moved by {moved:.0%} of their length"])


def _attacked(vae: VAE, judge: Judge, latents: Tensor, steps: int, rate: float) -> Tensor:
    """Raise the logarithm of the judge's score by gradient ascent, a few latents at a time."""

    def score(chunk: Tensor) -> Tensor:
        return judge.find(vae.decode(chunk).clamp(0, 1)).score

    def log_score(scores: Tensor) -> Tensor:
        return scores.clamp(min=LEAST).log()

    chunks = in_chunks(latents, CHUNK, "Attacking", "latents")
    return torch.cat([gradient_ascent(score, part, steps=steps, rate=rate, objective=log_score) for part in chunks])


def _line(name: str, found: Agreement) -> str:
    rates = f"{found.first!s:36} {found.second!s:36} {found.alike!s:36}"
    return f"{name:28} {rates} {found.kappa:5.2f}  {found.scores[0]:.2f} {found.scores[1]:.2f}"
