import importlib.util
import os
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from hand_env import HandLatentEnv, HandRefineEnv, HandRefineVectorEnv, HandScheduleEnv, HandScheduleVectorEnv
from vae import VAE, VAEConfig, build_vae, model
from vae.images.labelled.packed_file import encode_jpeg, jpeg_arrays, write_arrays
from vae.images.labelled.synthetic_pool import render_hands

REAL = model._CHANNELS["small"]
torch.set_num_threads(1)  # as forked processes compute, which some tests compare with this one, bit for bit


def pytest_addoption(parser):
    parser.addoption("--long", action="store_true", help="run the tests marked long too, as `make faults` does")


def pytest_collection_modifyitems(config, items):
    """Leave out the long tests; begin with the slowest, so that pytest-xdist's workers end at about the same time."""
    long = [item for item in items if item.get_closest_marker("long") and not config.getoption("--long")]
    config.hook.pytest_deselected(items=long)
    items[:] = [item for item in items if item not in long]
    items.sort(key=_seconds, reverse=True)


def _seconds(item):
    """About how long a test takes: what its marker says, or 1 if that says nothing; 0 without one."""
    slow = item.get_closest_marker("slow")
    return slow.kwargs.get("seconds", 1) if slow else 0


@pytest.fixture(scope="session", autouse=True)
def folder_of_logs(tmp_path_factory):
    """Where Stable-Baselines3 makes a folder at each `learn` of a model without a logger, not in the temporary one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SB3_LOGDIR", str(tmp_path_factory.mktemp("sb3")))
        yield


@pytest.fixture(autouse=True)
def torch_seed():
    """Seed torch before each test, so that one that draws without a generator sees the same numbers in every run."""
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def load():
    """A function from the path of a script, which lies in no package, to its module."""

    def load(path):
        spec = importlib.util.spec_from_file_location(path.stem, path)
        module = importlib.util.module_from_spec(spec)
        sys.modules[path.stem] = module  # where dataclasses look for it
        spec.loader.exec_module(module)
        return module

    return load


@contextmanager
def small_vaes(channels):
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(model._CHANNELS, "small", channels)
        yield


@pytest.fixture(scope="session", autouse=True)
def narrow_vaes():
    """Give "small" VAEs an eighth of their channels: a step trains the same layers in a third of the time.

    `real_channels` gives them all their channels, where more is asked about than the machinery around a VAE.
    """
    with small_vaes(tuple(channels // 8 for channels in REAL)):
        yield


@pytest.fixture(scope="session")
def with_real_channels():
    """A context for fixtures of a session or of a module."""
    return lambda: small_vaes(REAL)


@pytest.fixture
def real_channels(with_real_channels):
    with with_real_channels():
        yield


@pytest.fixture
def tiny_images() -> torch.Tensor:
    """(20, 3, 32, 32) uint8: noise is picture enough where only the machinery is asked about."""
    return torch.randint(0, 256, (20, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def make_env(tiny_images):
    def make(**settings):
        return HandLatentEnv(
            **{"images": tiny_images, "latent_dim": 6, "batch_size": 4, "epochs_per_episode": 3, **settings}
        )

    return make


class LinearEncoder(nn.Linear):
    def forward(self, images):
        return super().forward(images.mean((2, 3)) - 0.5).chunk(2, dim=1)


def linear_vae(seed: int) -> VAE:
    """A VAE that trains in a few milliseconds a step: 3 colours in, 32 x 32 pixels out, 4 latents."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        decoder = nn.Sequential(nn.Linear(4, 3 * 8 * 8), nn.Unflatten(1, (3, 8, 8)), nn.Upsample(scale_factor=4))
        return VAE(LinearEncoder(3, 8), decoder, 32, 4)


def brightness(pictures: torch.Tensor) -> torch.Tensor:
    """A judge with no weights: from (n, 3, S, S) to (n,) in [0, 1]."""
    return pictures.mean((1, 2, 3))


@pytest.fixture
def make_refine():
    """HandRefine-v0 on a small VAE with fresh weights, judged by brightness."""

    def make(**settings):
        return HandRefineEnv(**{"vae": build_vae(VAEConfig(32, 6), seed=1), "judge": brightness, **settings})

    return make


@pytest.fixture
def make_refine_rows():
    """The same, `num_envs` side by side."""

    def make(num_envs=4, **settings):
        vae = build_vae(VAEConfig(32, 6), seed=1)
        return HandRefineVectorEnv(num_envs, **{"vae": vae, "judge": brightness, **settings})

    return make


@pytest.fixture
def quick_vae():
    """A function from a seed to a VAE that trains in milliseconds; D = 4."""
    return linear_vae


@pytest.fixture
def schedule_settings(tiny_images):
    """HandSchedule-v0 on a VAE that trains in milliseconds: five epochs of five steps, in three stretches."""
    return {
        "images": tiny_images,
        "vae": linear_vae,
        "judge": brightness,
        "n_drawn": 5,
        "batch_size": 4,
        "epochs_per_episode": 5,
        "epochs_per_step": 2,
    }


@pytest.fixture
def make_schedule(schedule_settings):
    return lambda **settings: HandScheduleEnv(**{**schedule_settings, **settings})


@pytest.fixture
def make_schedule_rows(schedule_settings):
    return lambda num_envs=3, **settings: HandScheduleVectorEnv(num_envs, **{**schedule_settings, **settings})


@pytest.fixture(scope="session")
def judge_pack(tmp_path_factory):
    """A pack of synthetic hands in place of photographs."""
    hands = render_hands(9, 0, 10, "none")
    arrays = jpeg_arrays(encode_jpeg(image.permute(1, 2, 0).numpy(), quality=95) for image in hands.images)
    arrays |= {"joints": hands.joints.numpy(), "regions": hands.regions.numpy()}
    sides = np.array([0] * 8 + [1] * 2, np.uint8)
    return write_arrays(tmp_path_factory.mktemp("pack") / "pack.npz", sides=sides, **arrays)


@pytest.fixture
def photographs():
    """The folder of the real photographs; the test is skipped where there is none."""
    folder = os.environ.get("HANDLATENT_DATA")
    if not folder or not (Path(folder) / "11k-hands" / "HandInfo.csv").is_file():
        pytest.skip("HANDLATENT_DATA names no folder that holds 11k-hands")
    return Path(folder) / "11k-hands"
