import pytest
import torch

from hand_env.anatomy.judge import Judge
from hand_env.anatomy.network import build_network
from hand_env.anatomy.weights import Calibration, save_network
from vae.images import to_float
from vae.images.synthetic import generate_hands

LIMITS = {"whole": -5.0, "hand": -5.0, "states": -9.0, "extra": -9.0}


@pytest.fixture(scope="session")
def hands():
    """(4, 3, 64, 64) float32: synthetic hands."""
    return to_float(generate_hands(4, 64, seed=3).images)


@pytest.fixture(scope="session")
def weights(tmp_path_factory):
    """A judge with fresh weights: it has learned nothing, which is enough where only the machinery is asked about."""
    path = tmp_path_factory.mktemp("weights") / "parser.safetensors"
    return save_network(path, build_network("parser", 0), Calibration("parser", LIMITS))


@pytest.fixture(scope="session")
def judge(weights):
    return Judge.load(weights)


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)
