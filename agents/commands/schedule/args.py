"""The arguments of `handlatent schedule`; the command line is generated from them."""

from dataclasses import dataclass, field
from pathlib import Path

from agents.command_line.flags import check_above_zero, check_at_least, check_seed, check_vae
from agents.rl.schedule_agent import DECISIONS, N_DRAWN
from vae.training_config import TrainingConfig


@dataclass(frozen=True)
class ScheduleArgs:
    """Train SAC on HandSchedule-v0: how far, in what way and when to shift the latents while a VAE learns."""

    data: str = "synthetic"
    """The folder of the 11k Hands download, or 'synthetic' for synthetic hands. The agent sees photographs of
    validation and test people only."""
    images: int | None = None
    """Pictures to read or to render, before they are split 80/10/10 by person. Default: all photographs, or 2,000
    hands."""
    pack: Path | None = None
    """The pictures in one file, .safetensors, as `handlatent curriculum` writes it; written if missing."""
    n: list[int] = field(default_factory=lambda: [80, 320])
    """Numbers of training pictures; the agent learns on all of them in turn."""
    drawn_n: list[int] = field(default_factory=list)
    """Likewise, numbers of synthetic hands beside the pictures of --data."""
    size: int = 64
    """Width and height of the pictures: 32, 64, 128 or 256 pixels."""
    batch_size: int = 40
    """Pictures per minibatch."""
    steps: list[int] = field(default_factory=lambda: [600])
    """Training steps of a VAE, about: whole epochs are taken. One number, or one for each of --n and --drawn-n."""
    learning_rate: float = TrainingConfig.learning_rate
    """Peak learning rate of the VAEs."""
    kl_weight: float = TrainingConfig.kl_weight
    """Factor of the KL term in the VAEs' objective."""
    decisions: int = DECISIONS
    """Decisions of the agent in a VAE's training."""
    rows: int = 32
    """VAEs that are trained side by side."""
    drawn: int = N_DRAWN
    """Hands drawn and judged after each decision."""
    updates: int = 64
    """Updates of SAC after each decision of all rows."""
    explore: int = 4
    """Rounds with random schedules, before the agent acts. A round trains one VAE in each row."""
    rounds: int = 16
    """Rounds in all."""
    seconds: float = 0.0
    """If above 0, no round begins that would probably end later than this many seconds after the start."""
    latent_dim: int = 300
    """D, the dimensions of a latent."""
    seed: int = 0
    """Seed of everything."""
    parser: Path | None = None
    """Weights of the rewarding judge. Default: the packaged ones."""
    out: Path = Path("runs/schedule")
    """Folder for agent.safetensors and rounds.csv, both written after every round. Rerun the command to resume, also
    with other --n, --drawn-n, --steps, --batch-size, --learning-rate, --kl-weight, --drawn, --updates and --explore."""
    device: str = "auto"
    """'auto', 'cpu', 'cuda' or 'cuda:N'."""


def check_args(args: ScheduleArgs) -> None:
    """Refuse wrong settings before anything is read.

    Raises:
        ValueError: If a setting is wrong.
    """
    check_at_least(1, args, "decisions", "rows", "drawn", "updates", "rounds", "batch_size")
    check_at_least(0, args, "explore", "seconds", "kl_weight")
    check_seed(args.seed)
    check_above_zero(args, "learning_rate")
    for name, listed in (("--n", args.n), ("--drawn-n", args.drawn_n)):
        if min(listed, default=args.batch_size) < args.batch_size:
            raise ValueError(f"{name} must list numbers of at least --batch-size, {args.batch_size}, got {listed!r}.")
    tasks = len(args.n) + len(args.drawn_n)
    if not tasks:
        raise ValueError("--n or --drawn-n must list at least one number, got none.")
    if len(args.steps) not in (1, tasks) or min(args.steps) < 1:
        raise ValueError(
            f"--steps must be one number of at least 1, or one for each of {tasks} tasks, got {args.steps!r}."
        )
    check_vae(args)
    TrainingConfig(learning_rate=args.learning_rate, kl_weight=args.kl_weight)
