"""Whatever stands behind a flag, a command works or refuses it in one sentence: no traceback, no NaN as a setting."""

import io
import math
import sys
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest

from agents import cli
from agents.command_line.shell_words import command
from agents.commands.compare.args import check_args as check_compare
from agents.commands.curriculum.args import check_args as check_curriculum
from agents.commands.demo.args import check_args as check_demo
from agents.commands.hub.args import check_pull, check_push
from agents.commands.recipe.command import _check as check_recipe
from agents.commands.refine.command import _check as check_refine
from agents.commands.schedule.args import check_args as check_schedule
from agents.commands.sweep.args import check_args as check_sweep
from agents.commands.sweep.trials import make_trials
from agents.commands.train.command import _check as check_train

AMOUNTS = [25, pytest.param(400, marks=pytest.mark.long)]
ODD = [
    *(
        "",
        " ",
        "-",
        "--",
        "-1",
        "0",
        "1",
        "2",
        "007",
        "+3",
        "1.0",
        "-0.0",
        "0x10",
        "1_000",
        "\uff11\uff12",
        "true",
        "None",
    ),
    *("nan", "-nan", "inf", "-inf", "1e308", "1e400", "-1e-400", "9" * 30, str(2**63), str(-(2**63) - 1), "4294967296"),
    *(
        "[1]",
        "{}",
        "1,2",
        "%s",
        "%(prog)s",
        "{0}",
        "\\",
        "'",
        '"',
        "@absent",
        "\n",
        "\u202e",
        "\udcff",
        "x" * 5000,
        "\u00e9",
    ),
    *("absent", "absent/in/absent", "~absent/x", "auto", "all", "cpu", "cuda:99", "uniform-nan", "kl--1", "sac-0"),
]


def check_sweep_and_its_trials(args):
    check_sweep(args)
    if args.resume is None:
        make_trials(args)


# The checks of the commands that would work for long; the others are tried whole, on input that does not exist.
CHECKS: dict[str, Any] = {
    "train": check_train,
    "refine": check_refine,
    "compare": check_compare,
    "curriculum": check_curriculum,
    "schedule": check_schedule,
    "demo": check_demo,
    "recipe": check_recipe,
    "hub pull": check_pull,  # alone: a name that fits would be looked for on the network
    "hub push": check_push,
    "sweep": check_sweep_and_its_trials,
}
FEW = {"generate": 2, "synth": 2, "judge-report": 1}  # hands, where the defaults or "1_000" of them take minutes
ABSENT = {"data": "absent", "out": "new", "pack": "absent.safetensors"}
LISTS = {"compare": ["absent"], "judge": ["absent"], "hub push": ["absent", "absent"], "sweep": ["train"]}


def base(name):
    """The words of a command that refuses its input at once, by flag; positional words have the key ""."""
    items = fields(cli.COMMANDS[name][0])
    positional = LISTS.get(name, ["absent"] if any(item.metadata.get("positional") for item in items) else [])
    given = {f"--{item.name.replace('_', '-')}": [ABSENT[item.name]] for item in items if item.name in ABSENT}
    return {"": positional, **given}


def mutate(name, rng):
    """Put an odd value behind up to three flags of a command."""
    words = base(name)
    flags = ["", *(f"--{item.name.replace('_', '-')}" for item in fields(cli.COMMANDS[name][0]))]
    for flag in rng.choice(flags, int(rng.integers(1, 4))):
        words[str(flag)] = [ODD[place] for place in rng.integers(0, len(ODD), int(rng.choice([0, 1, 1, 1, 1, 2])))]
    joined = [
        [f"{flag}={values[0]}"] if len(values) == 1 and rng.random() < 0.3 else [flag, *values]
        for flag, values in words.items()
        if flag
    ]
    return [name, *(word for words in joined for word in words), *words[""]]


def numbers(settings):
    for item in fields(settings):
        value = getattr(settings, item.name)
        yield from value if isinstance(value, list) else [value]


@pytest.mark.parametrize("amount", AMOUNTS)
@pytest.mark.parametrize("name", cli.COMMANDS)
def test_odd_words_behind_flags_are_taken_or_refused_in_one_sentence(name, amount, tmp_path, monkeypatch):
    settings, run = cli.COMMANDS[name]
    taken = []

    def work(args):
        if name in FEW and FEW[name] < args.n <= 1000:
            args = replace(args, n=FEW[name])
        CHECKS.get(name, run)(args)
        taken.append(args)
        return "worked"

    inside = tmp_path / "inside"
    inside.mkdir()
    monkeypatch.chdir(inside)
    rng, refused = np.random.default_rng(list(cli.COMMANDS).index(name)), 0
    monkeypatch.setattr(cli, "COMMANDS", {name: (settings, work)})  # building all parsers takes 0.1 s
    for _ in range(amount):
        words = mutate(name, rng)
        said, err = command(*words), io.StringIO()
        monkeypatch.setattr(sys, "stderr", err)
        status: Any
        try:
            status = cli.main(words)
        except SystemExit as stop:
            status = stop.code
        assert status in (0, 2), said
        if status == 2:
            refused += 1
            assert err.getvalue().startswith("handlatent"), said
            assert len(err.getvalue()) < 2000 + 2 * sum(map(len, words)), said
    assert refused
    floats = [value for args in taken for value in numbers(args) if isinstance(value, float)]
    assert not any(math.isnan(value) for value in floats)
    assert [path.name for path in tmp_path.iterdir()] == ["inside"]
