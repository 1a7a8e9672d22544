"""Keep what became of a sweep's trials in sweep.json, and lay out its table as CSV and Markdown."""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from agents.commands.sweep.args import SweepArgs
from agents.commands.sweep.trials import Trial
from agents.figures.intervals import student
from agents.figures.markdown import markdown_table
from agents.figures.store import claim_store, read_store
from agents.runs.json_rules import LIST, OBJECT, OBJECTS, TEXT, check_rules
from agents.runs.run_folder import versions
from vae.distribution.half_samples import Estimate
from vae.files import DamagedError, load_hashed_json, save_hashed_json, save_text

FILE, CSV, MARKDOWN = "sweep.json", "sweep.csv", "sweep.md"
ABSENT = "-"
Status = Literal["waiting", "finished", "stopped", "failed"]


@dataclass(frozen=True)
class TrialRecord:
    """What became of a trial.

    Attributes:
        run: Folder of its run, below the sweep's.
        setting: Its values of the grid.
        seed: Its seed.
        status: "finished"; "stopped" early by the scheduler; "failed" for good; "waiting" else.
        failures: How often it ended with an error.
        figures: Its final figures, if it is finished.
        error: Why it failed, or "".
    """

    run: str
    setting: dict[str, str]
    seed: int
    status: Status = "waiting"
    failures: int = 0
    figures: dict[str, float] = field(default_factory=dict)
    error: str = ""


class TrialStore:
    """The records of a sweep, in memory and in sweep.json."""

    def __init__(self, args: SweepArgs, trials: Sequence[Trial], folder: Path) -> None:
        """Read the records of a sweep that was stopped, or start new ones.

        Args:
            args: Settings of the sweep.
            trials: Its trials.
            folder: The folder that the commands run in.

        Raises:
            ValueError: If the sweep's folder holds another sweep, or something else.
        """
        self.out, self.settings, self.folder = args.out, plain_settings(args), folder
        claim_store(self.out / FILE)
        found = read_store(self.out / FILE, self.settings, _records)
        known = {record.run: record for record in found}
        fresh = [TrialRecord(trial.name, trial.setting, trial.seed) for trial in trials]
        self.records = {record.run: known.get(record.run, record) for record in fresh}
        self.write()

    def change(self, run: str, **changes: Any) -> None:
        """Change a record, and write all."""
        self.records[run] = replace(self.records[run], **changes)
        self.write()

    def runs(self, *statuses: Status) -> list[TrialRecord]:
        """Return the records that have one of these statuses."""
        return [record for record in self.records.values() if record.status in statuses]

    def table(self) -> str:
        """Return the table of all settings in Markdown: means over seeds with their 95 % intervals."""
        rows = summaries(self.records.values())
        names = list(dict.fromkeys(name for row in rows for name in row["figures"]))
        heads = ["setting", "seeds", *names]
        lines = [
            [row["name"], f"{row['finished']} of {row['seeds']}", *(_text(row["figures"].get(name)) for name in names)]
            for row in rows
        ]
        note = "Mean over the seeds of finished runs (95 % interval by Student's t, with two or more)."
        if self.runs("stopped"):
            note += " Runs that the scheduler stopped are left out, so the means flatter their settings."
        return markdown_table(heads, lines) + f"\n\n{note}"

    def write(self) -> None:
        """Write sweep.json, sweep.csv and sweep.md, each whole or not at all."""
        records = list(self.records.values())
        content = {
            "settings": self.settings,
            "folder": str(self.folder),
            "versions": versions(),
            "trials": [asdict(record) for record in records],
            "table": [_plain(row) for row in summaries(records)],
        }
        save_hashed_json(self.out / FILE, content)
        save_text(self.out / CSV, _csv(records))
        save_text(self.out / MARKDOWN, self.table() + "\n")


def plain_settings(args: SweepArgs) -> dict[str, Any]:
    """Return what must not change when a sweep is resumed."""
    return {name: getattr(args, name) for name in ("command", "grid", "seeds", "scheduler", "metric")}


def read_settings(folder: Path) -> tuple[dict[str, Any], Path]:
    """Read the settings of a sweep, and the folder that its commands run in.

    Raises:
        ValueError: If the folder holds no sweep, or a damaged one.
    """
    path = folder / FILE
    if not path.is_file():
        raise ValueError(f"'{folder}' is not a sweep: it has no {FILE}. Name the folder given to --out.")
    try:
        content = load_hashed_json(path)
        check_rules(path, content, {"settings": OBJECT, "folder": TEXT, "trials": OBJECTS})
        check_rules(path, content["settings"], {name: LIST for name in ("command", "grid", "seeds")})
    except DamagedError as error:
        raise ValueError(f"{error}. Sweep again with another --out; finished runs stay in this folder.") from error
    return content["settings"], Path(content["folder"])


def summaries(records: Iterable[TrialRecord]) -> list[dict[str, Any]]:
    """Return a row for each setting: name, setting, number of seeds, of finished ones, and the figures over these.

    A figure is an `Estimate`: a mean with its 95 % interval; of a single run, the value without one.
    """
    settings: dict[str, list[TrialRecord]] = {}
    for record in records:
        settings.setdefault(", ".join(f"{name} {value}" for name, value in record.setting.items()), []).append(record)
    rows = []
    for name, found in settings.items():
        finished = [record.figures for record in found if record.status == "finished"]
        shared = [key for key in finished[0] if all(key in each for each in finished)] if finished else []
        figures = {key: _mean([each[key] for each in finished]) for key in shared}
        row = {"name": name or "as given", "setting": found[0].setting, "seeds": len(found)}
        rows.append({**row, "finished": len(finished), "figures": figures})
    return rows


def _mean(values: Sequence[float]) -> Estimate:
    return student(values) if len(values) > 1 else Estimate(values[0], values[0], values[0])


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "figures": {name: asdict(found) for name, found in row["figures"].items()}}


def _text(found: Estimate | None) -> str:
    if found is None:
        return ABSENT
    alone = found.low == found.value == found.high
    return f"{found.value:.5g}" if alone else f"{found.value:.5g} ({found.low:.5g} to {found.high:.5g})"


def _csv(records: Sequence[TrialRecord]) -> str:
    settings = list(dict.fromkeys(name for record in records for name in record.setting))
    figures = list(dict.fromkeys(name for record in records for name in record.figures))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["run", *settings, "seed", "status", "failures", *figures])
    for record in records:
        own = [record.setting.get(name, "") for name in settings]
        measured = [record.figures.get(name, "") for name in figures]
        writer.writerow([record.run, *own, record.seed, record.status, record.failures, *measured])
    return text.getvalue()


def _records(content: dict[str, Any]) -> list[TrialRecord]:
    return [TrialRecord(**record) for record in content["trials"]]
