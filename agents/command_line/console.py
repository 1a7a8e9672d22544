"""Let a command finish when its reader stops early: `handlatent judge hands | head -1` loses nothing."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Lasting:
    """Write to a stream until its reader has left; then drop the rest."""

    def __init__(self, stream: Any) -> None:
        """Store the stream."""
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        """Return all else from the stream."""
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write text, and return its length."""
        try:
            self._stream.write(text)
        except BrokenPipeError:
            self._drop()
        return len(text)

    def flush(self) -> None:
        """Pass on what is buffered."""
        try:
            self._stream.flush()
        except BrokenPipeError:
            self._drop()

    def _drop(self) -> None:
        """Drop what is buffered and all that follows. Python would fail on it at its exit."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())
        os.close(nowhere)


@contextmanager
def lasting_streams() -> Iterator[None]:
    """Make standard output and standard error `Lasting`."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (None if stream is None else Lasting(stream) for stream in before)
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
        sys.stdout, sys.stderr = before
