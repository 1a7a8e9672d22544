"""Try a library with our environments, in a virtual environment of its own, and record what ran.

    pip install uv
    python tests/libraries/run.py skrl torchrl

For each library named, or for all, it installs this project and the library, runs the library's example beside this
file, and writes the date, versions, CPU time, what ran and how much the library takes on the disk beside the project to
docs/libraries/record.json. The table in docs/libraries.md is made from that. Where a library goes with constraints.txt,
they are used; else torch alone is the version named there.
"""

import argparse
import datetime
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
CONSTRAINTS = ROOT / "constraints.txt"
RECORD = ROOT / "docs" / "libraries" / "record.json"
SAID = "ran: "  # how an example's lines begin that go into the record
ALSO = ("gymnasium", "torch", "numpy")  # versions that are recorded beside the library's


@dataclass(frozen=True)
class Library:
    """Say how a library is tried.

    Attributes:
        title: Its name in the table.
        package: What its version is read from.
        requirement: What is installed.
        script: Its example, from the project's folder.
        constrained: Whether it goes with constraints.txt.
    """

    title: str
    package: str
    requirement: str
    script: str
    constrained: bool = True


def _library(title: str, package: str, requirement: str = "", **others: Any) -> Library:
    return Library(title, package, requirement or package, f"tests/libraries/with_{title.lower()}.py", **others)


LIBRARIES = {
    "sbx": _library("SBX", "sbx-rl"),
    "skrl": _library("skrl", "skrl"),
    "torchrl": _library("TorchRL", "torchrl"),
    "tianshou": _library("Tianshou", "tianshou", "tianshou>=2", constrained=False),
    "cleanrl": _library("CleanRL", "tyro"),
    "rllib": _library("RLlib", "ray", "ray[rllib]>=2.60", constrained=False),
    "minari": _library("Minari", "minari", "minari[create,hdf5]"),
    "optuna": _library("Optuna", "optuna"),
    "wandb": _library("wandb", "wandb"),
    "mlflow": _library("MLflow", "mlflow", "mlflow>=3", constrained=False),  # pyarrow < 26
}


def install(library: Library, folder: Path) -> tuple[Path, int]:
    """Make a virtual environment with the project and the library: its Python, and the library's size in bytes."""
    python = folder / "bin" / "python"
    run("uv", "venv", "--python", sys.executable, str(folder))
    torch = next(line for line in CONSTRAINTS.read_text(encoding="utf-8").splitlines() if line.startswith("torch=="))
    run("pip", "--python", str(python), "install", "--quiet", torch)  # as pip is set up here: for a CPU, perhaps
    pins = ["--constraint", str(CONSTRAINTS)] if library.constrained else [torch]
    words = ["pip", "install", "--python", str(python), *pins, "--editable", str(ROOT)]
    run("uv", *words)
    before = _size(folder)
    run("uv", *words, library.requirement)
    return python, _size(folder) - before


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def run(module: str, *words: str) -> None:
    """Run an installer."""
    if subprocess.run([sys.executable, "-m", module, *words]).returncode:
        raise SystemExit(f"{module} failed. If it is missing, install it: pip install {module}")


def attempt(library: Library, python: Path) -> dict[str, Any]:
    """Run a library's example, and return its record."""
    before = _children()
    with tempfile.TemporaryDirectory() as work:
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        words = [str(python), str(ROOT / library.script)]
        done = subprocess.run(words, cwd=work, env=environment, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit(f"{library.title}: {library.script} ended with {done.returncode}.\n{done.stdout[-2000:]}")
    seconds = _children() - before
    said = [line.removeprefix(SAID) for line in done.stdout.splitlines() if line.startswith(SAID)]
    ask = "import importlib.metadata as m, json, sys; print(json.dumps({n: m.version(n) for n in sys.argv[1:]}))"
    asked = subprocess.run([str(python), "-c", ask, library.package, *ALSO], check=True, stdout=subprocess.PIPE)
    versions = {"python": platform.python_version(), **json.loads(asked.stdout)}
    return {"versions": versions, "cpu_seconds": round(seconds), "ran": said}


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def table(record: dict[str, Any]) -> str:
    """Lay out the record for docs/libraries.md."""
    heads = ("library", "version", "Gymnasium", "what ran", "CPU s", "MB", "date", "example")
    lines = ["| " + " | ".join(heads) + " |", "| --- " * len(heads) + "|"]
    for name, library in LIBRARIES.items():
        own = record[name]
        versions = own["versions"]
        version = f"{library.package} {versions[library.package]}"
        cost = (str(own["cpu_seconds"]), str(own["megabytes"]), own["date"])
        cells = (library.title, version, versions["gymnasium"], "<br>".join(own["ran"]), *cost, f"`{library.script}`")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main(names: list[str]) -> None:
    """Try libraries by name, or all of them."""
    if unknown := [name for name in names if name not in LIBRARIES]:
        raise SystemExit(f"{unknown[0]!r} is none of {', '.join(LIBRARIES)}.")
    for name in names or LIBRARIES:
        library = LIBRARIES[name]
        with tempfile.TemporaryDirectory() as folder:
            python, size = install(library, Path(folder) / "venv")
            found = attempt(library, python) | {"date": str(datetime.date.today()), "megabytes": round(size / 1e6)}
        record = json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.exists() else {}
        RECORD.parent.mkdir(exist_ok=True)
        text = json.dumps({**record, name: found}, indent=2, sort_keys=True)
        RECORD.write_text(text + "\n", encoding="utf-8")
        print(f"{library.title}: {found}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("libraries", nargs="*", help=f"any of {', '.join(LIBRARIES)}; default: all")
    main(parser.parse_args().libraries)
