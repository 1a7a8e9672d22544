"""Stop a long training at a point from which it can resume."""

import signal
import threading
from types import FrameType, TracebackType
from typing import Any


class Interrupted(Exception):
    """The user pressed Ctrl-C; the message says that the training was saved and how to resume it."""

    def __init__(self, how: str) -> None:
        """Name the command that resumes."""
        super().__init__(f"Stopped and saved. Continue with: {how}")


class CtrlC:
    """Remember Ctrl-C inside `with`, so that the training can save first; a second Ctrl-C stops at once.

    Attributes:
        pressed: Whether it was pressed.
    """

    def __init__(self) -> None:
        """Do not handle the signal yet."""
        self.pressed = False
        self._before: Any = None

    def __enter__(self) -> "CtrlC":
        """Handle the signal; only the main thread may."""
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Restore the earlier handler of the signal."""
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.pressed:
            raise KeyboardInterrupt
        self.pressed = True
