"""Keep the figures of finished VAEs in curriculum.json, so that a stopped curriculum resumes."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from agents.figures.intervals import Figures
from agents.figures.store import claim_store, read_store
from agents.runs.renamed import KEYS
from agents.runs.run_folder import versions
from vae.distribution.half_samples import Estimate
from vae.files import SHA256, hashed, save_text

FILE = "curriculum.json"
DIGITS = 6  # significant, of every number that is kept

Key = tuple[str, int, int, str, int]


@dataclass(frozen=True)
class VAERecord:
    """The figures of one VAE.

    Attributes:
        n: Number of training pictures as the user wrote it: "80" or "all".
        images: The same as a number.
        epochs: Passes over them.
        batch_size: Pictures per minibatch.
        method: Name of the way of acting.
        seed: Seed of everything.
        agent_sha256: Hash of the trained agent's file, or "".
        vae: "validation_loss_nats", "validation_kl_nats", and the same of the training pictures, by name.
        seconds: What each part of the work took; "training" is the share of a group of VAEs.
        samplers: For each sampler the figures of its hands.
        missing: Why there are no figures, or "".
    """

    n: str
    images: int
    epochs: int
    batch_size: int
    method: str
    seed: int
    agent_sha256: str = ""
    vae: dict[str, float] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    samplers: dict[str, Figures] = field(default_factory=dict)
    missing: str = ""

    @property
    def key(self) -> Key:
        """What tells records of one curriculum apart."""
        return self.n, self.epochs, self.batch_size, self.method, self.seed

    def line(self) -> str:
        """Return JSON in one line; a figure is the list of value, low and high."""
        plain = asdict(self)
        plain["samplers"] = {
            sampler: {
                name: [_short(part) for part in (found.value, found.low, found.high)] for name, found in row.items()
            }
            for sampler, row in self.samplers.items()
        }
        for name in ("vae", "seconds"):
            plain[name] = {key: _short(value) for key, value in plain[name].items()}
        return json.dumps(plain, allow_nan=False)


def check_join(folder: Path) -> None:
    """Refuse a folder of --join that holds no figures.

    Raises:
        FileNotFoundError: If it does not.
    """
    if not (folder / FILE).is_file():
        raise FileNotFoundError(f"--join '{folder}' must hold a {FILE}, and there is none.")


class VAEStore:
    """Hold the records in memory and in the folder's curriculum.json."""

    def __init__(self, folder: Path, settings: dict[str, Any]) -> None:
        """Read the records that the folder holds.

        Args:
            folder: Created if absent.
            settings: What all figures depend on, as plain values.

        Raises:
            ValueError: If the folder holds figures from other settings, or a damaged file.
        """
        claim_store(folder / FILE)
        self.path, self.settings = folder / FILE, settings
        self._records: dict[Key, VAERecord] = {
            record.key: record for record in read_store(self.path, settings, read_records)
        }
        self._lines = {key: record.line() for key, record in self._records.items()}
        if not self.path.is_file():
            self._write()  # before any picture: it shows whose folder this is

    def join(self, folder: Path) -> None:
        """Add the records of another folder that this one lacks.

        Raises:
            FileNotFoundError: If it holds no figures.
            ValueError: If they are from other settings, or damaged.
        """
        check_join(folder)
        for record in read_store(folder / FILE, self.settings, read_records, flag="--join"):
            if self.find(record.key, record.agent_sha256) is None:
                self.add(record)

    @property
    def records(self) -> list[VAERecord]:
        """All records, in the order in which they were measured."""
        return list(self._records.values())

    def find(self, key: Key, agent_sha256: str = "") -> VAERecord | None:
        """Return a VAE's record; None if there is none, or if another agent acted on it."""
        record = self._records.get(key)
        return record if record is not None and record.agent_sha256 == agent_sha256 else None

    def add(self, record: VAERecord) -> None:
        """Add a record, or replace it, and write all records atomically."""
        line = record.line()
        (kept,) = read_records(
            {"cells": [json.loads(line)]}
        )  # rounded, so that the tables do not change after a restart
        self._records[record.key], self._lines[record.key] = kept, line
        self._write()

    def _write(self) -> None:
        head = {"settings": self.settings, "versions": versions()}
        records = [json.loads(line) for line in self._lines.values()]
        head[SHA256] = hashed({**head, "cells": records})[SHA256]
        text = json.dumps(head, indent=1)
        save_text(self.path, text[:-2] + ',\n "cells": [\n' + ",\n".join(self._lines.values()) + "\n]}\n")


def read_records(content: dict[str, Any]) -> list[VAERecord]:
    """Make records from the content of curriculum.json, of earlier versions too."""
    return [
        VAERecord(
            **{
                **plain,
                "samplers": {
                    KEYS.get(sampler, sampler): {name: Estimate(*found) for name, found in row.items()}
                    for sampler, row in plain["samplers"].items()
                },
            }
        )
        for plain in content["cells"]
    ]


def _short(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")
