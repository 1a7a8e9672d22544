"""Write TensorBoard events at once: PyTorch's writer has a thread, which prints a traceback when it cannot write."""

import os
import platform
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.summary.writer.record_writer import RecordWriter
from torch.utils.tensorboard import summary

from vae.files import writing


class Events:
    """A file of events of one run."""

    def __init__(self, folder: Path, first_step: int) -> None:
        """Open a new file.

        Args:
            folder: The run's folder.
            first_step: Events of this step and later ones in other files of the folder are out of date.
        """
        self.path = folder / f"events.out.tfevents.{time.time():.0f}.{platform.node()}.{os.getpid()}"
        with writing(self.path):
            self._file = self.path.open("ab", buffering=0)
        self._writer = RecordWriter(self._file)
        self._write(first_step, file_version="brain.Event:2")
        self._write(first_step, session_log=SessionLog(status=SessionLog.START))

    def add_scalar(self, name: str, value: float, step: int) -> None:
        """Write one number."""
        self._write(step, summary=summary.scalar(name, value))

    def add_image(self, name: str, picture: NDArray[np.uint8], step: int) -> None:
        """Write one picture, (height, width, 3) uint8."""
        self._write(step, summary=summary.image(name, picture, dataformats="HWC"))

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _write(self, step: int, **content: Any) -> None:
        event = Event(wall_time=time.time(), step=step, **content)
        with writing(self.path):
            self._writer.write(event.SerializeToString())
