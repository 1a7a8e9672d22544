import numpy as np
import torch

from vae.images.labelled.packed_file import decode_jpegs, encode_jpeg, jpeg_arrays, write_arrays


def test_arrays_are_written_under_the_name_that_was_asked_for(tmp_path):
    path = tmp_path / "new" / "joints"
    assert write_arrays(path, names=np.array(["a"])) == path
    assert np.load(path)["names"].tolist() == ["a"]
    assert [file.name for file in path.parent.iterdir()] == ["joints"]


def test_pictures_come_back_from_a_file_in_their_order(tmp_path):
    pictures = [np.full((16, 16, 3), grey, np.uint8) for grey in (10, 120, 240)]
    path = write_arrays(tmp_path / "pictures.npz", **jpeg_arrays(encode_jpeg(one, quality=95) for one in pictures))
    decoded = decode_jpegs(np.load(path))
    assert decoded.dtype == torch.uint8
    assert decoded.shape == (3, 3, 16, 16)
    assert (decoded.float().mean((1, 2, 3)) - torch.tensor([10.0, 120.0, 240.0])).abs().max() < 2
