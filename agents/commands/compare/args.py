"""The arguments of `handlatent compare`; the command line is generated from them."""

from dataclasses import dataclass
from pathlib import Path

from simple_parsing import field

from agents.command_line.flags import check_at_least, check_list, check_not_nan, check_rates, check_scales, flag
from agents.rl.row_agent import REFINE_BELOW, ROUNDS
from vae.checks import check_at_least as at_least
from vae.checks import check_one_of
from vae.distribution import MEASURES, NETWORKS

SAMPLERS = ("normal", "mixture", "prior", "rejection")
AGENTS = ("none", "random", "sac-latent", "sac-refine", "gradient", "best-of")
AGENT_OF = {"best_of": "best-of", "gradient_steps": "gradient", "gradient_rate": "gradient"}  # flags of one agent alone
IN_ROUNDS = ("random", "sac-latent", "sac-refine", "gradient")  # 'gradient' moves as far as they do in all rounds
BATCH = 20  # pictures, as in the paper; fewer do not count as a batch


@dataclass(frozen=True)
class CompareArgs:
    """Compare samplers and agents on the same latents, over runs that differ in their seed: one table."""

    runs: list[Path] = field(positional=True, metavar="RUNS", nargs="+")
    """Folders of runs, or of weights that 'package' wrote. Several folders stand for several training seeds. So does
    the folder that 'sweep' made for the seeds of a setting."""
    data: Path | None = None
    """The photographs that the runs were trained on: the 11k Hands download, or any folder of pictures."""
    n: int = 1000
    """Pictures per sampler and agent, at least 20."""
    seed: int = 0
    """Seed of the latents, which are the same for all agents, and of the random agent."""
    samplers: list[str] = field(default_factory=lambda: ["normal", "mixture", "prior"])
    """Any of 'normal' (the standard normal), 'mixture' (fitted to the training pictures' latents), 'prior'
    (learned) and 'rejection' (those of the prior's latents that a classifier accepts: selection, not correction)."""
    agents: list[str] = field(default_factory=lambda: [*AGENTS])
    """Any of 'none', 'random', 'sac-latent' (trained in HandLatent-v0), 'sac-refine' (trained in HandRefine-v0),
    'gradient' (gradient ascent) and 'best-of' (best of k draws)."""
    rounds: list[int] = field(default_factory=lambda: [1, ROUNDS])
    """How many times 'random' and both SAC agents correct a latent; one table row for each number."""
    refine_below: float = REFINE_BELOW
    """'random', both SAC agents and 'gradient' correct only latents that score below this, in log-odds of the
    rewarding judge. 'inf': they correct all."""
    gradient_steps: list[int] = field(default_factory=lambda: [1, 3, 20])
    """Steps of 'gradient'; one table row for each number. k steps use the judge as often as k rounds of an agent."""
    gradient_rate: float = 0.1
    """Learning rate of Adam in 'gradient': the move per step and dimension, as a fraction of the largest allowed."""
    best_of: list[int] = field(default_factory=lambda: [2, 4])
    """The k of 'best-of'; one table row for each number. It uses the judge as often as k - 1 rounds of an agent."""
    delta_scale: float | None = None
    """Kappa: the largest move in each dimension, for 'random' in one round. 'gradient' may move as far as the largest
    number of --rounds allows. Default: that of the run's refiner, or 1."""
    parser: Path | None = None
    """Weights of the rewarding judge. Default: the packaged ones."""
    reporter: Path | None = None
    """Weights of the reporting judge. Default: the packaged ones."""
    features: str = MEASURES
    """The network whose features give coverage, density, kernel distance and 'new by features': 'lite2', or 'lite0',
    which the recipe's VAE is trained through."""
    out: Path | None = None
    """Folder for compare.json, a plot of its figures, a grid of pictures per sampler and agent, and the pairs nearest
    to training photographs. Figures that it already holds are kept."""
    device: str = "auto"
    """'auto', 'cpu', 'cuda' or 'cuda:N'."""


def check_args(args: CompareArgs) -> None:
    """Refuse wrong settings before anything is read.

    Raises:
        ValueError: If a setting is wrong.
    """
    if args.data is None:
        raise ValueError("--data must name the folder of the photographs to compare with, got none.")
    check_at_least(BATCH, args, "n")  # one batch
    check_at_least(0, args, "seed")
    words = (
        ("samplers", args.samplers, SAMPLERS),
        ("agents", args.agents, AGENTS),
        ("features", [args.features], tuple(NETWORKS)),
    )
    for name, chosen, known in words:
        check_list(name, chosen)
        for word in chosen:
            check_one_of(f"--{name}", word, known)
    for name, numbers in (("rounds", args.rounds), ("gradient-steps", args.gradient_steps), ("best-of", args.best_of)):
        check_list(name, numbers)
        at_least(1, **{flag(name): min(numbers)})
    usual = CompareArgs(args.runs)
    for name, agent in AGENT_OF.items():
        value = getattr(args, name)
        if agent not in args.agents and value != getattr(usual, name):
            got = " ".join(map(str, value)) if isinstance(value, list) else value
            raise ValueError(
                f"{flag(name)} is for the agent {agent!r}, which --agents leaves out, got {got}. "
                f"Name {agent!r} in --agents, or leave {flag(name)} out."
            )
    if args.rounds != usual.rounds and not {*IN_ROUNDS} & {*args.agents}:
        raise ValueError(
            f"--rounds is for the agents {', '.join(IN_ROUNDS)}, which --agents leaves out, got "
            f"{' '.join(map(str, args.rounds))}. Name one of them in --agents, or leave --rounds out."
        )
    check_not_nan(args, "refine_below")
    check_rates(args, "gradient_rate")
    if args.delta_scale is not None:
        check_scales(args, "delta_scale")
