"""The seconds that each stage of the recipe takes."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vae.files import load_hashed_json, save_hashed_json

SECONDS = "seconds"  # in report.json


class Stages:
    """Measure stages by the clock.

    Attributes:
        seconds: How long each stage took that is over, by its name.
    """

    def __init__(self) -> None:
        """Start without any."""
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Measure what happens inside `with`."""
        began = time.monotonic()
        yield
        self.seconds[name] = round(time.monotonic() - began, 2)

    def add_to(self, report: Path, name: str) -> None:
        """Add a stage that is over to a report that was written before."""
        content = load_hashed_json(report)
        seconds = {**content.get(SECONDS, {}), name: self.seconds[name]}
        save_hashed_json(report, {**content, SECONDS: seconds})
