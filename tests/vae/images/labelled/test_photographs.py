import numpy as np
import pytest
import torch

from vae.images import SPLIT_SEED, load_hands11k, split_by_group
from vae.images.labelled.packed_file import write_arrays
from vae.images.labelled.photographs import load_pack, write_pack


@pytest.fixture
def pack_with(download, cache, monkeypatch, tmp_path):
    """A function that packs a download with the joints of some photographs, all in one place."""
    monkeypatch.setenv("HANDLATENT_CACHE", str(cache))

    def pack(names):
        places = np.full((len(names), 21, 2), 0.5, np.float32)
        joints = write_arrays(tmp_path / "joints.npz", names=np.array(names), joints=places)
        return write_pack(download, joints, tmp_path / "pack.npz")

    return pack


def test_joints_of_another_download_are_refused_by_name(pack_with):
    words = r"joints\.npz' must hold the joints of every photograph in .*\.jpg' is missing\. Delete the file and run"
    with pytest.raises(ValueError, match=words):
        pack_with(["a.jpg"])


def test_a_pack_holds_the_regular_photographs_of_training_and_validation_people(download, pack_with, cache):
    regular = load_hands11k(download, 16, irregularities="exclude", cache_dir=cache)
    split = split_by_group(regular.groups, regular.all_groups, seed=SPLIT_SEED)
    kept = [regular.names[row] for row in torch.cat([split.train, split.validation]).tolist()]
    assert 0 < len(kept) < len(regular)
    packed = load_pack(pack_with(kept))  # no joints of test people are asked for
    assert (len(packed.train), len(packed.validation)) == (len(split.train), len(split.validation))
