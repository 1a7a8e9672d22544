"""Show the progress of long jobs: the only module that creates progress bars."""

import sys
from collections.abc import Iterable
from threading import RLock
from typing import Any

from tqdm import tqdm

SECONDS_BETWEEN_LINES = 10.0  # a file or a pipe keeps every update: tqdm's default, ten per second, fills it


class _Bar(tqdm):  # type: ignore[misc]  # tqdm says nothing of its types
    """A bar that threads share. tqdm's own lock, for processes too, is a semaphore that a kill leaves behind."""

    _lock = RLock()


def progress_bar(items: Iterable[Any] | None = None, title: str | None = None, **settings: Any) -> "tqdm[Any]":
    """Create a tqdm bar that writes rarely if stderr is not a terminal.

    Args:
        items: The items to iterate over; None for a bar that is updated by hand.
        title: Text before the bar.
        settings: Other arguments of tqdm.
    """
    if not sys.stderr.isatty():
        settings = {"mininterval": SECONDS_BETWEEN_LINES, "maxinterval": SECONDS_BETWEEN_LINES, **settings}
    return _Bar(items, title, **settings)
