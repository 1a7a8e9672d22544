"""Save a long training at intervals; after Ctrl-C, save it and then stop."""

import time
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from agents.runs.ctrl_c import CtrlC
from agents.runs.renamed import with_new_keys
from vae.checkpoint import latest_checkpoint, load_checkpoint, save_checkpoint


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

    def load(self) -> dict[str, Any] | None:
        """Read the latest checkpoint.

        Returns:
            Its state, or None if there is no checkpoint.

        Raises:
            ValueError: If the checkpoint is damaged.
        """
        path = latest_checkpoint(self.folder)
        if path is None:
            return None
        try:
            state: dict[str, Any] = with_new_keys(load_checkpoint(path), path)
        except (SafetensorError, ValueError) as error:
            raise ValueError(f"The checkpoint '{path}' is damaged: {error}. Remove it to start over.") from error
        return state

    @property
    def waited(self) -> bool:
        """Whether more than `seconds` have passed since the last checkpoint."""
        return time.monotonic() - self._last > self.seconds

    @property
    def due(self) -> bool:
        """Whether to save now: nothing is saved yet, Ctrl-C was pressed, or more than `seconds` have passed."""
        return self.ctrl_c.pressed or self.step < 0 or self.waited

    def save(self, step: int, state: dict[str, Any]) -> None:
        """Write the state of a step; it replaces the last checkpoint."""
        save_checkpoint(self.folder, step, state)
        self.resumed_at(step)

    def resumed_at(self, step: int) -> None:
        """Record that this step is already saved, and restart the timer."""
        self.step, self._last = step, time.monotonic()
