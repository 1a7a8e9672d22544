"""Imports run one way: vae <- hand_env <- agents <- examples."""

import ast
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FORBIDDEN = {
    "vae": {"gymnasium", "stable_baselines3", "sb3_contrib", "hand_env", "agents", "examples"},
    "hand_env": {"stable_baselines3", "sb3_contrib", "agents", "examples"},
    "agents": {"examples"},
}


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add(str(node.module).split(".")[0])
    return names


@pytest.mark.parametrize("package", FORBIDDEN)
def test_package_imports_nothing_against_the_direction(package):
    files = list((ROOT / package).rglob("*.py"))
    assert files
    wrong = {str(file.relative_to(ROOT)): imported(file) & FORBIDDEN[package] for file in files}
    assert {file: names for file, names in wrong.items() if names} == {}


def test_examples_import_public_names_only():
    hidden = []
    for path in sorted((ROOT / "examples").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and str(node.module).split(".")[0] in FORBIDDEN:
                module = importlib.import_module(str(node.module))
                public = getattr(module, "__all__", [name for name in vars(module) if not name.startswith("_")])
                hidden += [f"{path.name}: {alias.name}" for alias in node.names if alias.name not in public]
                hidden += [f"{path.name}: {node.module}"] if "._" in str(node.module) else []
    assert hidden == []


def test_a_wrong_arrow_would_be_found(tmp_path):
    (tmp_path / "wrong.py").write_text(
        "def f():\n    from agents.rl.sac import make_sac\n    import gymnasium.spaces\n"
    )
    assert imported(tmp_path / "wrong.py") == {"agents", "gymnasium"}
