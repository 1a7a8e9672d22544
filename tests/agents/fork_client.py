"""Run a command of `handlatent` in a fork of a test's process: a new interpreter spends 10 s on its imports.

As a program, `fork_client.py ADDRESS WORDS...`, it asks the test, waits for the fork and ends as the fork did.
"""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path


@contextmanager
def forking(folder: Path) -> Iterator[tuple[str, str]]:
    """Give what Python has to run in place of `-m agents.cli`, and fork until the end of `with`."""
    listener = Listener(str(folder / "forks"))

    def serve() -> None:
        with suppress(OSError):  # the listener is closed
            while True:
                threading.Thread(target=_fork, args=(listener.accept(), folder / "errors"), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    with listener:
        yield __file__, str(folder / "forks")


def _fork(asked: Connection, errors: Path) -> None:
    from processes import Command  # here: the program does without torch

    command = Command(errors, *asked.recv())
    threading.Thread(target=lambda: asked.send(command.wait()), daemon=True).start()
    with suppress(EOFError):  # it has ended
        command.send(asked.recv())


def main() -> None:
    """Ask for the fork, pass on Ctrl-C, and end with its exit status or by the signal that ended it."""
    with Client(sys.argv[1]) as asked:
        asked.send(sys.argv[2:])
        try:
            status = asked.recv()
        except KeyboardInterrupt:
            asked.send(signal.SIGINT)
            status = asked.recv()
    if status < 0:
        os.kill(os.getpid(), -status)
    sys.exit(status)


if __name__ == "__main__":
    main()
