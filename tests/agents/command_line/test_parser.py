"""How the command line reads switches, which take no value, and commands of two words."""

from pathlib import Path
from typing import Any

import pytest

from agents.cli import COMMANDS, main
from agents.command_line.parser import CommandParser

SWITCHES = [
    ("generate", ["--no-refine", "runs/a"], {"refine": False, "run": Path("runs/a")}),
    ("generate", ["--refine", "runs/a"], {"refine": True, "run": Path("runs/a")}),
    ("demo", ["--no-browser", "runs/a"], {"browser": False, "run": Path("runs/a")}),
    ("hub push", ["--private", "set", "a/b"], {"private": True, "folder": Path("set"), "name": "a/b"}),
    ("judge", ["--json", "pictures"], {"json": True, "paths": [Path("pictures")]}),
]


@pytest.mark.parametrize(("command", "words", "settings"), SWITCHES)
def test_a_switch_leaves_the_word_behind_it_alone(monkeypatch, command, words, settings):
    taken: list[Any] = []
    monkeypatch.setattr("agents.cli.COMMANDS", {command: (COMMANDS[command][0], taken.append)})
    assert main([*command.split(), *words]) == 0
    assert {name: getattr(taken[0], name) for name in settings} == settings


@pytest.mark.parametrize("number", ["-1", "-.5", "-2.", "-1e1", "-1E-9", "-inf", "-INF"])
def test_a_negative_number_in_any_notation_is_a_value_and_no_flag(monkeypatch, number):
    taken: list[Any] = []
    monkeypatch.setattr("agents.cli.COMMANDS", {"generate": (COMMANDS["generate"][0], taken.append)})
    assert main(["generate", "--refine-below", number]) == 0
    assert taken[0].refine_below == float(number)


@pytest.mark.parametrize("words", [["synth", "--no-rings=true"], ["generate", "--no-agent=0"], ["synth", "--rings=1"]])
def test_a_value_of_a_switch_is_refused_in_one_sentence(capsys, words):
    with pytest.raises(SystemExit) as stop:
        main(words)
    assert stop.value.code == 2
    said = capsys.readouterr().err
    assert said.endswith(f"takes no value, got {words[1].partition('=')[2]!r}. Leave it out.\n"), said
    assert len(said.splitlines()) == 1


def test_the_help_of_a_switch_names_no_value(capsys):
    with pytest.raises(SystemExit):
        main(["synth", "--help"])
    said = capsys.readouterr().out
    assert "--rings, --no-rings" in said
    assert "bool" not in said


def test_a_parser_that_has_something_to_say_does_not_end_with_success(capsys):
    with pytest.raises(SystemExit) as stop:
        CommandParser().exit(message="It went wrong.")
    assert (stop.value.code, capsys.readouterr().err) == (2, "It went wrong.")


@pytest.mark.parametrize(("first", "commands"), [("hub", "hub pull,hub push"), ("blind", "blind sheets,blind score")])
def test_the_first_word_of_a_command_has_help_too(capsys, first, commands):
    with pytest.raises(SystemExit) as stop:
        main([first, "--help"])
    assert stop.value.code == 0
    said = capsys.readouterr().out
    assert f"{{{commands}}}" in said
    assert "sweep" not in said
