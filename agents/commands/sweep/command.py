"""The command `handlatent sweep`: run another command many times, with other seeds and settings, on Ray Tune."""

import logging
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from agents.command_line.shell_words import command
from agents.commands.sweep.args import SweepArgs, check_args, check_metric, mode
from agents.commands.sweep.cluster import gpus_for_each, import_ray, running_ray
from agents.commands.sweep.results import SWEPT
from agents.commands.sweep.store import TrialStore, read_settings
from agents.commands.sweep.trials import Trial, make_trials
from agents.runs.ctrl_c import Interrupted
from agents.runs.lock import held
from agents.runs.run_folder import CONFIG
from vae.progress import Bar, progress_bar

PROGRAM = ("-m", "agents.cli")  # what Python runs, on each machine of a cluster
TUNE = "tune"  # folder of Tune's own files
BETWEEN_LOOKS = 60.0  # seconds between two looks at how far the running trials are
KEPT = 4  # 'asha' keeps the best of this many at each rung
FIRST_RUNG = 8  # the first one is at this part of the epochs


def sweep(args: SweepArgs) -> str:
    """Run all trials that are not finished.

    Args:
        args: Settings.

    Returns:
        The table, in Markdown.

    Raises:
        ImportError: If the extra `ray` is not installed.
        ConnectionError: If there is no cluster at the address.
        ValueError: If a setting is wrong, the folder holds something else or is in use, or a trial failed for good.
        Interrupted: After Ctrl-C, once all trials have saved their work.
    """
    check_args(args)
    check_metric(args)
    folder, flag = Path.cwd(), "--out" if args.resume is None else "--resume"
    if args.resume is not None:
        settings, folder = read_settings(args.resume)
        named = {item.name for item in fields(SweepArgs)}
        args = replace(args, **{name: settings[name] for name in settings.keys() & named}, out=args.resume, resume=None)
        check_args(args)
    trials = make_trials(args)
    import_ray(args.address)
    args = replace(args, out=args.out.absolute())
    with held(args.out, flag):
        return _sweep(args, trials, TrialStore(args, trials, folder))


def _sweep(args: SweepArgs, trials: Sequence[Trial], store: TrialStore) -> str:
    if store.runs("waiting", "failed"):
        with redirect_stdout(sys.stderr), running_ray(args.address):  # Ray prints on stdout that a worker died
            _run(args, trials, store)
    if store.runs("waiting"):
        raise Interrupted(command("sweep", "--resume", args.out))
    table = store.table()
    if failed := store.runs("failed"):
        print(table)
        raise ValueError(
            f"{len(failed)} of {len(trials)} runs failed, '{failed[0].run}' with: {failed[0].error} See its log, "
            f"'{_log(args.out, failed[0].run)}'. To try them again: {command('sweep', '--resume', args.out)}"
        )
    return table


def _run(args: SweepArgs, trials: Sequence[Trial], store: TrialStore) -> None:
    """Give the trials to Tune, and wait for the end of all."""
    import ray
    from ray import cloudpickle, tune

    from agents.commands.sweep import trainable
    from agents.commands.sweep.watch import Watch

    for record in store.runs("failed"):
        store.change(record.run, status="waiting", error="")
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # `Watch` says what becomes of the runs
    cloudpickle.register_pickle_by_value(trainable)
    resources = {"cpu": args.cpus_per_trial, "gpu": gpus_for_each(ray, args.gpus_per_trial, args.cpus_per_trial)}
    jobs = {trial.name: _job(args, trial, store.folder) for trial in trials}
    epochs = {trial.name: max(1, trial.epochs) for trial in trials}
    with count_epochs(epochs, store) as bar:
        tune.run(
            tune.with_parameters(trainable.CommandTrial, jobs=jobs),
            config={"trial": tune.grid_search(list(jobs))},
            name=TUNE,
            storage_path=str(args.out),
            resume="AUTO+ERRORED" if any((args.out / TUNE).glob("experiment_state-*")) else None,
            resources_per_trial=resources,
            max_concurrent_trials=args.max_concurrent,
            max_failures=args.max_failures,
            scheduler=_scheduler(args, trials),
            callbacks=[Watch(store, args.max_failures, BETWEEN_LOOKS, epochs, bar)],
            raise_on_failed_trial=False,
            verbose=0,
        )
    finish_late_runs(store)


def count_epochs(epochs: Mapping[str, int], store: TrialStore) -> Bar:
    """Return a bar that counts epochs, or the runs themselves if each has one.

    Args:
        epochs: Number of epochs of each trial.
        store: Says which trials wait.
    """
    waiting = {record.run for record in store.runs("waiting")}
    return progress_bar(
        title="Sweep",
        unit="epochs" if max(epochs.values()) > 1 else "runs",
        total=sum(epochs.values()),
        initial=sum(number for run, number in epochs.items() if run not in waiting),
        leave=True,
    )


def finish_late_runs(store: TrialStore) -> None:
    """Take runs as finished that reached their end while the scheduler stopped them."""
    swept = SWEPT[store.settings["command"][0]]
    for record in store.runs("stopped"):
        run = store.out / record.run
        if swept.finished is not None and (run / swept.finished).is_file():
            store.change(record.run, status="finished", figures=swept.figures(run))


def _job(args: SweepArgs, trial: Trial, folder: Path) -> Any:
    from agents.commands.sweep.trainable import TrialProcess

    run, swept = args.out / trial.name, SWEPT[trial.words[0]]
    words = (*trial.words, "--out", str(run))
    trains = trial.words[0] == "train"  # the only command with a flag for resuming, and a log that it writes as it goes
    return TrialProcess(
        program=PROGRAM,
        words=words,
        again=("train", "--resume", str(run)) if trains else words,
        begun=run / CONFIG,
        finished=None if swept.finished is None else run / swept.finished,
        log=_log(args.out, trial.name),
        metrics=run / "metrics.csv" if trains else None,
        epochs=trial.epochs,
        folder=folder,
        home=os.environ.get("HOME") if args.address is None else None,
    )


def _log(out: Path, name: str) -> Path:
    """Return where a run's log is: beside its folder, which must be empty when the command starts."""
    return out / f"{name}.log"


def _scheduler(args: SweepArgs, trials: Sequence[Trial]) -> Any:
    from ray.tune.schedulers import AsyncHyperBandScheduler, FIFOScheduler

    if args.scheduler == "fifo":
        return FIFOScheduler()
    epochs = max(trial.epochs for trial in trials)
    return AsyncHyperBandScheduler(
        time_attr="epoch",
        metric=args.metric,
        mode=mode(args.metric),
        max_t=epochs,
        grace_period=max(1, epochs // FIRST_RUNG),
        reduction_factor=KEPT,
    )
