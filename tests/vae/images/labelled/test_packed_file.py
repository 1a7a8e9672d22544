import io

import numpy as np
import pytest
import torch

from vae.files import DamagedError
from vae.images.backgrounds.collection import load_grounds
from vae.images.labelled.packed_file import decode_jpegs, encode_jpeg, jpeg_arrays, write_arrays
from vae.images.labelled.photographs import load_pack


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


def npz() -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, jpegs=np.arange(1000))
    return file.getvalue()


def npy() -> bytes:
    file = io.BytesIO()
    np.save(file, np.arange(3))
    return file.getvalue()


@pytest.mark.parametrize("load", [load_pack, load_grounds])
@pytest.mark.parametrize("content", [b"", b"text", npy(), npz(), npz()[:-9], npz()[:80] + b"0000" + npz()[84:]])
def test_a_file_of_something_else_is_one_sentence_that_names_it(tmp_path, load, content):
    (tmp_path / "broken.npz").write_bytes(content)
    words = (
        r"broken\.npz' must be an \.npz that `handlatent judge-train` wrote, and it is another file or damaged\. Name"
    )
    with pytest.raises(DamagedError, match=words):
        load(tmp_path / "broken.npz")
