"""A module of the user's own under one of our names is named, with what to do."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def imports(folder, before="", then="import hand_env"):
    code = f"import sys; sys.path[:0] = [{str(folder)!r}, {str(ROOT)!r}]\n{before}\n{then}"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=folder, check=False)


@pytest.mark.parametrize("before", ["", "import vae"])
@pytest.mark.parametrize("file", ["vae.py", "vae/__init__.py"])
def test_a_user_s_own_vae_is_named_in_one_sentence(tmp_path, file, before):
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text("class VAE: ...\n", encoding="utf-8")
    done = imports(tmp_path, before)
    place = tmp_path / file if file == "vae.py" else tmp_path / "vae"
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        f"ImportError: hand_env needs its own package 'vae', in '{ROOT}', but '{place}' is in the way. Rename that "
        "one, or start Python in another folder."
    )


def test_a_folder_vae_without_python_is_in_nobody_s_way(tmp_path):
    (tmp_path / "vae").mkdir()  # of results, say
    assert imports(tmp_path).stderr == ""


def test_the_page_on_names_says_what_another_package_agents_does(tmp_path):
    """Nothing of ours is imported then, so nothing of ours can say it."""
    (tmp_path / "agents").mkdir()
    (tmp_path / "agents" / "__init__.py").touch()
    said = imports(tmp_path, then="from agents import make_sac").stderr.splitlines()[-1]
    page = " ".join((ROOT / "docs" / "install.md").read_text(encoding="utf-8").split())
    words = "cannot import name 'make_sac' from 'agents'"
    assert said == f"ImportError: {words} ({tmp_path / 'agents' / '__init__.py'})"
    assert (
        "The package `openai-agents`, which also installs a package named `agents`. An import such as `from agents"
        in page
    )
    assert (
        f"import make_sac` then ends with `{words}` and the place of the other one. Install the two in separate" in page
    )


def test_environments_are_shown_with_the_package_that_registers_them():
    """Another process, such as one of a SubprocVecEnv, has not imported it."""
    bare, shown = re.compile(r"""make(_vec)?\(\s*["']Hand"""), 0
    rooms = [ROOT / room for room in ("docs", "examples", "hand_env", "agents", "benchmarks")]
    for path in (ROOT / "README.md", *(path for room in rooms for path in room.rglob("*.*"))):
        if path.suffix in (".md", ".py"):
            text = path.read_text(encoding="utf-8")
            assert not bare.search(text), path
            shown += text.count('"hand_env:Hand')
    assert shown > 10
