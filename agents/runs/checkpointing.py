"""Save a long training now and then, and stop it after Ctrl-C once it is saved."""

import time
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from agents.runs.ctrl_c import CtrlC
from agents.runs.renamed import with_new_keys
from vae.checkpoint import latest_checkpoint, load_checkpoint, save_checkpoint


class Checkpointer:
    """Decide when a checkpoint is due, write it, and read the latest one back.

    Attributes:
        ctrl_c: Enter it (`with checkpointer.ctrl_c:`) while the training can be stopped.
        step: The step of the last checkpoint, -1 before the first.
    """

    def __init__(self, folder: Path, seconds: float) -> None:
        """Start the clock.

        Args:
            folder: Where checkpoints are kept; made at the first one.
            seconds: At least this long between two checkpoints, unless Ctrl-C was pressed.
        """
        self.folder, self.seconds = folder, seconds
        self.ctrl_c, self.step = CtrlC(), -1
        self._last = time.monotonic()

    def load(self) -> dict[str, Any] | None:
        """Read the latest checkpoint.

        Returns:
            Its state, or None where there is none.

        Raises:
            ValueError: If it is damaged.
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
        """Whether the last checkpoint is long enough ago."""
        return time.monotonic() - self._last > self.seconds

    @property
    def due(self) -> bool:
        """Whether to save now: nothing is saved yet, Ctrl-C was pressed, or the last one is long enough ago."""
        return self.ctrl_c.pressed or self.step < 0 or self.waited

    def save(self, step: int, state: dict[str, Any]) -> None:
        """Write the state of a step in place of the last one."""
        save_checkpoint(self.folder, step, state)
        self.resumed_at(step)

    def resumed_at(self, step: int) -> None:
        """Note that this step is saved already."""
        self.step, self._last = step, time.monotonic()
