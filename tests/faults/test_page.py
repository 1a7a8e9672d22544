"""The numbers of docs/reliability.md are those of the tests."""

import importlib.util
from pathlib import Path

from agents.cli import COMMANDS
from vae.images.decode import FORMATS

FOLDER = Path(__file__).parent


def load(name, folder=FOLDER):
    spec = importlib.util.spec_from_file_location(f"faults_{name}", folder / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def longest(name):
    """How often the long form of a test tries."""
    return load(name).AMOUNTS[-1].values[0]


def test_the_page_says_how_often_each_fault_is_tried():
    page = (FOLDER.parent.parent / "docs" / "reliability.md").read_text(encoding="utf-8")
    damaged = longest("test_mutated_inputs")
    forms, (resets, episodes) = len(load("conftest").FORMS), load("test_memory").LONG
    figures = load("test_store", FOLDER.parent / "agents" / "figures")
    actions = load("test_actions")
    for said in (
        f"| {len(actions.BAD)} kinds for each of {forms} forms |",
        f"| {actions.STATE_AMOUNTS[-1].values[0]} for each of {forms} forms | the same, or",
        f"SIGKILL {load('test_kills').KILLS} times each at random moments",
        f"| {figures.DAMAGED} each of compare.json and curriculum.json |",
        f"| {damaged:,} for each of {len(FORMATS)} formats |",
        f"| damaged HandInfo.csv | {damaged:,} |",
        f"| damaged package.json | {damaged:,} |",
        f"| {longest('test_state')} for each of 5 files |",
        f"| {longest('test_flags')} command lines for each of {len(COMMANDS)} commands; each flag without",
        f"| agents with {len(load('test_devices').SETTINGS)} policies, on a machine without that GPU;",
        f"| `SubprocVecEnv` on each of {len(load('test_numbers').INTEGERS)} names,",
        f"| {longest('test_constructors')} for each of {forms} forms |",
        f"| {resets} resets with a step each, then {episodes} episodes, for each of {forms} forms |",
    ):
        assert said in page
