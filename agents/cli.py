"""The command `handlatent`: one subcommand for each dataclass of arguments."""

import io
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import nullcontext
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import torch

from agents.command_line.console import lasting_streams
from agents.command_line.flags import check_sizes, check_words, note_typed
from agents.command_line.parser import make_parser
from agents.commands.blind import BlindScoreArgs, BlindSheetsArgs, blind_score, blind_sheets
from agents.commands.compare import CompareArgs, compare
from agents.commands.curriculum import CurriculumArgs, curriculum
from agents.commands.demo import DemoArgs, demo
from agents.commands.generate import generate
from agents.commands.hub import HubPullArgs, HubPushArgs, pull_set, push_set
from agents.commands.judge import (
    JudgeArgs,
    JudgeAttackArgs,
    JudgeReportArgs,
    JudgeTrainArgs,
    judge,
    judge_attack,
    judge_report,
    judge_train,
)
from agents.commands.package import PackageArgs, package
from agents.commands.recipe import RecipeArgs, recipe
from agents.commands.refine import RefineArgs, refine_run
from agents.commands.schedule import ScheduleArgs, schedule
from agents.commands.sweep import SweepArgs, sweep
from agents.commands.synth import SynthArgs, synth
from agents.commands.train import TrainArgs, train
from agents.draw.settings import GenerateArgs
from agents.runs.ctrl_c import Interrupted
from agents.runs.renamed import with_new_flags
from vae.acceleration import parallel
from vae.progress import print_above, show_progress

COMMANDS: dict[str, tuple[type, Callable[[Any], Path | str]]] = {
    "train": (TrainArgs, train),
    "refine": (RefineArgs, refine_run),
    "generate": (GenerateArgs, generate),
    "demo": (DemoArgs, demo),
    "blind sheets": (BlindSheetsArgs, blind_sheets),
    "blind score": (BlindScoreArgs, blind_score),
    "compare": (CompareArgs, compare),
    "sweep": (SweepArgs, sweep),
    "curriculum": (CurriculumArgs, curriculum),
    "schedule": (ScheduleArgs, schedule),
    "recipe": (RecipeArgs, recipe),
    "package": (PackageArgs, package),
    "hub pull": (HubPullArgs, pull_set),
    "hub push": (HubPushArgs, push_set),
    "synth": (SynthArgs, synth),
    "judge": (JudgeArgs, judge),
    "judge-report": (JudgeReportArgs, judge_report),
    "judge-attack": (JudgeAttackArgs, judge_attack),
    "judge-train": (JudgeTrainArgs, judge_train),
}
DATA_PARALLEL = ("train", "recipe")  # what works in several processes that torchrun starts


def main(argv: Sequence[str] | None = None) -> int:
    """Run a subcommand.

    Args:
        argv: The words after `handlatent`. Default: those of the command line.

    Returns:
        Exit status: 0, 2 for wrong input (said in one sentence), 130 after Ctrl-C.
    """
    words = sys.argv[1:] if argv is None else argv
    kinds = {name: settings for name, (settings, _) in COMMANDS.items()}
    if group := _asked_about(words):
        kinds, words = {name: kinds[name] for name in group}, ["--help"]
    description = "Reinforcement learning on the latents of a VAE that draws hands."
    parser = make_parser(kinds, whole=["sweep"], prog="handlatent", description=description)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a file's name need not be text that the terminal can show
    with warnings.catch_warnings():
        warnings.simplefilter("default", FutureWarning)
        warnings.showwarning = _say_warning
        given = _with_one_name(with_new_flags(words))
        try:
            check_words(given, kinds)
        except ValueError as error:
            parser.error(str(error))
        found, others = parser.parse_known_args(given)
        settings = found.settings
        if isinstance(settings, SweepArgs):  # the command that it runs many times takes them
            settings = replace(settings, command=[*settings.command, *others])
        elif others:
            parser.error(f"unrecognized arguments: {' '.join(others)}")
        with lasting_streams():
            settings = _with_home(settings)
            note_typed(settings, getattr(found, "typed", ()))
            return _run(found.command, settings)


def _asked_about(words: Sequence[str]) -> list[str]:
    """Return the commands of two words whose first one alone stands before --help: "hub pull" and "hub push"."""
    asks = len(words) > 1 and words[1] in ("-h", "--help")
    return [name for name in COMMANDS if asks and name.startswith(f"{words[0]} ")]


def _with_one_name(words: Sequence[str]) -> Sequence[str]:
    """Join a command's name of two words: "hub", "pull" to "hub pull"."""
    name = " ".join(words[:2])
    return [name, *words[2:]] if name in COMMANDS else words


def _run(command: str, settings: Any) -> int:
    try:
        with parallel.process_group(getattr(settings, "device", "cpu")):
            if parallel.world_size() > 1 and command not in DATA_PARALLEL:
                raise ValueError(f"torchrun starts {' and '.join(DATA_PARALLEL)} only. Start {command} without it.")
            check_sizes(settings)
            with show_progress() if parallel.is_main() else nullcontext():
                done = COMMANDS[command][1](settings)
            if parallel.is_main():
                print(done)
    except parallel.AlreadySaid:
        return 2
    except Interrupted as stop:
        print(stop, file=sys.stderr)
        return 130
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 130
    except (ValueError, OSError, ImportError) as error:
        print(f"handlatent {command}: {error}", file=sys.stderr)
        return 2
    except BrokenProcessPool:
        advice = "perhaps because memory ran out. Repeat the command, with a smaller --workers if need be."
        print(f"handlatent {command}: one of its worker processes was killed, {advice}", file=sys.stderr)
        return 2
    except (MemoryError, RuntimeError) as error:
        if not ran_out_of_memory(error):
            raise
        print(f"handlatent {command}: the memory does not suffice. Ask for less at a time: {error}", file=sys.stderr)
        return 2
    return 0


def _with_home(settings: Any) -> Any:
    """Replace "~" at the start of all paths by the user's home: a shell does not do it in --out=~/hands."""
    return replace(settings, **{item.name: _expanded(getattr(settings, item.name)) for item in fields(settings)})


def _expanded(value: Any) -> Any:
    if isinstance(value, list):
        return [_expanded(item) for item in value]
    return type(value)(os.path.expanduser(value)) if isinstance(value, str | Path) else value


def ran_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that the computer's or a GPU's memory does not suffice."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "DefaultCPUAllocator" in str(error)


def _say_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    print_above(f"Warning: {message}")


if __name__ == "__main__":
    sys.exit(main())
