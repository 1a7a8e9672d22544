"""Two processes never write into one folder: the second one is told who holds it."""

import os
import subprocess
import sys

import pytest

from agents.cli import COMMANDS, main
from agents.runs import lock
from agents.runs.lock import LOCK, held

HOLD = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("lock", sys.argv[1])
lock = importlib.util.module_from_spec(spec)
spec.loader.exec_module(lock)
from pathlib import Path
with lock.held(Path(sys.argv[2])):
    print("held", flush=True)
    sys.stdin.read()
"""
WRITERS: dict[str, list[object]] = {
    "train": [],
    "recipe": [],
    "curriculum": ["--images", 40],
    "schedule": [],
    "sweep": ["train"],
    "generate": ["--weights", "synthetic"],
    "synth": [],
}


@pytest.fixture
def another(tmp_path):
    """Another process that holds a folder until it is ended, and the folder."""
    folder = tmp_path / "taken"
    words = [sys.executable, "-c", HOLD, lock.__file__, str(folder)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        yield process, folder
        process.kill()
        process.communicate()


@pytest.mark.parametrize("command", WRITERS)
def test_the_second_process_is_told_who_holds_the_folder(capsys, another, command):
    process, folder = another
    assert main([command, *(str(word) for word in WRITERS[command]), "--out", str(folder)]) == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert said.startswith(f"handlatent {command}: --out '{folder}' is in use by process {process.pid} on ")
    assert " since 2" in said
    assert said.endswith(" UTC. Wait for its end, or choose another --out.")
    assert [path.name for path in folder.iterdir()] == [LOCK]


@pytest.mark.parametrize(
    ("words", "flag"),
    [
        (["train", "--resume", "{run}"], None),
        (["refine", "{run}"], None),
        (["refine", "{run}"], "--out"),
        (["compare", "{run}", "--data", "{data}"], "--out"),
        (["blind", "sheets", "{run}", "--data", "{data}"], "--out"),
        (["package", "{run}"], "--out"),
        (["hub", "pull", "owner/name"], "--out"),
        (["judge", "{data}"], "--overlay"),
        (["judge-report"], "--wrong"),
        (["judge-train"], "--out"),
    ],
)
def test_a_folder_that_is_in_use_is_left_alone(capsys, another, trained, tmp_path, words, flag):
    process, folder = another
    here = trained if flag else folder
    if not flag:
        for path in trained.iterdir():
            (folder / path.name).symlink_to(path)
    before = sorted(path.name for path in folder.iterdir())
    words = [word.format(run=here, data=tmp_path) for word in words]
    assert main([*words, *([flag, str(folder)] if flag else [])]) == 2
    own = "--resume" if "--resume" in words else "--out"
    assert f"{flag or own} '{folder}' is in use by process {process.pid} on " in capsys.readouterr().err
    assert sorted(path.name for path in folder.iterdir()) == before


def test_every_command_that_writes_a_folder_is_tried():
    """`judge-attack` and `blind score` write one file, whole or not at all; `demo` and `hub push` write none."""
    tried = {
        *WRITERS,
        "blind sheets",
        "refine",
        "compare",
        "package",
        "hub pull",
        "judge",
        "judge-report",
        "judge-train",
    }
    assert tried == COMMANDS.keys() - {"demo", "hub push", "judge-attack", "blind score"}


def test_a_process_that_is_killed_holds_nothing(another):
    process, folder = another
    process.kill()
    process.wait()
    assert (folder / LOCK).exists()
    with held(folder):
        assert f"process {os.getpid()} on " in (folder / LOCK).read_text()
        with held(folder):  # a command inside another one, as `refine` in `recipe`
            pass
        assert (folder / LOCK).exists()
    assert list(folder.iterdir()) == []


def test_a_folder_that_was_made_and_stays_empty_is_removed(tmp_path):
    (tmp_path / "old").mkdir()
    for name in ("old", "new", "filled"):
        with held(tmp_path / name):
            if name == "filled":
                (tmp_path / name / "file").touch()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["filled", "old"]


def test_a_file_in_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=r"--out '.*file' is a file\. Choose a folder\."), held(tmp_path / "file"):
        pass
