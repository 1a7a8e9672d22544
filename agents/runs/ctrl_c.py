"""Stop a long job at a moment that it can go on from."""

import signal
import threading
from types import FrameType, TracebackType
from typing import Any


class Interrupted(Exception):
    """Say that the user pressed Ctrl-C, that the job was saved, and how to go on."""

    def __init__(self, how: str) -> None:
        """Name the command that goes on."""
        super().__init__(f"Stopped and saved. Continue with: {how}")


class CtrlC:
    """Remember Ctrl-C while inside `with`, so that the job can save first; pressed again, it stops at once.

    Attributes:
        pressed: Whether it was pressed.
    """

    def __init__(self) -> None:
        """Take nothing over yet."""
        self.pressed = False
        self._before: Any = None

    def __enter__(self) -> "CtrlC":
        """Take the signal over; only the main thread may."""
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the signal back."""
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.pressed:
            raise KeyboardInterrupt
        self.pressed = True
