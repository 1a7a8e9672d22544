"""Follow a sweep: note what becomes of each trial, and print a line now and then. Needs the extra `ray`."""

import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ray import tune

from agents.commands.sweep.results import SWEPT
from agents.commands.sweep.store import TrialStore
from vae.progress import Bar, say


class Watch(tune.Callback):  # type: ignore[misc]  # Ray is not typed for us
    """Tell the store what Tune says of its trials."""

    def __init__(
        self, store: TrialStore, max_failures: int, seconds: float, epochs: Mapping[str, int], bar: Bar
    ) -> None:
        """Start.

        Args:
            store: Keeps what became of the trials.
            max_failures: How often a trial is tried again, for the lines.
            seconds: Shortest time between two looks at how far the running trials are.
            epochs: Number of epochs of each trial; 1 for a command without any.
            bar: Counts the epochs.
        """
        self.store, self.max_failures, self.seconds, self.epochs, self.bar = store, max_failures, seconds, epochs, bar
        self.figures = SWEPT[store.settings["command"][0]].figures
        self._last, self._begun = time.monotonic(), False

    def on_step_begin(self, iteration: int, trials: Sequence[Any], **info: Any) -> None:
        """Take over what ended before the sweep was stopped, where the store missed it."""
        if self._begun:
            return
        self._begun = True
        waiting = {record.run for record in self.store.runs("waiting")}
        for trial in trials:
            if trial.status == "TERMINATED" and trial.config["trial"] in waiting:
                self._note_end(trial)

    def on_step_end(self, iteration: int, trials: Sequence[Any], **info: Any) -> None:
        """Count how far the trials are, if nothing was said for a while."""
        if time.monotonic() - self._last >= self.seconds:
            self._count(trials)

    def on_trial_complete(self, iteration: int, trials: Sequence[Any], trial: Any, **info: Any) -> None:
        """Read the figures of a run that ended; the scheduler may have stopped it."""
        self._note_end(trial)
        run = trial.config["trial"]
        self._say(f"{run} {self.store.records[run].status}")
        self._count(trials)

    def on_trial_recover(self, iteration: int, trials: Sequence[Any], trial: Any, **info: Any) -> None:
        """Say that a trial is tried again."""
        run = trial.config["trial"]
        self.store.change(run, failures=trial.num_failures)
        self._say(f"{run} is tried again, {trial.num_failures} of {self.max_failures}: {_reason(trial)}")

    def on_trial_error(self, iteration: int, trials: Sequence[Any], trial: Any, **info: Any) -> None:
        """Note that a trial failed for good."""
        run = trial.config["trial"]
        self.store.change(run, status="failed", failures=trial.num_failures, error=_reason(trial))
        self._say(f"{run} failed: {_reason(trial)}")

    def _note_end(self, trial: Any) -> None:
        run = trial.config["trial"]
        if not (trial.last_result or {}).get("finished"):
            self.store.change(run, status="stopped", failures=trial.num_failures)
            return
        figures = self.figures(self.store.out / run)
        self.store.change(run, status="finished", failures=trial.num_failures, figures=figures, error="")

    def _say(self, what: str) -> None:
        self._last = time.monotonic()
        ended = len(self.store.records) - len(self.store.runs("waiting"))
        say(f"{ended} of {len(self.store.records)} runs ended; {what}")

    def _count(self, trials: Sequence[Any]) -> None:
        self._last = time.monotonic()
        running = [trial for trial in trials if trial.status == "RUNNING"]
        self.bar.set_postfix(running=", ".join(map(_where, running)) or "none", refresh=False)
        reached = {trial.config["trial"]: int((trial.last_result or {}).get("epoch") or 0) for trial in running}
        waiting = {record.run for record in self.store.runs("waiting")}
        done = sum(reached.get(run, 0) if run in waiting else epochs for run, epochs in self.epochs.items())
        self.bar.update(max(0, done - self.bar.n))


def _where(trial: Any) -> str:
    epoch = (trial.last_result or {}).get("epoch")
    run: str = trial.config["trial"]
    return run + ("" if epoch is None else f" after epoch {epoch:.0f}")


def _reason(trial: Any) -> str:
    """Return what ended a trial the last time, from Tune's account of all its errors."""
    told = Path(trial.error_file).read_text(encoding="utf-8") if trial.error_file else ""
    said = re.findall(r"^RuntimeError: (The command .*)$", told.rpartition("Failure # ")[2], re.MULTILINE)
    return said[-1] if said else "its worker died."
