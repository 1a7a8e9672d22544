"""Save a long training at intervals; after Ctrl-C, save it and then stop."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from agents.runs.ctrl_c import CtrlC
from agents.runs.json_rules import Rule, check_rules
from agents.runs.renamed import with_new_keys
from vae.checkpoint import STATE, load_latest_checkpoint, save_checkpoint
from vae.files import DamagedError


class Checkpointer:
    """Decide when a checkpoint is due, write it, and read the latest one.

    Attributes:
        ctrl_c: Enter it (`with checkpointer.ctrl_c:`) while the training can be stopped.
        step: The step of the last checkpoint, -1 before the first.
    """

    def __init__(self, folder: Path, seconds: float) -> None:
        """Start the timer.

        Args:
            folder: Folder of the checkpoints; created with the first one.
            seconds: Minimum time between two checkpoints; Ctrl-C shortens it.
        """
        self.folder, self.seconds = folder, seconds
        self.ctrl_c, self.step = CtrlC(), -1
        self._last = time.monotonic()

    def load(self, rules: Mapping[str, Rule] | None = None) -> dict[str, Any] | None:
        """Read the latest checkpoint that is whole.

        Args:
            rules: The rule for each part of the state, as `check_rules` takes them.

        Returns:
            Its state, or None if there is no checkpoint.

        Raises:
            DamagedError: If there are checkpoints, and none is whole.
        """

        def checked(path: Path, state: Any) -> Any:
            state = with_new_keys(state, path)
            check_rules(path / STATE, state, rules or {})
            return state

        if self.folder.exists() and not self.folder.is_dir():
            raise DamagedError(f"'{self.folder}' must be the folder of the checkpoints, and is a file. Remove it.")
        state: dict[str, Any] | None = load_latest_checkpoint(self.folder, checked)
        return state

    @contextmanager
    def restoring(self, part: str) -> Iterator[None]:
        """Name the checkpoint and a part of it if the part does not fit the training.

        Raises:
            DamagedError: In place of the errors of code that meets parts that are missing or of a wrong type.
        """
        try:
            yield
        except torch.OutOfMemoryError:
            raise
        except (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError) as error:
            raise DamagedError(
                f"The checkpoints in '{self.folder}' are damaged: {part!r} in {STATE} must fit this training, but "
                f"{type(error).__name__}: {error}. Remove them to start over."
            ) from error

    @property
    def waited(self) -> bool:
        """Whether more than `seconds` have passed since the last checkpoint."""
        return time.monotonic() - self._last > self.seconds

    @property
    def due(self) -> bool:
        """Whether to save now: nothing is saved yet, Ctrl-C was pressed, or more than `seconds` have passed."""
        return self.ctrl_c.pressed or self.step < 0 or self.waited

    def discards(self, steps: int) -> bool:
        """Say whether the current step is discarded: Ctrl-C was pressed, and the step before it is saved.

        Args:
            steps: Number of steps that were done before the current one.
        """
        return self.ctrl_c.pressed and self.step == steps

    def save(self, step: int, state: dict[str, Any]) -> None:
        """Write the state of a step.

        Raises:
            FileNotFoundError: If the folder of the run is gone.
        """
        if not self.folder.parent.is_dir():  # part of a run in a new folder of that name would be no run
            raise FileNotFoundError(f"'{self.folder.parent}' is gone: it was removed or renamed while the command ran.")
        save_checkpoint(self.folder, step, state)
        self.resumed_at(step)

    def resumed_at(self, step: int) -> None:
        """Record that this step is already saved, and restart the timer."""
        self.step, self._last = step, time.monotonic()
