"""Pictures appear in their folder together; a command that was killed can be repeated."""

import json
import shutil
import signal
import time

import pytest
from processes import Command

from agents.cli import main


class Killed(BaseException):
    pass


def words_for(command, run, out, n):
    start = ["generate", str(run)] if command == "generate" else ["synth", "--size", "32"]
    return [*start, "--n", str(n), "--out", str(out)]


def visible(folder):
    return sorted(path.name for path in folder.iterdir() if path.name[0] != ".")


def expected(command, n):
    digits, beside = (3, ["generated.json", "grid.png"]) if command == "generate" else (6, ["labels.csv"])
    return sorted([*(f"hand-{number:0{digits}d}.png" for number in range(n)), *beside])


@pytest.mark.parametrize("command", ["generate", "synth"])
def test_a_command_that_was_killed_while_it_wrote_is_repeated(trained, tmp_path, monkeypatch, command):
    words, save = words_for(command, trained, tmp_path / "out", 4), f"agents.commands.{command}.save_picture"
    written = []

    def killed(path, picture):
        written.append(path)
        path.write_bytes(b"half a picture")
        if len(written) == 3:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(save, killed)
        patch.setattr(shutil, "rmtree", lambda *_, **__: None)  # nothing is cleared when a process is killed
        with pytest.raises(Killed):
            main(words)
    assert len(written) == 3
    assert all(path.exists() for path in written)
    assert visible(tmp_path / "out") == []
    assert main(words) == 0
    assert [path.name for path in sorted((tmp_path / "out").iterdir())] == expected(command, 4)


@pytest.mark.parametrize("command", ["generate", "synth"])
def test_pictures_that_a_kill_left_between_two_folders_are_moved(capsys, trained, tmp_path, command):
    out = tmp_path / "out"
    words = words_for(command, trained, out, 4)
    assert main(words) == 0
    whole = {path.name: path.read_bytes() for path in out.iterdir()}
    (out / ".complete").mkdir()
    for name in expected(command, 4)[2:]:
        (out / name).rename(out / ".complete" / name)
    assert main(words) == 2
    assert "already holds pictures" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in out.iterdir()} == whole


def test_a_command_that_fails_leaves_no_picture(trained, tmp_path, monkeypatch, capsys):
    def full(path, value):
        raise OSError(f"'{path}' could not be written: No space left on device.")

    monkeypatch.setattr("agents.commands.generate.save_json", full)
    assert main(words_for("generate", trained, tmp_path / "out", 2)) == 2
    assert "No space left" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.long
@pytest.mark.parametrize("command", ["generate", "synth"])
def test_a_process_that_is_killed_leaves_all_pictures_or_none(trained, tmp_path, command):
    n = 300
    for number in range(5):
        out = tmp_path / str(number)
        process = Command(tmp_path / "errors", *words_for(command, trained, out, n))
        side = out / ".unfinished"
        while not side.is_dir() or len(list(side.iterdir())) < 60 * number:
            time.sleep(0.005)
        assert process.send(signal.SIGKILL) == -signal.SIGKILL
        assert visible(out) in ([], expected(command, n))
        if not visible(out):
            assert main(words_for(command, trained, out, n)) == 0
        assert visible(out) == expected(command, n)
        if command == "generate":
            assert json.loads((out / "generated.json").read_text())["n"] == n
