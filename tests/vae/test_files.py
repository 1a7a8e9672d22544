import math
import os
import sys

import pytest
import torch

from vae.files import DamagedError, load_tensors, save_json, save_tensors


def test_files_are_replaced_whole_and_nan_is_refused(tmp_path):
    save_tensors(tmp_path / "a.safetensors", {"x": torch.ones(1)})
    save_json(tmp_path / "a.json", {})
    assert len({path.stat().st_mode for path in tmp_path.iterdir()}) == 1  # others may read the one as the other
    save_json(tmp_path / "a.json", {"x": 1})
    with pytest.raises(ValueError, match="Out of range float values are not JSON compliant"):
        save_json(tmp_path / "a.json", {"x": math.nan})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json", "a.safetensors"]


def test_a_file_is_synced_while_it_is_open_for_writing(tmp_path, monkeypatch):
    """Windows refuses to sync a file that is open for reading alone."""
    fcntl = pytest.importorskip("fcntl", reason="this system does not say how a file is open")
    modes = []
    monkeypatch.setattr(os, "fsync", lambda file: modes.append(fcntl.fcntl(file, fcntl.F_GETFL) & os.O_ACCMODE))
    save_json(tmp_path / "a.json", 1)
    save_tensors(tmp_path / "a.safetensors", {"a": torch.zeros(1)})
    assert modes == [os.O_RDWR] * 2


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere all names of files are Unicode")
def test_tensors_are_read_back_from_a_folder_whose_name_is_not_utf_8(tmp_path):
    path = tmp_path / os.fsdecode(b"caf\xe9") / "tensors.safetensors"
    path.parent.mkdir()
    save_tensors(path, {"weight": torch.ones(2, 3)}, {"kind": "a test"})
    assert torch.equal(load_tensors(path)["weight"], torch.ones(2, 3))
    whole = path.read_bytes()
    for damaged in (whole[:-1], whole[:-1] + b"\x00", b"", b"no tensors"):
        path.write_bytes(damaged)
        with pytest.raises(DamagedError, match="is damaged"):
            load_tensors(path)
    path.unlink()
    with pytest.raises(FileNotFoundError):
        load_tensors(path)
