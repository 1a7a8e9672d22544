"""Show how far a long job is: the one place where progress bars are made."""

import sys
from collections.abc import Iterable
from typing import Any

from tqdm import tqdm

SECONDS_BETWEEN_LINES = 10.0  # where stderr is a file or a pipe, every update is kept: tqdm's own ten a second fill it


def progress_bar(items: Iterable[Any] | None = None, title: str | None = None, **settings: Any) -> "tqdm[Any]":
    """Make a tqdm bar that writes seldom where stderr is no terminal.

    Args:
        items: What to go through; None for a bar that is updated by hand.
        title: Shown before the bar.
        settings: Any other of tqdm's.
    """
    if not sys.stderr.isatty():
        settings = {"mininterval": SECONDS_BETWEEN_LINES, "maxinterval": SECONDS_BETWEEN_LINES, **settings}
    return tqdm(items, title, **settings)
