"""The arguments of `handlatent sweep`; the command line is generated from them."""

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Literal

from agents.command_line.flags import check_at_least, check_list, check_seed, flag
from agents.runs.training_log import METRICS
from vae.checks import check_not_nan, check_one_of

SWEPT = ("train", "refine", "recipe", "compare")
COMMAND = {"positional": True, "custom_args": {"metavar": "[COMMAND ...]", "nargs": "*"}}
_OF_THE_MACHINE = ("address", "gpus_per_trial", "cpus_per_trial", "max_concurrent", "max_failures")


@dataclass(frozen=True)
class SweepArgs:
    """Run a command with several seeds and settings in parallel on Ray Tune. Rerun to resume. Needs the extra 'ray'."""

    command: list[str] = field(default_factory=list, metadata=COMMAND)
    """The command to run, 'train', 'refine', 'recipe' or 'compare', and its own arguments except --seed and --out."""
    grid: list[str] = field(default_factory=list)
    """Settings of that command to vary, each as NAME=VALUE,VALUE: 'kl-weight=1,2,4 epochs=20,40' makes six."""
    seeds: list[int] = field(default_factory=lambda: [0])
    """Seeds; every setting runs once with each."""
    out: Path = Path("runs/sweep")
    """Folder for the runs, one below another for setting and seed, and for sweep.json, sweep.csv and sweep.md."""
    resume: Path | None = None
    """Resume the sweep in this folder with its own command, settings and seeds. Finished runs are kept."""
    address: str | None = None
    """Address of a running Ray cluster, or 'auto'. Default: Ray is started on this machine, and stopped at the end."""
    gpus_per_trial: float | None = None
    """GPUs for each run; 0.5 puts two on one GPU. Default: 1 if there are any, else 0."""
    cpus_per_trial: int = 1
    """CPU cores for each run, which are also the threads of its arithmetic."""
    max_concurrent: int | None = None
    """Most runs at a time. Default: as many as cores and GPUs allow."""
    max_failures: int = 2
    """How often a run that ends with an error is tried again, from its last checkpoint."""
    scheduler: Literal["fifo", "asha"] = "fifo"
    """'fifo': every run to its end. 'asha', for 'train': runs that are behind others by --metric are stopped early."""
    metric: str = "validation_loss_nats"
    """Scheduler 'asha': a column of metrics.csv to rank runs by."""


def check_args(args: SweepArgs) -> None:
    """Refuse wrong settings before anything is read.

    Raises:
        ValueError: If a setting is wrong.
    """
    _check_machine(args)
    for seed in args.seeds:
        check_seed(seed, "--seeds")
    check_list("seeds", args.seeds)
    check_one_of("--metric", args.metric, [name for name in METRICS if _goodness(name) in ("up", "down")])
    if args.resume is not None:
        own = [item.name for item in fields(SweepArgs) if item.name not in ("resume", *_OF_THE_MACHINE)]
        given = [name for name in own if getattr(args, name) != getattr(SweepArgs(), name)]
        if given:
            what = "the command" if given[0] == "command" else flag(given[0])
            raise ValueError(f"--resume takes command, settings and seeds from the sweep; leave {what} out.")
        return
    check_one_of("The command", args.command[0] if args.command else "none", SWEPT)
    if args.scheduler == "asha" and args.command[0] != "train":
        raise ValueError(
            f"--scheduler 'asha' belongs to 'train', whose log can be read while it runs, got {args.command[0]!r}. "
            "Leave it out."
        )


def check_metric(args: SweepArgs) -> None:
    """Refuse a metric that would do nothing. Sweeps of earlier versions may have one, and are resumed with it.

    Raises:
        ValueError: If it is given without the scheduler that ranks runs by it.
    """
    if args.scheduler != "asha" and args.metric != SweepArgs.metric:
        raise ValueError(f"--metric belongs to --scheduler asha, got {args.metric!r}. Leave it out, or name asha.")


def mode(metric: str) -> str:
    """Return which values of a metric are good, in Tune's words: "min" or "max"."""
    return "max" if _goodness(metric) == "up" else "min"


def _goodness(metric: str) -> str:
    return METRICS.get(metric, ("", ""))[1]


def _check_machine(args: SweepArgs) -> None:
    check_at_least(1, args, "cpus_per_trial")
    check_at_least(0, args, "max_failures")
    if args.max_concurrent is not None:
        check_at_least(1, args, "max_concurrent")
    gpus = args.gpus_per_trial
    if gpus is None:
        return
    check_not_nan(**{"--gpus-per-trial": gpus})
    if gpus < 0 or (gpus > 1 and not gpus.is_integer()):
        raise ValueError(f"--gpus-per-trial must be a fraction in 0..1 or an integer, got {gpus!r}.")
