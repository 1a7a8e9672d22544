import os
from typing import Any

import numpy as np
import pytest
import torch

from vae import checkpoint
from vae.checkpoint import latest_checkpoint, load_checkpoint, load_latest_checkpoint, save_checkpoint


def test_a_state_comes_back_as_it_was(tmp_path):
    state: dict[str, Any] = {
        "weights": {"a": torch.randn(2, 3), "b": torch.arange(3, dtype=torch.uint8)},
        "by_number": {0: {"step": torch.tensor(3.0)}, 1: {}},
        "array": np.arange(4, dtype=np.uint32),
        "scalar": torch.tensor(0.1),
        "list": [1, 2.5, None, True, "text", [torch.zeros(0)]],
        "big": 2**100,
        "precise": 0.1 + 0.2,
    }
    loaded = load_checkpoint(save_checkpoint(tmp_path, 5, state))
    assert torch.equal(loaded["weights"]["a"], state["weights"]["a"])
    assert loaded["weights"]["b"].dtype == torch.uint8
    assert list(loaded["by_number"]) == [0, 1]
    assert loaded["by_number"][0]["step"].item() == 3.0
    assert loaded["array"].dtype == np.uint32
    assert loaded["array"].tolist() == [0, 1, 2, 3]
    assert loaded["list"][:5] == state["list"][:5]
    assert loaded["list"][5][0].shape == (0,)
    assert (loaded["big"], loaded["precise"]) == (2**100, 0.1 + 0.2)


def test_the_last_two_checkpoints_are_kept_and_earlier_ones_dropped(tmp_path):
    assert latest_checkpoint(tmp_path / "absent") is None
    for step in (8, 9, 10):
        save_checkpoint(tmp_path, step, {"step": step})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-10", "step-9"]
    assert latest_checkpoint(tmp_path) == tmp_path / "step-10"


def test_a_checkpoint_cut_off_halfway_leaves_the_one_before_and_is_cleared_later(tmp_path, monkeypatch):
    save_checkpoint(tmp_path, 1, {"a": torch.ones(2)})
    monkeypatch.setattr("vae.files.save_json", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(tmp_path, 2, {"a": torch.zeros(2)})
    monkeypatch.undo()
    (tmp_path / ".partial-0").mkdir()  # what a killed process leaves
    assert latest_checkpoint(tmp_path) == tmp_path / "step-1"
    assert load_checkpoint(tmp_path / "step-1")["a"].tolist() == [1, 1]
    save_checkpoint(tmp_path, 3, {})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-1", "step-3"]


def test_what_a_kill_in_the_first_checkpoint_left_is_removed(tmp_path):
    (tmp_path / "checkpoints" / ".partial-0").mkdir(parents=True)
    (tmp_path / "checkpoints" / ".partial-0" / "state.json").write_text("half")
    assert load_latest_checkpoint(tmp_path / "checkpoints") is None
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "note.txt").touch()  # of somebody else
    assert load_latest_checkpoint(tmp_path / "checkpoints") is None
    assert (tmp_path / "checkpoints" / "note.txt").exists()


def test_a_checkpoint_of_the_same_step_is_not_written_again(tmp_path):
    save_checkpoint(tmp_path, 1, {"a": 1})
    save_checkpoint(tmp_path, 1, {"a": 2})
    assert load_checkpoint(tmp_path / "step-1") == {"a": 1}


def test_load_raises_where_there_is_no_checkpoint(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"No checkpoint in .* \(looked for state.json and tensors.safetensors\)"
    ):
        load_checkpoint(tmp_path)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no umask")
def test_the_umask_decides_who_may_read_a_checkpoint(tmp_path):
    before = os.umask(0o002)
    try:
        path = save_checkpoint(tmp_path / "checkpoints", 1, {"a": torch.zeros(1), "b": 1})
        modes = {entry.name: entry.stat().st_mode & 0o777 for entry in (path, *path.iterdir())}
    finally:
        os.umask(before)
    assert modes == {path.name: 0o775, "tensors.safetensors": 0o664, "state.json": 0o664}


def test_no_folder_is_synced_on_windows_which_opens_none(tmp_path, monkeypatch):
    opened: list[object] = []
    with monkeypatch.context() as patch:
        patch.setattr(os, "open", lambda *words: opened.append(words))
        patch.setattr(os, "name", "nt")
        checkpoint._sync(tmp_path)
    assert opened == []


def test_keys_that_spell_the_same_path_keep_their_own_tensors(tmp_path):
    state = {"a/b": torch.tensor(1), "a": {"b": torch.tensor(2)}, 1: torch.tensor(3), "1": torch.tensor(4)}
    assert load_checkpoint(save_checkpoint(tmp_path, 1, state)) == state


def test_what_else_lies_in_the_folder_stays(tmp_path):
    (tmp_path / "my-copy").mkdir()
    (tmp_path / "step-1-backup").mkdir()
    for step in range(4):
        save_checkpoint(tmp_path, step, {})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["my-copy", "step-1-backup", "step-2", "step-3"]
