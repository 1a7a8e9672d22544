"""Test the layout: no import cycles, no function that hides a module, no crowded or undocumented folders."""

import ast
import importlib
import os
import pkgutil
from pathlib import Path
from types import ModuleType

import pytest

import agents
import hand_env
import vae

ROOT = Path(__file__).parents[1]
PACKAGES = (vae, hand_env, agents)


def folders():
    return sorted(path.parent for package in ("vae", "hand_env", "agents") for path in (ROOT / package).rglob("*.py"))


@pytest.fixture(scope="module")
def layout(load):
    load(ROOT / "docs" / "check_words.py")  # its neighbour
    return load(ROOT / "docs" / "check_layout.py")


def test_no_circle_no_command_in_another_no_crowded_folder_and_no_long_file(layout):
    known = layout.modules(ROOT)
    assert len(known) > 250
    assert list(layout.breaks(known)) == [], "Run python docs/check_layout.py"


def test_what_a_command_may_import_of_others_is_needed(layout):
    names = {part: set(os.listdir(ROOT / "agents" / "commands" / part)) for part in layout.USES}
    for own, others in layout.USES.items():
        text = "".join((ROOT / "agents" / "commands" / own / name).read_text() for name in names[own] if ".py" in name)
        assert {other for other in others if f"from agents.commands.{other}." in text} == others


def test_what_breaks_a_rule_of_the_layout_is_found(layout, tmp_path):
    files = {
        "vae/__init__.py": "from vae.low import x\n",
        "vae/low.py": "def late():\n    from vae.room.high import y\n",
        "vae/room/__init__.py": "",
        "vae/room/high.py": "from vae import low\n",
        "hand_env/__init__.py": "\n" * 401,
        "agents/__init__.py": "",
        "agents/commands/__init__.py": "",
        "agents/commands/one.py": "from agents.commands.two.command import two\n",
        "agents/commands/two/__init__.py": "",
        "agents/commands/two/command.py": "from agents.commands.two import part\n",
        "agents/commands/two/part.py": "import vae.low\n",
        **{f"agents/many/m{number}.py": "" for number in range(17)},
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    command, circle, crowded, long = sorted(layout.breaks(layout.modules(tmp_path)))
    assert circle in (
        "circle: vae.low -> vae.room.high -> vae.low",
        "circle: vae.room.high -> vae.low -> vae.room.high",
    )
    assert command == "a command imports another: agents.commands.one -> agents.commands.two.command"
    assert crowded == f"more than 16 modules: {tmp_path / 'agents' / 'many'}"
    assert long == f"more than 400 lines: {tmp_path / 'hand_env' / '__init__.py'}"


def test_rooms_arrows_and_floors_are_counted(layout, tmp_path, capsys):
    for name, text in {
        "vae/a.py": "",
        "hand_env/b.py": "from vae import a\n",
        "agents/c.py": "import hand_env.b\n",
    }.items():
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).with_name("__init__.py").touch()
        (tmp_path / name).write_text(text)
    (tmp_path / "README.md").write_text("Four words stand here.\n" + "word " * 31 + "end.")
    assert layout.main(tmp_path) == 0
    assert capsys.readouterr().out.splitlines() == [
        "6 files, 2 lines",
        "3 rooms, 2 arrows, 3 floors",
        "0 breaks of a rule",
        "36 words in README; 1 of 2 sentences over 30 words",
    ]


def test_a_room_stands_above_a_group_that_it_alone_uses(layout):
    assert layout.floors({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == 2  # all of them reach b and c


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


@pytest.mark.parametrize("folder", sorted(set(folders())), ids=lambda folder: str(folder.relative_to(ROOT)))
def test_a_folder_says_what_lives_there(folder):
    assert ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8")))
