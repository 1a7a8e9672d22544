"""Test the layout: no import cycles, no function that hides a module, no crowded or undocumented folders."""

import ast
import importlib
import pkgutil
from graphlib import TopologicalSorter
from pathlib import Path
from types import ModuleType

import pytest

import agents
import hand_env
import vae

ROOT = Path(__file__).parents[1]
PACKAGES = (vae, hand_env, agents)
MOST_MODULES = 16


def folders():
    return sorted(path.parent for package in ("vae", "hand_env", "agents") for path in (ROOT / package).rglob("*.py"))


def modules():
    found = {}
    for package in ("vae", "hand_env", "agents"):
        for path in (ROOT / package).rglob("*.py"):
            found[".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")] = path
    return found


def imported_by(path, known):
    """Return our modules that a module imports when loaded; `from package import module` counts as that module."""
    names = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom) and node.module in known:
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                names.add(full if full in known else node.module)
    return names


def test_no_module_imports_itself_by_a_circle():
    known = modules()
    faces = {name for name, path in known.items() if path.name == "__init__.py"}
    arrows = {name: imported_by(path, known) - {name} for name, path in known.items()}
    inner = {name: targets - faces for name, targets in arrows.items() if name not in faces}
    assert len(list(TopologicalSorter(inner).static_order())) >= len(inner)  # a cycle raises CycleError


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
def test_no_function_hides_the_module_that_it_lives_in(package):
    hidden = []
    for found in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        parent, _, leaf = found.name.rpartition(".")
        if not found.name.endswith("landmarks"):
            importlib.import_module(found.name)
        value = getattr(importlib.import_module(parent), leaf, None)
        if value is not None and not isinstance(value, ModuleType):
            hidden.append(found.name)
    assert hidden == []


def test_a_folder_holds_about_a_dozen_modules():
    crowded = {
        str(folder.relative_to(ROOT)): len([path for path in folder.glob("*.py") if path.name != "__init__.py"])
        for folder in set(folders())
    }
    assert {folder: count for folder, count in crowded.items() if count > MOST_MODULES} == {}


@pytest.mark.parametrize("folder", sorted(set(folders())), ids=lambda folder: str(folder.relative_to(ROOT)))
def test_a_folder_says_what_lives_there(folder):
    assert ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8")))
