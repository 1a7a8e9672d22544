"""The arguments of the comparison; the command line is generated from them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from simple_parsing import field

from agents.rl.row_agent import REFINE_BELOW, ROUNDS
from hand_env.checks import check_not_nan

SAMPLERS = ("normal", "mixture", "prior")
AGENTS = ("none", "random", "sac-latent", "sac-refine", "gradient", "best-of")
BATCH = 20  # the paper's; fewer pictures make no batch


@dataclass(frozen=True)
class CompareArgs:
    """Compare samplers and agents on the same latents, over runs that differ in their seed: one table."""

    runs: list[Path] = field(positional=True, metavar="RUNS", nargs="+")
    """The folders of runs, or of weights that 'package' wrote: several are several training seeds."""
    data: Path | None = None
    """The photographs, as in the runs' training: the 11k Hands download, or any folder of pictures."""
    n: int = 1000
    """Pictures a cell, at least 20."""
    seed: int = 0
    """Of the latents, which are the same for all agents, and of the random agent."""
    samplers: list[str] = field(default_factory=lambda: [*SAMPLERS])
    """Any of 'normal' (the standard normal), 'mixture' and 'prior' (the learned one)."""
    agents: list[str] = field(default_factory=lambda: [*AGENTS])
    """Any of 'none', 'random', 'sac-latent' (trained in HandLatent-v0), 'sac-refine' (in HandRefine-v0), 'gradient' and 'best-of'."""  # noqa: E501 - help is one line
    rounds: list[int] = field(default_factory=lambda: [1, ROUNDS])
    """How often 'random' and both SAC agents correct a latent, each time from what was kept before; a row each."""
    refine_below: float = REFINE_BELOW
    """Log-odds of the rewarding judge at which 'random', both SAC agents and 'gradient' leave a latent as it is; 'inf': none is."""  # noqa: E501 - help is one line
    gradient_steps: list[int] = field(default_factory=lambda: [1, 3, 20])
    """Steps of 'gradient', a row each; with as many steps it judges as often as an agent with so many rounds."""
    gradient_rate: float = 0.1
    """Of its Adam: about how far a step moves a latent in each dimension, as a share of how far it may go in all."""
    best_of: list[int] = field(default_factory=lambda: [2, 4])
    """The k of 'best-of', a row each; it judges as often as an agent with k - 1 rounds."""
    delta_scale: float | None = None
    """Kappa: how far 'random' may move a latent in each dimension in a round, and 'gradient' in as many as --rounds has at most; default: as far as the run's refining agent, or 1."""  # noqa: E501 - likewise
    parser: Path | None = None
    """The rewarding judge's weights, in place of the package's."""
    reporter: Path | None = None
    """The reporting judge's weights, in place of the package's."""
    out: Path | None = None
    """Folder for compare.json and a grid of each cell; finished cells in it are not measured again."""
    device: str = "auto"
    """'auto', 'cpu', 'cuda' or 'cuda:N'."""


def check_args(args: CompareArgs) -> None:
    """Refuse wrong settings before anything is read.

    Raises:
        ValueError: If one is.
    """
    if args.data is None:
        raise ValueError("--data must name the folder of the photographs to compare with, got none.")
    if args.n < BATCH:
        raise ValueError(f"--n must be at least {BATCH}, one batch, got {args.n!r}.")
    if args.seed < 0:
        raise ValueError(f"--seed must be at least 0, got {args.seed!r}.")
    for name, chosen, known in (("samplers", args.samplers, SAMPLERS), ("agents", args.agents, AGENTS)):
        _check_list(name, chosen)
        if wrong := [word for word in chosen if word not in known]:
            raise ValueError(f"--{name} must be of {', '.join(map(repr, known))}, got {wrong[0]!r}.")
    for name, numbers in (("rounds", args.rounds), ("gradient-steps", args.gradient_steps), ("best-of", args.best_of)):
        _check_list(name, numbers)
        if min(numbers) < 1:
            raise ValueError(f"--{name} must be at least 1, got {min(numbers)!r}.")
    check_not_nan(**{"--refine-below": args.refine_below})
    for name, value in (("gradient-rate", args.gradient_rate), ("delta-scale", args.delta_scale)):
        if value is not None and not 0 < value < float("inf"):
            raise ValueError(f"--{name} must be a number above 0, got {value!r}.")


def _check_list(name: str, given: Sequence[object]) -> None:
    if not given or len(set(given)) < len(given):
        raise ValueError(f"--{name} must name at least one and none twice, got {list(given)!r}.")
