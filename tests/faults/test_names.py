"""A module of the user's own under one of our names is named, with what to do."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def imports(folder, before=""):
    code = f"import sys; sys.path[:0] = [{str(folder)!r}, {str(ROOT)!r}]\n{before}\nimport hand_env"
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
