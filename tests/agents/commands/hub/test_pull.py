import json

import pytest

from agents import load_packaged
from agents.cli import main
from agents.commands.hub import HubPullArgs, pull_set
from vae.files import copy_file

NAME = "someone/hands"


@pytest.fixture
def stocked(hub, small_set):
    hub.put(NAME, {**files_of(small_set), "model.pkl": b"never fetched"})
    return hub


def files_of(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def refused(capsys, *words):
    """Run a command that must fail; return its one sentence."""
    assert main([str(word) for word in words]) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line and "Fetching" not in line]
    return line


def test_a_set_is_copied_whole_and_can_be_read(stocked, small_set, tmp_path, capsys):
    out = tmp_path / "pulled"
    assert main(["hub", "pull", NAME, "--out", str(out)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == str(out)
    assert files_of(out) == files_of(small_set)
    assert not any(path.is_symlink() for path in out.iterdir())  # the cache may be emptied
    assert load_packaged(out).refiner is not None


def test_a_folder_that_holds_a_set_or_somebody_s_file_is_left_alone(stocked, tmp_path, capsys):
    (tmp_path / "mine.txt").touch()
    assert "it holds 'mine.txt', which is in the way" in refused(capsys, "hub", "pull", NAME, "--out", tmp_path)
    out = pull_set(HubPullArgs(NAME, tmp_path / "pulled"))
    stocked.requests.clear()
    assert "already holds a set of weights" in refused(capsys, "hub", "pull", NAME, "--out", out)
    assert stocked.requests == []


def test_a_set_that_is_damaged_is_not_written(hub, small_set, tmp_path, capsys):
    hub.put(NAME, {**files_of(small_set), "decoder.safetensors": b"another"})
    said = refused(capsys, "hub", "pull", NAME, "--out", tmp_path / "pulled")
    assert "decoder.safetensors is not the file that was packed" in said
    assert not (tmp_path / "pulled").exists()


def test_a_pull_that_was_cut_off_is_taken_up_again(hub, small_set, tmp_path, monkeypatch):
    manifest = json.loads((small_set / "package.json").read_text())
    manifest["sha256"] = dict(reversed(manifest["sha256"].items()))  # whatever the order, the encoder comes first
    files = {**files_of(small_set), "package.json": json.dumps(manifest).encode()}
    hub.put(NAME, files)
    out, copied = tmp_path / "pulled", list[str]()

    def cut_off(path, target):
        if copied:
            raise OSError("the disk is full")
        copy_file(path, target)
        copied.append(target.name)

    with monkeypatch.context() as patch:
        patch.setattr("agents.commands.hub.pull.copy_file", cut_off)
        with pytest.raises(OSError, match="the disk is full"):
            pull_set(HubPullArgs(NAME, out))
    assert [path.name for path in out.iterdir()] == ["encoder.safetensors"]
    assert files_of(pull_set(HubPullArgs(NAME, out))) == files


def test_without_a_network_it_is_one_sentence(hub, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    said = refused(capsys, "hub", "pull", NAME, "--out", tmp_path / "pulled")
    assert said.startswith("handlatent hub pull: The hub cannot be reached for 'someone/hands' (")
    assert said.endswith("The cache does not hold the whole set either.")


@pytest.mark.filterwarnings("default:The hub cannot be reached")
def test_without_a_network_the_command_says_in_a_line_that_the_cache_is_used(stocked, tmp_path, capsys, monkeypatch):
    pull_set(HubPullArgs(NAME, tmp_path / "first"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert main(["hub", "pull", NAME, "--out", str(tmp_path / "second")]) == 0
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line and "Fetching" not in line]
    assert line.startswith("Warning: The hub cannot be reached for 'someone/hands' (")
    assert " The set is read from the cache, '" in line


@pytest.mark.parametrize("name", ["hands", "a/b/c", "../b", "a/b@"])
def test_a_name_of_another_form_is_one_sentence(name, capsys, tmp_path):
    said = refused(capsys, "hub", "pull", name, "--out", tmp_path / "pulled")
    assert said.endswith(f"OWNER/NAME must look like 'owner/name' or 'owner/name@revision', got {name!r}.")
