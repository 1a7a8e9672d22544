"""What the README shows works as it stands."""

import re
import shlex
from pathlib import Path

import pytest

from agents import cli
from agents.cli import main

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", README, re.S) for line in block.splitlines()]


def test_the_lines_of_python_run(capsys):
    blocks = re.findall(r"```python\n(.*?)```", README, re.S)
    names: dict[str, object] = {}
    assert len(blocks) == 2
    for code in blocks:
        exec(compile(code, "README.md", "exec"), names)
    reward, info = capsys.readouterr().out.split(" ", 1)
    assert float(reward) == 0.0  # the first epoch pays nothing
    assert "reconstruction_nats" in info


@pytest.mark.parametrize("line", [line for line in COMMANDS if "bin/handlatent " in line])
def test_a_command_s_flags_exist(line, monkeypatch):
    taken: list[object] = []
    for name, (settings, _) in cli.COMMANDS.items():
        monkeypatch.setitem(cli.COMMANDS, name, (settings, taken.append))
    assert main(shlex.split(line, comments=True)[1:]) == 0
    assert len(taken) == 1


@pytest.mark.parametrize("line", [line for line in COMMANDS if line.startswith("make ")])
def test_a_make_target_exists(line):
    target = shlex.split(line, comments=True)[1]
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)


def test_every_folder_of_the_map_exists_and_none_is_missing():
    named = set(re.findall(r"^\| `([\w/]+)` \|", README, re.M))
    packages = {path.name for path in ROOT.iterdir() if path.name[0] != "." and list(path.glob("*.py"))}
    assert named == packages | {"vae/images"}


def test_no_number_is_left_to_be_filled_in():
    assert re.findall(r"\b[A-Z]+_[A-Z]+\b", README.replace("HANDLATENT_CACHE", "")) == []


def test_every_file_that_the_readme_points_at_exists():
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", README) if "://" not in link]
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
