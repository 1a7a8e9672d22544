"""One trial of a sweep as Ray Tune sees it: a `handlatent` command in a process of its own.

Ray's workers get this module by its content, not by its name, so it imports nothing of the project: importing torch
would take seconds and memory in each of them. Without the extra `ray` it cannot be imported.
"""

import csv
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ray import tune

GLANCE, HEARTBEAT = 0.5, 10.0  # seconds between two looks at a command, and between two reports without news
GRACE = 120  # seconds that a command has to save its work


@dataclass(frozen=True)
class TrialProcess:
    """How a trial's command is run.

    Attributes:
        program: What Python runs.
        words: The command and its arguments.
        again: The same, once `begun` exists.
        begun: A file of the run.
        finished: The file that shows that the run is finished; None if only the command can tell.
        log: What the command prints.
        metrics: The CSV file that the command writes while it runs, with a column "epoch"; None if there is none.
        epochs: Its last epoch, which is not reported: the command is about to end.
        folder: The folder to run it in.
        home: The user's home, if Ray was started with another one.
    """

    program: tuple[str, ...]
    words: tuple[str, ...]
    again: tuple[str, ...]
    begun: Path
    finished: Path | None
    log: Path
    metrics: Path | None
    epochs: int
    folder: Path
    home: str | None


class CommandTrial(tune.Trainable):  # type: ignore[misc]  # Ray is not typed for us
    """Run the command of a trial, and report the rows of its log."""

    def setup(self, config: dict[str, Any], jobs: Mapping[str, TrialProcess]) -> None:
        """Start the command, or resume it from its last checkpoint."""
        self.job = jobs[config["trial"]]
        self.process: subprocess.Popen[bytes] | None = None
        self.row: dict[str, float] = {}
        if self.job.finished is not None and self.job.finished.is_file():
            return
        self.job.log.parent.mkdir(parents=True, exist_ok=True)
        words = self.job.again if self.job.begun.is_file() else self.job.words
        with self.job.log.open("ab") as log:
            log.write(("$ handlatent " + " ".join(words) + "\n").encode(errors="backslashreplace"))
            log.flush()
            program = [sys.executable, *self.job.program, *words]
            home = {} if self.job.home is None else {"HOME": self.job.home}
            settings: dict[str, Any] = {"cwd": self.job.folder, "env": os.environ | home, "stdin": subprocess.DEVNULL}
            self.process = subprocess.Popen(program, stdout=log, stderr=log, **settings)

    def step(self) -> dict[str, Any]:
        """Wait for news of the command.

        Raises:
            RuntimeError: If it ended with an error; Tune tries the trial again.
        """
        waited = 0.0
        while waited < HEARTBEAT:
            status = self._status()
            if status == 0:
                return {"done": True, "finished": True}
            if status is not None:
                raise RuntimeError(f"The command ended with status {status}. It said: {self._last_words()}")
            row = self._last_row()
            if row != self.row:
                self.row = row
                return row
            waited += GLANCE
        return self.row

    def cleanup(self) -> None:
        """Press Ctrl-C for a command that still runs, so that it saves its work."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(GRACE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def save_checkpoint(self, checkpoint_dir: str) -> dict[str, Any]:
        """Save nothing: the command's own checkpoints are in its run folder."""
        return {}

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Load nothing, likewise."""

    def _status(self) -> int | None:
        if self.process is None:
            return 0
        try:
            return self.process.wait(GLANCE)
        except subprocess.TimeoutExpired:
            return None

    def _last_row(self) -> dict[str, float]:
        """Return the last row of the command's log, without the values that it did not measure."""
        if self.job.metrics is None or not self.job.metrics.is_file():
            return {}
        with self.job.metrics.open(encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        row = {name: float(value) for name, value in rows[-1].items() if value} if rows else {}
        return row if row.get("epoch", self.job.epochs) < self.job.epochs else {}

    def _last_words(self) -> str:
        with self.job.log.open("rb") as log:
            log.seek(max(0, os.fstat(log.fileno()).st_size - 4096))
            lines = log.read().decode(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "nothing")
