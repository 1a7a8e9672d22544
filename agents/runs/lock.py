"""Hold a folder while a command writes into it, so that two processes never write into one."""

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, SoftFileLock, Timeout

LOCK = ".lock"  # hidden, and gone when the command ends


@contextmanager
def held(folder: Path, flag: str = "--out") -> Iterator[None]:
    """Hold a folder until the end of `with`.

    It is made if missing, and removed if it stays empty. A command inside another one may hold it again.

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
    made = not folder.exists()
    make_folder(folder, flag)
    try:
        lock.acquire()
    except Timeout:
        raise ValueError(
            f"{flag} '{folder}' is in use by {_holder(path)}. Wait for its end, or choose another {flag}."
        ) from None
    except OSError as error:
        raise _unusable(error, folder, flag) from error
    try:
        if not isinstance(lock, SoftFileLock):  # where the system cannot lock, `filelock` keeps notes of its own in it
            now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S")
            path.write_text(f"process {os.getpid()} on {platform.node()} since {now} UTC", encoding="utf-8")
        yield
    finally:
        if os.name != "nt" and not isinstance(lock, SoftFileLock):  # `release` removes the file in these cases
            path.unlink(missing_ok=True)  # while it is held, or a lock of somebody else would go
        lock.release()
        if made:  # a command that was refused leaves no empty folder behind
            with suppress(OSError):
                folder.rmdir()


def make_folder(folder: Path, flag: str = "--out") -> None:
    """Make a folder if it is missing, and those above it.

    Raises:
        OSError: If the system does not let it; the message names the flag.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unusable(error, folder, flag) from error


def _unusable(error: OSError, folder: Path, flag: str) -> OSError:
    reason = error.strerror or error
    return OSError(f"{flag} '{folder}' must be a folder that can be written into: {reason}. Choose another {flag}.")


def _holder(path: Path) -> str:
    try:
        return " ".join(path.read_text(encoding="utf-8").split()) or "another process"
    except OSError:  # Windows does not let others read a locked file
        return "another process"
