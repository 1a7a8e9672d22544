"""A terminal in place of stderr, which remembers what is written to it."""

import fcntl
import os
import pty
import struct
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

import pytest


@contextmanager
def terminal(columns: int = 120, rows: int = 24) -> Iterator[list[str]]:
    """Let stderr be a terminal; at the end, the list that this gives holds all that was written to it, as one text."""
    reading, writing = pty.openpty()
    fcntl.ioctl(writing, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    read, shown = list[bytes](), list[str]()
    thread = Thread(target=_read, args=(reading, read))
    thread.start()  # or a writer would wait as soon as the terminal is full
    try:
        with os.fdopen(writing, "w", encoding="utf-8") as stream, pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "stderr", stream)
            yield shown
    finally:
        thread.join()
        os.close(reading)
        shown.append(b"".join(read).decode())


def _read(file: int, parts: list[bytes]) -> None:
    while True:
        try:
            part = os.read(file, 2**16)
        except OSError:  # how Linux says that nobody writes any longer
            return
        if not part:
            return
        parts.append(part)
