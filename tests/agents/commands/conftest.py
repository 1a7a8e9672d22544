import numpy as np
import pytest

from hand_env.anatomy.training import write_grounds
from vae.images.labelled.packed_file import encode_jpeg, jpeg_arrays, write_arrays
from vae.images.labelled.synthetic_pool import render_hands


@pytest.fixture(scope="module", autouse=True)
def commands_leave_no_folder_of_logs(tmp_path_factory):
    """Stable-Baselines3 makes one in the temporary folder at each `learn` of a model that has no logger."""
    folder = tmp_path_factory.mktemp("temporary") / "SB3"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SB3_LOGDIR", str(folder))
        yield
    assert not folder.exists(), "a command trains a model of Stable-Baselines3 that has no logger; see `make_sac`"


@pytest.fixture(scope="module")
def pack(tmp_path_factory):
    """A pack of synthetic hands in place of photographs."""
    hands = render_hands(9, 0, 10, "none")
    arrays = jpeg_arrays(encode_jpeg(image.permute(1, 2, 0).numpy(), quality=95) for image in hands.images)
    arrays |= {"joints": hands.joints.numpy(), "regions": hands.regions.numpy()}
    sides = np.array([0] * 8 + [1] * 2, np.uint8)
    return write_arrays(tmp_path_factory.mktemp("pack") / "pack.npz", sides=sides, **arrays)


@pytest.fixture(scope="module")
def grounds(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vae.images.backgrounds.collection.shipped_pictures", list)
        return write_grounds(tmp_path_factory.mktemp("grounds") / "grounds.npz", textures=6)
