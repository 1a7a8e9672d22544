"""An untrained judge and a few pictures, for the tests of its commands."""

import pytest
from PIL import Image

from hand_env.anatomy.network import build_network
from hand_env.anatomy.weights import Calibration, save_network
from vae.images.synthetic import generate_hands

LIMITS = {"whole": -5.0, "hand": -5.0, "states": -9.0, "extra": -9.0}


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "parser.safetensors"
    return save_network(path, build_network("parser", 0), Calibration("parser", LIMITS))


@pytest.fixture
def pictures(tmp_path):
    for number, size in enumerate((64, 64, 96)):
        image = generate_hands(1, size, seed=number).images[0].permute(1, 2, 0).numpy()
        Image.fromarray(image).save(tmp_path / f"hand-{number}.png")
    return tmp_path
