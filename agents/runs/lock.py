"""Hold a folder while a command writes into it, so that two processes never write into one."""

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

LOCK = ".lock"  # hidden, and gone when the command ends


@contextmanager
def held(folder: Path, flag: str = "--out") -> Iterator[None]:
    """Hold a folder until the end of `with`; it is made if missing. A command inside another one may hold it again.

    A process that is killed holds nothing: the system releases the lock of `filelock`.

    Args:
        folder: The folder.
        flag: Its flag, for the error.

    Raises:
        ValueError: If another process holds it, or it is no folder.
    """
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{flag} '{folder}' is a file. Choose a folder.")
    path = folder / LOCK
    lock = FileLock(path, timeout=0, is_singleton=True)
    if lock.is_locked:
        yield
        return
    folder.mkdir(parents=True, exist_ok=True)
    try:
        lock.acquire()
    except Timeout:
        raise ValueError(
            f"{flag} '{folder}' is in use by {_holder(path)}. Wait for its end, or choose another {flag}."
        ) from None
    try:
        now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S")
        path.write_text(f"process {os.getpid()} on {platform.node()} since {now} UTC", encoding="utf-8")
        yield
    finally:
        if os.name != "nt":  # while it is held, or a lock of somebody else would go; on Windows `release` removes it
            path.unlink(missing_ok=True)
        lock.release()


def _holder(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8") or "another process"
    except OSError:  # Windows lets nobody read what is locked
        return "another process"
