"""The command `handlatent train`: train a VAE while an agent acts on its latents, then draw new hands."""

import shutil
import time
from contextlib import nullcontext
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, get_type_hints

from agents.command_line.flags import (
    check_above_zero,
    check_at_least,
    check_scales,
    check_seed,
    check_vae,
    flag,
    was_given,
)
from agents.command_line.shell_words import command
from agents.commands.train.args import TrainArgs
from agents.commands.train.other_ranks import follow
from agents.commands.train.training import TrainingRun
from agents.runs import run_folder
from agents.runs.ctrl_c import Interrupted
from agents.runs.json_rules import check_rules, of_type
from agents.runs.lock import held
from agents.runs.pictures import SYNTHETIC, Choice, Pictures, gather, tell
from vae.acceleration import parallel
from vae.checkpoint import latest_checkpoint
from vae.device import resolve_device
from vae.files import DamagedError
from vae.model import VAEConfig
from vae.training_config import TrainingConfig


def train(args: TrainArgs) -> Path:
    """Train from the start, or from the last checkpoint. All processes call it, inside `parallel.process_group`.

    Args:
        args: Settings.

    Returns:
        The run's folder: config.json, metrics.csv, TensorBoard events, vae.safetensors, sampler.safetensors,
        agent.safetensors ('sac', 'sac-flat'), agent.zip ('sac-flat'), grid.png, report.json, checkpoints/.

    Raises:
        FileNotFoundError: If the pictures do not exist.
        ValueError: If a setting is wrong, there is no run to resume, or the folder holds a run already or is in use.
        Interrupted: After Ctrl-C, once the run is saved.
    """
    began = time.monotonic()
    parallel.from_main(lambda: _check_first(args))
    folder = (args.out, "--out") if args.resume is None else (args.resume, "--resume")
    with held(*folder) if parallel.is_main() else nullcontext():
        args, pictures = parallel.from_main(lambda: _prepared(args))
        try:
            if parallel.is_main():
                _train(args, pictures, began)
            else:
                follow(args, pictures)
        except OSError as error:
            if latest_checkpoint(args.out / run_folder.CHECKPOINTS) is None:
                raise
            raise OSError(f"{error} Then continue with: {command('train', '--resume', args.out)}") from error
    return args.out


def _check_first(args: TrainArgs) -> None:
    if args.resume is None:
        _check(args)
    else:
        run_folder.read_config(args.resume)  # raises if there is no run, so that no folder is made for it


def _prepared(args: TrainArgs) -> tuple[TrainArgs, Pictures]:
    if args.resume is not None:
        args = resumed(args)
    else:
        run_folder.claim(args.out)
        args = replace(args, data=_absolute(args.data))  # a resumed run may start from another directory
    _check(args)
    pictures = gather(_choice(args))
    tell(pictures.notes)
    if len(pictures.train) < args.batch_size:
        args = replace(args, batch_size=len(pictures.train))
        tell([f"Minibatches of {args.batch_size}: there are no more pictures to train on."])
    return args, pictures


def _train(args: TrainArgs, pictures: Pictures, began: float) -> None:
    training = TrainingRun(args, pictures)
    training.train()
    try:
        training.finish(began)
    except KeyboardInterrupt:
        raise Interrupted(command("train", "--resume", args.out)) from None


def resumed(args: TrainArgs) -> TrainArgs:
    """Read the settings of the run to resume.

    Args:
        args: Settings with `resume`; apart from it, only `device` and `data`, where the same pictures are now.

    Returns:
        The run's own settings, with its folder as `out` and `resume`.

    Raises:
        ValueError: If another setting is given than the run has, or there is no run to resume.
    """
    run = args.resume
    assert run is not None, "the caller has checked"
    settings = run_folder.read_config(run)["settings"]
    if run_folder.OF_RECIPE in settings:
        raise ValueError(f"'{run}' is a run of `recipe`: {run_folder.how_to_resume(run)}")
    _refuse_others(args, {**settings, "out": run})
    hints = get_type_hints(TrainArgs)
    rules = {f"settings.{name}": of_type(hints[name]) for name in settings.keys() & hints.keys()}
    try:
        check_rules(run / run_folder.CONFIG, {"settings": settings}, rules)
    except DamagedError as error:
        raise DamagedError(f"{error}. Train the run again in another folder.") from error
    if (run / run_folder.REPORT).is_file():
        shutil.rmtree(run / run_folder.CHECKPOINTS, ignore_errors=True)  # in case it was killed before it removed them
        raise ValueError(f"The run '{run}' is finished. Draw from it with: {command('generate', run)}")
    data = _absolute(args.data) if was_given(args, "data") else settings["data"]
    device = args.device if was_given(args, "device") else settings.get("device", "auto")
    try:
        args = TrainArgs(**{**settings, "data": data, "device": device, "out": run, "resume": run})
        own = run / run_folder.AGENT_WEIGHTS
        if args.agent == "sac" and (own.is_file() or latest_checkpoint(run / run_folder.CHECKPOINTS) is not None):
            return replace(args, agent_weights=own)
        return args if args.agent_weights is None else replace(args, agent_weights=Path(args.agent_weights))
    except TypeError as error:
        raise ValueError(f"The run '{run}' is damaged or from another version: {error}.") from error


def _refuse_others(args: TrainArgs, own: dict[str, Any]) -> None:
    """Refuse settings that are given and that the run to resume does not have."""
    for item in fields(TrainArgs):
        value = getattr(args, item.name)
        if item.name in ("resume", "device", "data") or not was_given(args, item.name):
            continue
        has = own.get(item.name, item.default)
        if value != (has if has is None or not isinstance(value, Path) else Path(has)):
            raise ValueError(
                f"--resume takes all settings but --device and --data from the run, whose {flag(item.name)} is {has}, "
                f"got {value}; leave {flag(item.name)} out."
            )


def _absolute(data: str) -> str:
    return data if data == SYNTHETIC else str(Path(data).absolute())


def _check(args: TrainArgs) -> None:
    """Refuse wrong settings before the pictures are read."""
    check_seed(args.seed)
    if not args.data:
        raise ValueError(f"--data must be {SYNTHETIC!r} or a folder, got {args.data!r}.")
    check_above_zero(args, "learning_rate")
    check_scales(args, "delta_scale", "reward_scale")
    check_at_least(0, args, "checkpoint_seconds", "kl_weight")
    if args.images is not None:
        check_at_least(1, args, "images")
    if args.agent_weights is not None and args.agent != "sac":
        raise ValueError(f"--agent-weights belongs to --agent sac, got {args.agent!r}. Leave it out.")
    if args.agent in ("sac", "none") and args.delta_scale != TrainArgs.delta_scale:
        raise ValueError(
            f"--delta-scale belongs to --agent random and sac-flat, not to {args.agent!r}, got {args.delta_scale!r}. "
            "Leave it out."
        )
    resolve_device(args.device)
    _check_processes(args)
    check_at_least(1, args, "epochs", "batch_size")
    check_vae(args)
    VAEConfig(args.size, args.latent_dim, args.width)
    TrainingConfig(args.epochs, args.batch_size, args.learning_rate, kl_weight=args.kl_weight)


def _check_processes(args: TrainArgs) -> None:
    """Refuse what several processes cannot do."""
    if parallel.world_size() == 1:
        return
    parallel.local_rows(args.batch_size)
    if args.agent == "sac-flat":
        raise ValueError(
            "--agent sac-flat learns in one process only: its updates take longer than the VAE's steps. Start it "
            "without torchrun, or use --agent sac."
        )
    if ":" in args.device:
        raise ValueError(f"--device must name no single GPU for several processes, got {args.device!r}. Use cuda.")


def _choice(args: TrainArgs) -> Choice:
    return Choice(**{item.name: getattr(args, item.name) for item in fields(Choice)})
