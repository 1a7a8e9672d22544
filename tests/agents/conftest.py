import os

import pytest
import torch
from filelock import FileLock

from agents import RefineArgs, refine_run
from agents.commands.train.args import TrainArgs
from agents.commands.train.command import train


class Brightness:
    """Stands in for the package's rewarding judge, which judges 30 pictures a second on a core."""

    def __init__(self, architecture="parser", device="cpu"):
        pass

    def score(self, pictures: torch.Tensor) -> torch.Tensor:
        return 0.5 * pictures.mean((1, 2, 3))  # never enough to be left alone


def train_plain(out):
    settings = {"images": 24, "size": 32, "epochs": 2, "batch_size": 4, "latent_dim": 5, "device": "cpu"}
    return train(TrainArgs(**settings, agent="none", out=out))


@pytest.fixture(scope="session")
def once(tmp_path_factory):
    """A function that has a folder made by the first of pytest-xdist's workers that needs it; the others wait."""
    own = tmp_path_factory.getbasetemp()
    shared = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own

    def made(name, make):
        done = shared / f"{name}.done"
        with FileLock(shared / f"{name}.lock"):
            if not done.exists():
                make(shared / name / "run")
                done.touch()
        return shared / name / "run"

    return made


@pytest.fixture(scope="session")
def narrow_run(once):
    """A finished run without an agent, never to be written to."""
    return once("narrow", train_plain)


@pytest.fixture(scope="session")
def plain_run(once, with_real_channels):
    """The same with a VAE that draws well enough to learn from; it is read with `real_channels`."""
    with with_real_channels():
        return once("plain", train_plain)


@pytest.fixture(scope="session")
def refined_run(once, plain_run, with_real_channels):
    """A copy of it with a refiner in it that learned what pays, likewise."""

    def refine(out):
        settings = {"samples": 640, "rows": 16, "width": 32, "held_out": 100, "policy": "latents", "device": "cpu"}
        refine_run(RefineArgs(plain_run, **settings, out=out))

    with with_real_channels(), pytest.MonkeyPatch.context() as patch:
        patch.setattr("hand_env.refinement.default_judge", Brightness)
        return once("refined", refine)


@pytest.fixture
def bright(monkeypatch):
    """Let brightness pay, not the package's judge."""
    monkeypatch.setattr("hand_env.refinement.default_judge", Brightness)
