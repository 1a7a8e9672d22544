"""The arguments of `handlatent curriculum`; the command line is generated from them."""

from dataclasses import dataclass, field
from pathlib import Path

from agents.command_line.flags import SWITCH, check_above_zero, check_at_least, check_hands, check_list, check_vae, flag
from agents.commands.curriculum.methods import AGENT, DEFAULT, parse_method
from agents.figures.samplers import PRIOR_STEPS, SAMPLERS
from agents.runs.packed_pictures import ALL
from vae.checks import check_at_least as at_least
from vae.checks import check_one_of
from vae.training_config import TrainingConfig

FEWEST = 20  # hands drawn


@dataclass(frozen=True)
class CurriculumArgs:
    """Train VAEs with and without acting on their latents, draw hands from each, and compare them in one table."""

    data: str = "synthetic"
    """The folder of the 11k Hands download, or 'synthetic' for synthetic hands."""
    images: int | None = None
    """Pictures to read or to render, before they are split 80/10/10 by person. Default: all photographs, or 2,000
    hands."""
    pack: Path | None = None
    """The pictures in one file, .safetensors, for a machine without the download; written if missing."""
    n: list[str] = field(default_factory=lambda: ["8", "80", "800", ALL])
    """Numbers of training pictures; 'all' takes all pictures of the training people."""
    epochs: list[int] = field(default_factory=lambda: [1, 100])
    """Numbers of passes over the training pictures."""
    size: int = 64
    """Width and height of the pictures: 32, 64, 128 or 256 pixels."""
    batch_size: int | None = None
    """Pictures per minibatch. Default: half of the training pictures, at most 64."""
    latent_dim: int = 300
    """D, the dimensions of a latent."""
    learning_rate: float = TrainingConfig.learning_rate
    """Peak learning rate of the VAE."""
    seeds: list[int] = field(default_factory=lambda: [0, 1, 2, 3, 4])
    """Seeds. Each chooses its training pictures, weights, data order, noise and drawn hands."""
    methods: list[str] = field(default_factory=lambda: [*DEFAULT])
    """Rows of the table. 'uniform-2': uniform deltas of kappa 2. 'falling-6': from 6 down to 0. 'kl-4': KL term times
    4, no agent. 'uniform-2+kl-4': both. 'untrained': the paper's agent. 'rows': SAC. 'schedule': needs --agent."""
    agent: Path | None = None
    """Weights of a trained agent of HandSchedule-v0, for the method 'schedule': SAC's policy, .safetensors."""
    samplers: list[str] = field(default_factory=lambda: [*SAMPLERS])
    """Any of 'normal' (the standard normal), 'mixture' (32 Gaussians), 'prior' (the learned prior) and 'denoised' (the
    learned prior at temperature 0.9 with a final denoising step)."""
    prior_for: list[str] | None = None
    """Methods whose VAEs get 'prior' and 'denoised', which cost most. Default: all methods."""
    prior_steps: int = PRIOR_STEPS
    """Training steps of the learned prior."""
    hands: int = 1000
    """Hands drawn with each sampler, at least 20."""
    side_by_side: int = 32
    """Largest number of VAEs that are trained together on a GPU."""
    pictures: bool = field(default=False, metadata=SWITCH)
    """Whether to save a grid of 40 drawn hands for each sampler of each VAE."""
    parser: Path | None = None
    """Weights of the rewarding judge. Default: the packaged ones."""
    reporter: Path | None = None
    """Weights of the reporting judge. Default: the packaged ones."""
    out: Path = Path("runs/curriculum")
    """Folder for curriculum.json. Rerun the command to resume; figures that the folder already holds are kept."""
    join: list[Path] = field(default_factory=list)
    """Folders of this command on other GPUs or machines, with the same settings: their figures join those of --out."""
    device: str = "auto"
    """'auto', 'cpu', 'cuda' or 'cuda:N'."""


def check_args(args: CurriculumArgs) -> None:
    """Refuse wrong settings before anything is read.

    Raises:
        FileNotFoundError: If there is no such agent.
        ValueError: If a setting is wrong.
    """
    for name in ("n", "epochs", "seeds", "methods", "samplers"):
        check_list(name, getattr(args, name))
    for word in args.n:
        if word != ALL and not (word.isascii() and word.isdigit() and int(word) >= 2):
            raise ValueError(f"--n must be a number of at least 2, or 'all', got {word!r}.")
    for name, low in (("epochs", 1), ("seeds", 0)):
        at_least(low, **{flag(name): min(getattr(args, name))})
    for word in (*args.methods, *(args.prior_for or ())):
        parse_method(word)
    if wrong := [word for word in args.prior_for or () if word not in args.methods]:
        raise ValueError(f"--prior-for must name some of --methods, got {wrong[0]!r}.")
    for word in args.samplers:
        check_one_of("--samplers", word, SAMPLERS)
    if args.agent is None and any(parse_method(word).acts == AGENT for word in args.methods):
        raise ValueError(
            "--agent must name the file of a trained agent of HandSchedule-v0 for the method 'schedule', got none. "
            "Train one, or leave 'schedule' out."
        )
    if args.agent is not None and not args.agent.is_file():
        raise FileNotFoundError(f"--agent '{args.agent}' must be the file of a trained agent, and there is none.")
    check_at_least(FEWEST, args, "hands")
    check_at_least(1, args, "prior_steps", "side_by_side")
    check_above_zero(args, "learning_rate")
    at_least(1, **{"--batch-size": 1 if args.batch_size is None else args.batch_size})
    check_vae(args)
    check_hands("--hands", args.hands, args.size, args.latent_dim)


def check_numbers(args: CurriculumArgs, training: int) -> None:
    """Refuse numbers that the pictures do not allow, before the first VAE is trained.

    Args:
        args: Settings.
        training: Number of pictures of the training people.

    Raises:
        ValueError: If one of --n is larger, or --batch-size is larger than one of --n.
    """
    numbers = [training if word == ALL else int(word) for word in args.n]
    if max(numbers) > training:
        raise ValueError(f"--n must be at most {training}, the training pictures, got {max(numbers)}. Use 'all'.")
    if args.batch_size is not None and args.batch_size > min(numbers):
        raise ValueError(
            f"--batch-size must be at most {min(numbers)}, the smallest of --n, got {args.batch_size}. Lower it."
        )


def batch_size(images: int, args: CurriculumArgs) -> int:
    """Return B for a number of training pictures: half of them, at most 64, unless the user chose it."""
    return min(64, max(1, images // 2)) if args.batch_size is None else args.batch_size
