"""An agent is read back only where it belongs, and where it can be."""

import json
import os
import re
import shutil
import sys

import pytest

from agents import load_run
from agents.cli import main

pytestmark = pytest.mark.usefixtures("real_channels")


@pytest.fixture
def run(refined_run, tmp_path):
    return shutil.copytree(refined_run, tmp_path / "run")


def test_a_run_knows_its_refiner(run, plain_run):
    assert load_run(run).refiner.notes.env_id == "HandRefine-v0"
    assert load_run(str(plain_run)).refiner is None
    (run / "refine.json").unlink()
    assert load_run(run).refiner is not None  # the agent's file is enough


def test_a_refiner_of_another_vae_is_refused(run):
    report = json.loads((run / "refine.json").read_text())
    del report["sha256"]
    (run / "refine.json").write_text(json.dumps({**report, "vae_sha256": "0"}))
    with pytest.raises(ValueError, match=r"refiner.safetensors' was trained on another VAE than '.*vae.safetensors'"):
        load_run(run)


@pytest.mark.parametrize(
    ("text", "message"),
    [("{", "Expecting"), ("[]", "it must hold a JSON object"), ("{}", "settings must be an object, and it is missing")],
)
def test_a_damaged_report_is_one_sentence(run, text, message):
    (run / "refine.json").write_text(text)
    with pytest.raises(ValueError, match=rf"refine.json' is damaged: {message}"):
        load_run(run)


def test_a_damaged_refiner_is_one_sentence(run):
    (run / "refiner.safetensors").write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"refiner.safetensors' must hold a row agent"):
        load_run(run)


@pytest.mark.parametrize(
    ("made", "sentence"),
    [
        ("", "' is not a run: it has no config.json. Make one with: handlatent train --out "),
        ("hand.png", "' is not a run: it has no config.json. Name the folder that was given to `train` or `recipe` "),
        ("package.json", "' is not a run: it is a set of weights. Draw from it with: handlatent generate "),
    ],
)
def test_what_is_no_run_gets_the_advice_that_fits_it(tmp_path, made, sentence):
    if made:
        (tmp_path / made).touch()
    with pytest.raises(ValueError, match=re.escape(sentence)):
        load_run(tmp_path)


def test_a_file_and_a_path_that_is_free_are_no_runs(tmp_path, capsys):
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=r"file' is not a run: it is a file\. Name the folder that was given to"):
        load_run(tmp_path / "file")
    assert main(["package", str(tmp_path / "free"), "--out", str(tmp_path / "out")]) == 2
    assert (
        f"it has no config.json. Make one with: handlatent recipe --out {tmp_path / 'free'}" in capsys.readouterr().err
    )


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere all names of files are Unicode")
@pytest.mark.parametrize("command", ["refine", "recipe"])
def test_an_agent_is_not_trained_in_a_folder_from_which_it_could_not_be_read(tmp_path, narrow_run, capsys, command):
    out = tmp_path / os.fsdecode(b"caf\xe9")
    assert main([command, *([str(narrow_run)] if command == "refine" else []), "--out", str(out)]) == 2
    assert "--out must be a path in UTF-8 for an agent, got " in capsys.readouterr().err
    assert not out.exists()
