"""The command `handlatent refine`: train a refiner for a finished run, in the run's folder or in a copy of it."""

import shutil
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from agents.command_line.flags import (
    check_at_least,
    check_hands,
    check_not_nan,
    check_scales,
    check_seed,
    flag,
    was_given,
)
from agents.command_line.shell_words import command, typed
from agents.commands.refine.args import BEFORE, RefineArgs
from agents.commands.refine.training import RefinerTraining
from agents.figures.plots import Panel, save_curves
from agents.rl.row_agent import REFINE_BELOW, ROUNDS, RowAgent
from agents.runs import run_folder
from agents.runs.ctrl_c import Interrupted
from agents.runs.json_rules import OBJECT, check_rules
from agents.runs.lock import held
from agents.runs.renamed import with_new_keys
from agents.runs.run import REJECTION, SAMPLER_FILES, Run, load_run
from hand_env import Refined, image_grid
from hand_env.anatomy import Judge, Summary, summarise
from hand_env.rendering import captioned, enlarged
from vae.checks import check_one_of
from vae.device import resolve_device
from vae.evaluation import decode_all
from vae.files import DamagedError, copy_file, load_hashed_json, save_hashed_json
from vae.images import to_float
from vae.images.overview import save_overview

HELD_OUT_SEED = 2**31  # training seeds are below; all refiners share it, so that their figures can be compared
SHOWN = 20  # latents in refine.png
_REFINING = "refining"  # subfolder with settings and checkpoints, until the refiner is trained
_NOT_SETTINGS = ("run", "out", "device", "checkpoint_seconds")  # may differ when a training is resumed
_OWN_FILES = (run_folder.REFINER, run_folder.REFINE_REPORT, run_folder.REFINE_PICTURE, run_folder.REFINE_CURVES)
CURVES = (
    Panel(
        "mean score",
        {"score_before": "before a correction", "score_after": "after it"},
        "95 % interval over corrections",
    ),
    Panel(
        "share of corrections",
        {"raised": "that raised the score", "later": "after the first round"},
        "95 % interval over corrections",
    ),
    Panel("SAC's temperature", {"entropy_coefficient": "temperature"}),
)


def refine_run(args: RefineArgs) -> Path:
    """Train a refiner from the start, or from the last checkpoint.

    Args:
        args: Settings.

    Returns:
        The folder, which holds refiner.safetensors, refine.json, refine.png and refine-curves.png.

    Raises:
        ValueError: If a setting is wrong, there is no finished run, or the folder has a refiner or is in use.
        Interrupted: After Ctrl-C, once the training is saved.
    """
    _check(args)
    again, out = typed("refine", args), args.run if args.out is None else args.out
    run_folder.check_unicode(out)
    run = load_run(args.run)
    check_hands("--held-out", args.held_out, run.vae.size, run.vae.latent_dim)
    sampler: Any = run.sampler_name(_best(run) if args.sampler == "auto" else args.sampler)
    args = replace(args, sampler=sampler, device=resolve_device(args.device))
    with held(out):
        return _refine(run, args, out, again)


def _best(run: Run) -> str:
    """Return the best sampler but "rejection", which leaves few wrong hands to learn from."""
    return next(name for name in run.samplers if name != REJECTION)


def _refine(run: Run, args: RefineArgs, out: Path, again: str) -> Path:
    identity = _identity(args)
    _refuse_others(out, identity)
    _copy_run(args.run, out)
    run.to(args.device)
    training = RefinerTraining(run, args, out / _REFINING / run_folder.CHECKPOINTS)
    (out / _REFINING).mkdir(exist_ok=True)
    save_hashed_json(out / _REFINING / run_folder.CONFIG, identity)
    if not training.train():
        raise Interrupted(again)
    try:
        _finish(run, training, out, identity)
    except KeyboardInterrupt:
        raise Interrupted(again) from None
    return out


def _check(args: RefineArgs) -> None:
    check_at_least(1, args, "samples", "rows", "steps_per_episode", "width", "held_out")
    check_at_least(0, args, "checkpoint_seconds", "critic_epochs")
    check_scales(args, "delta_scale")
    check_not_nan(args, "refine_below")
    check_one_of("--sampler", args.sampler, ("auto", *SAMPLER_FILES, "normal"))
    check_seed(args.seed)
    if args.critic_epochs and not args.taught_epochs and was_given(args, "critic_epochs"):
        raise ValueError(
            "--critic-epochs belongs to --policy pictures with --steps-per-episode 1, and not to --refine-below inf, "
            f"got {args.critic_epochs!r}. Leave it out."
        )
    resolve_device(args.device)


def _identity(args: RefineArgs) -> dict[str, Any]:
    """Return what must not change when a training is resumed."""
    settings = {name: value for name, value in asdict(args).items() if name not in _NOT_SETTINGS}
    settings["refine_below"] = str(args.refine_below)  # JSON has no infinity
    settings["critic_epochs"] = args.taught_epochs
    files = {"vae_sha256": run_folder.VAE_WEIGHTS}
    if args.sampler in SAMPLER_FILES:
        files["sampler_sha256"] = SAMPLER_FILES[args.sampler][0]
    return {"settings": settings, **{name: run_folder.sha256(args.run / file) for name, file in files.items()}}


def _refuse_others(out: Path, identity: dict[str, Any]) -> None:
    """Refuse a folder that has a refiner, or one whose unfinished refiner has other settings."""
    report = run_folder.read_refine_report(out)
    if report is not None:
        shutil.rmtree(out / _REFINING, ignore_errors=True)  # in case it was killed before it removed them
        other = _differences(report, identity)
        advice = (
            f"Draw from it with: {command('generate', out)}"
            if not other
            else f"Choose another --out, or remove {run_folder.REFINER} and {run_folder.REFINE_REPORT} from it."
        )
        raise ValueError(f"'{out}' already has a refiner, with {other or 'these settings'}. {advice}")
    path = out / _REFINING / run_folder.CONFIG
    if not path.is_file():
        return
    try:
        begun = with_new_keys(load_hashed_json(path), path)
        check_rules(path, begun, {"settings": OBJECT})
    except DamagedError as error:
        raise ValueError(f"{error}. Remove '{path.parent}' to start over.") from error
    other = _differences(begun, identity)
    if other:
        raise ValueError(
            f"'{out}' is being refined with {other}. Repeat that command to resume, choose another --out, or remove "
            f"'{path.parent}' to start over."
        )


def _differences(there: dict[str, Any], here: dict[str, Any]) -> str:
    """Return the settings in which two trainings differ, as text, or an empty string."""
    old, new = {**BEFORE, **there["settings"]}, here["settings"]
    changed = [name for name in new if old.get(name) != new[name]]
    found = [f"{flag(name)} {old.get(name)!r} instead of {new[name]!r}" for name in changed]
    hashes = [name for name in here if name.endswith("_sha256") and there.get(name) != here[name]]
    return ", ".join([*found, *(f"another {name.removesuffix('_sha256')}" for name in hashes)])


def _copy_run(run: Path, out: Path) -> None:
    """Copy all files of a run except an earlier refiner's; keep files copied before a stop."""
    if out.resolve() == run.resolve():
        return
    run_folder.claim_folder(out, is_own=(out / run_folder.CONFIG).__eq__)  # an unfinished copy begins with that
    ends = {run_folder.CONFIG: 0, run_folder.REPORT: 2}  # first: whose copy it is; last: that it is complete
    files = [file for file in run.iterdir() if file.is_file() and file.name[0] != "." and file.name not in _OWN_FILES]
    for file in sorted(files, key=lambda file: ends.get(file.name, 1)):
        copy = out / file.name
        if not copy.exists():
            copy_file(file, copy)
        elif run_folder.sha256(copy) != run_folder.sha256(file):
            raise ValueError(f"--out '{out}' already holds another {file.name} than '{run}'. Choose another --out.")


def _finish(run: Run, training: RefinerTraining, out: Path, identity: dict[str, Any]) -> None:
    """Save the agent, load and measure it, and write the results."""
    args, seconds = training.args, training.seconds
    training.agent().save(out / run_folder.REFINER)
    env = training.env.env
    agent = RowAgent.load(out / run_folder.REFINER, env.vae)
    latents = run.samplers[args.sampler].sample(args.held_out, HELD_OUT_SEED)
    below = args.learned_below if args.reward == "verdict" else REFINE_BELOW  # as `generate` does
    refined = agent.refine(latents, env.vae, env.judge, refine_below=below)
    before, after = (decode_all(env.vae, rows) for rows in (latents, refined.latents))
    _draw(before[:SHOWN], after[:SHOWN], out / run_folder.REFINE_PICTURE)
    save_curves(out / run_folder.REFINE_CURVES, training.log, "samples", CURVES, "corrections learned from")
    reporter = Judge.load(architecture="reporter", device=args.device)
    summaries = {
        name: summarise(reporter.judge(to_float(pictures))) for name, pictures in (("before", before), ("after", after))
    }
    report = {
        **identity,
        "versions": run_folder.versions(),
        "device": torch.cuda.get_device_name(env.device) if args.device.startswith("cuda") else "cpu",
        "samples": training.samples,
        "updates": training.model._n_updates,
        "seconds": seconds,
        "samples_per_second": training.samples / seconds,
        "training_log": training.log,
        "held_out": _measured(refined, below, summaries),
    }
    save_hashed_json(out / run_folder.REFINE_REPORT, report)
    shutil.rmtree(out / _REFINING)
    for name, summary in summaries.items():
        print(f"correct {name:6} {summary.correct}, anatomical {summary.anatomical}")


def _measured(refined: Refined, below: float, summaries: dict[str, Summary]) -> dict[str, Any]:
    """Collect what refine.json says about the held-out latents."""
    measured: dict[str, Any] = {"latents": len(refined.latents), "seed": HELD_OUT_SEED}
    measured |= {"rounds": ROUNDS, "refine_below": below, "corrected": int(refined.corrected.sum())}
    scores = {"before": refined.score_before, "after": refined.score}
    for name, summary in summaries.items():
        measured[name] = {
            "rewarding_judge_score": float(np.mean(scores[name])),
            "reporting_judge": {rate: asdict(getattr(summary, rate)) for rate in ("anatomical", "correct")},
            "reporting_judge_failures": summary.failures,
        }
    return measured


def _draw(before: Tensor, after: Tensor, path: Path) -> None:
    grid = image_grid(enlarged(torch.cat([before, after])), columns=len(before))
    save_overview(path, captioned(grid, "latents as drawn, and below them as corrected"))
