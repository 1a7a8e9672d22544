"""The wheel and the source distribution: what they hold, how large they are, and what they say of what they lack."""

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.slow(seconds=5)
LARGEST, LARGEST_SOURCES = 50_000_000, 100_000_000  # bytes; a package index takes the second number
FOLDERS = ("vae", "hand_env", "agents", "docs", "examples", "benchmarks", "tests")
FILES = (
    "CHANGELOG.md",
    "CITATION.cff",
    "CONTRIBUTING.md",
    "LICENSE",
    "Makefile",
    "NOTICE",
    "README.md",
    "constraints.txt",
)
SETTINGS = ("MANIFEST.in", "mkdocs.yml", "pyproject.toml")
BUILD = """
import sys
from setuptools import build_meta, setup
sys.argv = ["setup.py", "-q", "egg_info"]
setup()
print(build_meta.build_wheel("dist"))
print(build_meta.build_sdist("dist"))
"""
USE = """
import agents
from agents import GenerateArgs, draw_hands
from agents.commands.demo.weights import Weights
from agents.draw.settings import load_as_asked
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
def built(tmp_path_factory):
    """The folder of both distributions, built from a copy, since the build writes beside what it reads."""
    copy = tmp_path_factory.mktemp("build")
    for name in FOLDERS:
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in (*FILES, *SETTINGS):
        shutil.copy(ROOT / name, copy / name)
    done = subprocess.run([sys.executable, "-c", BUILD], cwd=copy, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return copy / "dist"


@pytest.fixture(scope="module")
def wheel(built):
    return next(built.glob("*.whl"))


@pytest.fixture(scope="module")
def sdist(built):
    return next(built.glob("*.tar.gz"))


def test_the_wheel_is_small_enough_and_holds_the_judges_and_one_set(wheel):
    assert wheel.stat().st_size <= LARGEST
    weights = [Path(name) for name in zipfile.ZipFile(wheel).namelist() if name.endswith(".safetensors")]
    assert sorted({path.parent.as_posix() for path in weights}) == [
        "agents/weights/photographs",
        "agents/weights/schedule",
        "hand_env/anatomy",
    ]
    assert len(weights) == 9


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
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"vae", "hand_env", "agents", "handlatent"}


def test_the_source_distribution_is_small_enough_and_holds_all_that_a_checkout_does(sdist):
    assert sdist.stat().st_size <= LARGEST_SOURCES
    with tarfile.open(sdist) as archive:
        held = {name.partition("/")[2] for name in archive.getnames()}
    mine = {
        path.relative_to(ROOT).as_posix() for name in FOLDERS for path in (ROOT / name).rglob("*") if path.is_file()
    }
    mine = {name for name in mine if "__pycache__" not in name}
    assert {"agents/weights/photographs/README.md", "agents/weights/synthetic/README.md", "docs/demo.md"} <= mine
    assert mine | {*FILES, *SETTINGS} <= held


def test_an_installed_wheel_offers_one_set_and_says_where_the_other_is(wheel, tmp_path):
    zipfile.ZipFile(wheel).extractall(tmp_path / "installed")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "installed"), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([sys.executable, "-c", USE], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    place, offered, *said = done.stdout.splitlines()
    assert place == str(tmp_path / "installed" / "agents" / "__init__.py")
    assert offered == "('photographs',) ('photographs',) ['photographs']"
    assert said == [LACKING] * 3
