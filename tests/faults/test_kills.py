"""Commands that are killed again and again, at random moments, end as if nobody had killed them.

`make test` kills each of them twice, at chosen moments: see the tests of the commands.
"""

import csv
import json
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from processes import Command

from agents.cli import main

KILLS = 25  # of each command
SHARE_EARLY = 0.4  # of the kills: before the process has got any further than the last one
TRAIN = ["--images", "24", "--size", "32", "--batch-size", "4", "--latent-dim", "5", "--epochs", "10"]
REFINE = ["--samples", "40", "--rows", "4", "--width", "16", "--held-out", "4", "--policy", "latents"]
REFINE += ["--refine-below", "inf"]
RECIPE = ["--width", "small", "--drawn", "31", "--workers", "0", "--steps", "16", "--batch", "2", "--varied", "2"]
RECIPE += ["--prior-from", "1", "--candidates", "4", "--accept", "1"]
RECIPE += ["--flow-steps", "4", "--latent-samples", "32", "--refine-samples", "0"]
COMPARE = ["--samplers", "mixture", "normal", "--agents", "none", "random", "--rounds", "1", "--n", "20"]
PATCHES = {
    "recipe": {
        "agents.commands.recipe.command.AHEAD": 2,  # steps between two checkpoints
        "vae.adversarial.training.AHEAD": 2,
        "agents.commands.recipe.command.MIXTURE": 256,
    },
    "compare": {"agents.commands.compare.photographs.FEWEST": 5},
}


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photographs") / "hands"
    assert main(["synth", "--n", "80", "--size", "32", "--out", str(folder)]) == 0
    return folder


def words_for(command: str, run: Path, photographs: Path, out: Path) -> list[object]:
    saved = ["--checkpoint-seconds", "0"]
    words: dict[str, list[object]] = {
        "train": [*TRAIN, *saved, "--agent", "random"],
        "refine": [run, *REFINE, *saved],
        "recipe": [*RECIPE, *saved],
        "compare": [run, *COMPARE, "--data", photographs],
    }
    return [command, *words[command], "--device", "cpu", "--out", out]


def names(folder: Path) -> set[str]:
    """All that a command has put into a folder so far; TensorBoard's events are in one more file after each start."""
    return {path.relative_to(folder).as_posix() for path in walked(folder) if not path.name.startswith("events.")}


def walked(folder: Path) -> list[Path]:
    try:
        there = list(folder.iterdir())
    except OSError:  # no folder, or one that is removed meanwhile
        return []
    return [*there, *(deeper for path in there for deeper in walked(path))]


def further(folder: Path) -> set[str]:
    """The same without what is not whole yet."""
    return {name for name in names(folder) if not any(part.startswith(".") for part in Path(name).parts)}


def killed(words: list[object], out: Path, errors: Path, rng: np.random.Generator, most: int, **settings: Any) -> int:
    """Kill a command at random moments, up to `most` times, then let it end; return how often it was killed."""
    for kills in range(most + 1):
        resumes = words[0] == "train" and (out / "config.json").is_file()
        process, before = Command(errors, *(["train", "--resume", out] if resumes else words), **settings), further(out)
        if kills == most:
            break
        if rng.random() < SHARE_EARLY:
            time.sleep(rng.uniform(0, 1.5))
        else:
            while process.alive and further(out) <= before:
                time.sleep(0.01)
            time.sleep(rng.uniform(0, 0.6))
        status = process.send(signal.SIGKILL)
        if status != -signal.SIGKILL:
            assert status == 0 or is_finished(errors), errors.read_text()
            return kills
    assert process.wait() == 0 or is_finished(errors), errors.read_text()
    return most


def is_finished(errors: Path) -> bool:
    """Whether a command refused to resume because its last process was killed when all was done."""
    return any(
        words in errors.read_text() for words in ("is finished. Draw from it", "already has a refiner, with these")
    )


def results(out: Path) -> dict[str, Any]:
    """What a command wrote, without what the clock measured."""
    found: dict[str, Any] = {}
    for name in names(out):
        path = out / name
        if path.suffix == ".json":
            found[name] = timeless(json.loads(path.read_text()))
        elif path.suffix == ".csv":
            found[name] = [timeless(row) for row in csv.DictReader(path.read_text().splitlines())]
        else:
            found[name] = path.is_dir() or path.read_bytes()
    return found


def timeless(value: Any) -> Any:
    """Leave out times, the memory held, the folder's name, and the hash of them all."""
    if isinstance(value, list):
        return [timeless(item) for item in value]
    if not isinstance(value, dict):
        return value
    left_out = ("seconds", "per_second", "per_image", "memory")
    kept = {
        key: item for key, item in value.items() if key not in ("out", "sha256") and not any(w in key for w in left_out)
    }
    return {key: timeless(item) for key, item in kept.items()}


@pytest.mark.long
@pytest.mark.parametrize("command", ["train", "refine", "recipe", "compare"])
def test_a_command_that_is_killed_again_and_again_ends_as_if_it_had_not_been(trained, photographs, tmp_path, command):
    def words(out):
        return words_for(command, trained, photographs, tmp_path / out)

    settings, errors, rng = (
        {"patches": PATCHES.get(command, {})},
        tmp_path / "errors",
        np.random.default_rng(len(command)),
    )
    assert Command(errors, *words("whole"), **settings).wait() == 0, errors.read_text()
    whole, kills, runs = results(tmp_path / "whole"), 0, 0
    while kills < KILLS:
        out = tmp_path / f"killed-{runs}"
        kills += killed(words(out.name), out, errors, rng, KILLS - kills, **settings)
        assert results(out) == whole
        runs += 1
