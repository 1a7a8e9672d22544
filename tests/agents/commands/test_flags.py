import dataclasses
import os
import re
import typing
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest
import torch

from agents import cli
from agents.cli import COMMANDS, main
from agents.commands.synth import SynthArgs

NEEDED = {"compare": ["run", "--data", "photographs"]}
NEEDED |= {command: ["run"] for command in ("refine", "judge", "judge-attack", "package")}
NEEDED["sweep"] = ["train"]
NEEDED |= {"hub pull": ["owner/name"], "hub push": ["set", "owner/name"]}


@pytest.mark.parametrize("fills", [lambda args: np.empty(10**15), lambda args: torch.empty(10**15)])
def test_too_little_memory_is_one_sentence(capsys, monkeypatch, fills):
    monkeypatch.setitem(COMMANDS, "synth", (SynthArgs, fills))
    assert "handlatent synth: the memory does not suffice" in refused(capsys, "synth")


def test_a_worker_process_that_is_killed_is_one_sentence(capsys, monkeypatch):
    def work(_):
        with ProcessPoolExecutor(1, get_context("spawn")) as pool:
            pool.submit(os._exit, 9).result()

    monkeypatch.setitem(COMMANDS, "recipe", (SynthArgs, work))
    said = refused(capsys, "recipe")
    assert said.startswith("handlatent recipe: one of its worker processes was killed, perhaps because memory ran out.")
    assert "with a smaller --workers" in said


def test_a_mistake_of_our_own_is_a_traceback(monkeypatch):
    monkeypatch.setitem(COMMANDS, "synth", (SynthArgs, lambda args: torch.ones(2) @ torch.ones(3)))
    with pytest.raises(RuntimeError, match="size"):
        main(["synth"])


def flags_of(kind):
    """Yield each command with each of its flags for a value of this kind."""
    for name, (settings, _) in COMMANDS.items():
        hints = typing.get_type_hints(settings)
        for item in dataclasses.fields(settings):
            kinds = {hints[item.name], *typing.get_args(hints[item.name])}
            if kind in kinds and not item.metadata.get("positional"):
                yield pytest.param(name, "--" + item.name.replace("_", "-"), id=f"{name}-{item.name}")


def refused(capsys, *words):
    """Run a command that must refuse its flags; return its one sentence."""
    with pytest.raises(SystemExit) as stop:
        raise SystemExit(main(list(words)))
    lines = capsys.readouterr().err.splitlines()
    assert stop.value.code == 2
    assert len(lines) == 1, lines
    return lines[0]


@pytest.mark.parametrize("value", ["", "--"])
@pytest.mark.parametrize("command", COMMANDS)
def test_an_empty_value_is_refused_for_every_flag(capsys, monkeypatch, command, value):
    monkeypatch.setattr(cli, "COMMANDS", {command: COMMANDS[command]})  # all parsers take longer to build than one
    for item in dataclasses.fields(COMMANDS[command][0]):
        flag = "--" + item.name.replace("_", "-")
        assert f"{flag} must have a value, got {value!r}." in refused(capsys, command, f"{flag}={value}")
    assert "--data must have a value, got ''." in refused(capsys, command, "--data", "")


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["judge", "hand.png", ""], "PATHS"),
        (["generate", ""], "RUN"),
        (["package", ""], "RUN"),
        (["hub", "push", "set", ""], "FOLDER or OWNER/NAME"),
        (["train", ""], "A word"),
        (["judge", "--json", ""], "PATHS"),
        (["judge", "hand.png", "--no-crop", ""], "PATHS"),
        (["generate", "--no-refine", ""], "RUN"),
        (["generate", "--n", "2", ""], "RUN"),
        (["generate", "--n", ""], "--n"),
        (["compare", "run", "--rounds", "1", ""], "--rounds"),
        (["compare", "run", "--n", "30", ""], "RUNS"),
        (["judge", "--overlay=seen", ""], "PATHS"),
        (["judge", "--", ""], "PATHS"),
        ([""], "A word"),
    ],
)
def test_an_empty_word_behind_no_flag_is_called_what_the_help_calls_it(capsys, words, name):
    assert refused(capsys, *words) == f"handlatent: {name} must have a value, got ''. Leave it out, or give one."


@pytest.mark.parametrize("command", COMMANDS)
def test_a_flag_without_its_value_is_refused_and_a_list_of_none_is_empty(capsys, monkeypatch, command):
    taken: list[typing.Any] = []
    settings = COMMANDS[command][0]
    monkeypatch.setattr(cli, "COMMANDS", {command: (settings, taken.append)})
    hints = typing.get_type_hints(settings)
    for item in dataclasses.fields(settings):
        flag, words = "--" + item.name.replace("_", "-"), NEEDED.get(command, [])
        if hints[item.name] is bool or item.metadata.get("positional"):
            continue
        if any(typing.get_origin(kind) is list for kind in (hints[item.name], *typing.get_args(hints[item.name]))):
            assert main([command, *words, flag, "--device", "cpu"]) == 0  # the commands check their lists
            assert getattr(taken.pop(), item.name) == []
            continue
        for rest in (["--", *words], ["--device", "cpu", *words]):
            message = refused(capsys, command, flag, *rest)
            assert re.search(rf"argument (-n/)?{flag}: expected one argument$", message), message
    assert taken == []


@pytest.mark.parametrize(("command", "flag"), list(flags_of(float)))
def test_a_number_that_is_none_is_refused_by_the_name_of_its_flag(capsys, tmp_path, monkeypatch, command, flag):
    monkeypatch.chdir(tmp_path)
    message = refused(capsys, command, *NEEDED.get(command, []), flag, "nan")
    assert re.search(rf"{flag}\b.*nan", message), message
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("command", "flag"),
    [
        *(("train", flag) for flag in ("--delta-scale", "--reward-scale")),
        *((command, "--delta-scale") for command in ("refine", "recipe", "compare")),
        ("compare", "--gradient-rate"),
        ("judge-attack", "--rate"),
        ("judge-train", "--rate"),
    ],
)
def test_a_factor_or_rate_that_float32_cannot_hold_is_refused_before_any_work(
    capsys, tmp_path, monkeypatch, command, flag
):
    monkeypatch.chdir(tmp_path)
    message = refused(capsys, command, *NEEDED.get(command, []), flag, "1e308")
    assert re.search(rf"{flag} must lie in .*, got 1e\+308\. Choose ", message), message
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("command", "flag"), list(flags_of(int)))
def test_an_integer_that_no_library_holds_is_refused_by_the_name_of_its_flag(
    capsys, tmp_path, monkeypatch, command, flag
):
    monkeypatch.chdir(tmp_path)
    message = refused(capsys, command, *NEEDED.get(command, []), flag, "9" * 23)
    assert re.search(rf"{flag}\b.*9{{23}}", message), message
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train", "--images", "10000000000"], "--images must be at most"),
        (["synth", "--n", "10000000000"], "--n must be at most"),
        (["curriculum", "--hands", "1000000000000"], "--hands must be at most"),
        (["synth", "--n", "1", "--size", "100000"], "--size must lie in 16..1024, got 100000."),
        (["synth", "--size", "0"], "--size must lie in 16..1024, got 0."),
        (["synth", "--n", "0"], "--n must be at least 1, got 0."),
        (["synth", "--seed", "-1"], "--seed must be at least 0, got -1."),
        (["generate", "--seed", "-1"], "--seed must be at least 0, got -1."),
        (["train", "--epochs", "0"], "--epochs must be at least 1, got 0."),
        (["train", "--batch-size", "0"], "--batch-size must be at least 1, got 0."),
        (["train", "--latent-dim", "0"], "--latent-dim must lie in 1..4096, got 0. The paper uses 300."),
        (["train", "--learning-rate", "0"], "--learning-rate must be a finite number above 0, got 0.0."),
        (["train", "--kl-weight", "-1"], "--kl-weight must be at least 0, got -1.0."),
        (["train", "--checkpoint-seconds", "inf"], "--checkpoint-seconds must be a finite number, got inf."),
        (["train", "--checkpoint-seconds", "-1"], "--checkpoint-seconds must be at least 0, got -1.0."),
        (["train", "--agent", "none", "--delta-scale", "2"], "--delta-scale belongs to --agent random and sac-flat"),
        (
            ["refine", "run", "--policy", "latents", "--critic-epochs", "4"],
            "--critic-epochs belongs to --policy pictures",
        ),
        (["judge", "hand.png", "--held-out", "people"], "--held-out belongs to --training, which is not given"),
    ],
)
def test_what_would_do_nothing_or_fill_the_memory_is_refused(capsys, tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    assert message in refused(capsys, *words)


def test_a_folder_that_cannot_be_made_is_refused_by_its_flag(capsys, tmp_path):
    (tmp_path / "file").touch()
    out = tmp_path / "file" / "hands"
    said = refused(capsys, "synth", "--n", "1", "--size", "32", "--out", str(out))
    assert f"synth: --out '{out}' must be a folder that can be written into: Not a directory. Choose another" in said
