import numpy as np
import pytest

from vae.images.labelled.landmarks import write_arrays
from vae.images.labelled.photographs import write_pack


def test_arrays_are_written_under_the_name_that_was_asked_for(tmp_path):
    path = tmp_path / "new" / "joints"
    assert write_arrays(path, names=np.array(["a"])) == path
    assert np.load(path)["names"].tolist() == ["a"]
    assert [file.name for file in path.parent.iterdir()] == ["joints"]


def test_joints_of_another_download_are_refused_by_name(photographs, tmp_path):
    joints = write_arrays(tmp_path / "joints.npz", names=np.array(["a.jpg"]), joints=np.zeros((1, 21, 2), np.float32))
    words = r"joints\.npz' must hold the joints of every photograph in .*\.jpg' is missing\. Delete the file and run"
    with pytest.raises(ValueError, match=words):
        write_pack(photographs, joints, tmp_path / "pack.npz")
