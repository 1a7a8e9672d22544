"""The wheel that the sources build: what it holds, how large it is, and what it says of what it lacks."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.slow(seconds=5)
LARGEST = 50_000_000  # bytes
BUILD = """
import sys
from setuptools import build_meta, setup
sys.argv = ["setup.py", "-q", "egg_info"]
setup()
print(build_meta.build_wheel("dist"))
"""
USE = """
import agents
from agents import GenerateArgs, draw_hands
from agents.commands.demo.weights import Weights
from agents.commands.generate import load_as_asked
from agents.runs.packaged import packaged_sets

print(agents.__file__)
print(packaged_sets(), Weights().names, list(Weights().choices()))
for use in (
    lambda: draw_hands(1, weights="synthetic"),
    lambda: load_as_asked(GenerateArgs(weights="synthetic")),
    lambda: Weights(first="synthetic"),
):
    try:
        use()
    except ValueError as error:
        print(error)
"""
LACKING = (
    "This installation has no weights 'synthetic'; a clone of the repository has them. Install it there with: "
    "pip install -e . Or name the folder of a run or a set, or 'owner/name' on the hub."
)


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """A copy of what the build reads, since it writes beside it."""
    copy = tmp_path_factory.mktemp("build")
    for name in ("vae", "hand_env", "agents"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "docs").mkdir()
    for name in ("pyproject.toml", "MANIFEST.in", "LICENSE", "NOTICE", "docs/package.md"):
        shutil.copy(ROOT / name, copy / name)
    return copy


@pytest.fixture(scope="module")
def wheel(sources):
    done = subprocess.run([sys.executable, "-c", BUILD], cwd=sources, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return sources / "dist" / done.stdout.splitlines()[-1]


def test_the_wheel_is_small_enough_and_holds_the_judges_and_one_set(wheel):
    assert wheel.stat().st_size <= LARGEST
    weights = [Path(name) for name in zipfile.ZipFile(wheel).namelist() if name.endswith(".safetensors")]
    assert sorted({path.parent.as_posix() for path in weights}) == [
        "agents/weights/photographs",
        "agents/weights/schedule",
        "hand_env/anatomy",
    ]
    assert len(weights) == 8


def test_the_wheel_holds_every_module_and_what_they_read(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    for package in ("vae", "hand_env", "agents"):
        modules = {path.relative_to(ROOT).as_posix() for path in (ROOT / package).rglob("*.py")}
        assert modules <= names
        assert f"{package}/py.typed" in names
    page = {path.relative_to(ROOT).as_posix() for path in (ROOT / "agents/commands/demo/page").iterdir()}
    cards = {f"agents/weights/{name}/README.md" for name in ("photographs", "schedule")}
    assert page | cards <= names
    assert not any("synthetic" in name for name in names if name.startswith("agents/"))


def test_the_source_distribution_holds_the_other_set_too(wheel, sources):
    listed = (sources / "handlatent.egg-info" / "SOURCES.txt").read_text(encoding="utf-8").splitlines()
    for name in ("photographs", "synthetic"):
        mine = {path.relative_to(ROOT).as_posix() for path in (ROOT / "agents" / "weights" / name).iterdir()}
        assert len(mine) == 6
        assert mine <= set(listed)


def test_an_installed_wheel_offers_one_set_and_says_where_the_other_is(wheel, tmp_path):
    zipfile.ZipFile(wheel).extractall(tmp_path / "installed")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "installed"), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([sys.executable, "-c", USE], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    place, offered, *said = done.stdout.splitlines()
    assert place == str(tmp_path / "installed" / "agents" / "__init__.py")
    assert offered == "('photographs',) ('photographs',) ['photographs']"
    assert said == [LACKING] * 3
