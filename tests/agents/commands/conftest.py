import pytest

from hand_env.anatomy.training import write_grounds


@pytest.fixture(scope="module", autouse=True)
def commands_leave_no_folder_of_logs(tmp_path_factory):
    """Stable-Baselines3 makes one in the temporary folder at each `learn` of a model that has no logger."""
    folder = tmp_path_factory.mktemp("temporary") / "SB3"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SB3_LOGDIR", str(folder))
        yield
    assert not folder.exists(), "a command trains a model of Stable-Baselines3 that has no logger; see `make_sac`"


@pytest.fixture(scope="module")
def grounds(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vae.images.backgrounds.collection.shipped_pictures", list)
        return write_grounds(tmp_path_factory.mktemp("grounds") / "grounds.npz", textures=6)
