import json
import os
import shutil
import socket

import pytest
import torch
from filelock import FileLock
from hub_server import Hub, serving
from huggingface_hub import close_session, constants

from agents import RefineArgs, RefinePolicy, RowAgent, make_sac, refine_run
from agents.commands.package.model_card import model_card
from agents.commands.train.args import TrainArgs
from agents.commands.train.command import train
from agents.runs.hub import CARD
from agents.runs.manifest import HALVES, PRIOR
from agents.runs.packaged import read_package
from agents.runs.run_folder import CLASSIFIER, MANIFEST, REFINER, sha256
from hand_env import HandRefineEnv
from vae import VAEConfig, build_vae
from vae.files import save_json, save_tensors
from vae.sampling.flow import FlowPrior, Velocity
from vae.sampling.rejection_fit import fit_classifier


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


TOKEN = "hf_of_a_test"


@pytest.fixture(scope="session")
def served():
    """A hub on this computer and its address; one for all tests, as a session of huggingface_hub takes 0.05 s."""
    hub = Hub()
    with serving(hub, TOKEN) as address:
        yield hub, address
        close_session()


@pytest.fixture
def hub(served, monkeypatch, tmp_path):
    """An empty hub in place of the one that huggingface_hub would ask; its cache is new and empty, too."""
    hub, address = served
    hub.empty()
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_OIDC_RESOURCE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.setattr(constants, "HF_STORED_TOKENS_PATH", str(tmp_path / "tokens"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", address)  # what HF_ENDPOINT sets, if it is set before the import
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", address + "/{repo_id}/resolve/{revision}/{filename}")
    monkeypatch.setattr(socket, "getaddrinfo", only_here(socket.getaddrinfo))
    return hub


def only_here(real):
    """Let nothing look for another computer."""

    def lookup(host, *more, **named):
        assert host in ("127.0.0.1", b"127.0.0.1"), host
        return real(host, *more, **named)

    return lookup


@pytest.fixture
def logged_in(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", TOKEN)


@pytest.fixture(scope="session")
def small_set(tmp_path_factory):
    """A set of weights of 0.3 MB that draws no hands, with a card; never to be written to."""
    return write_small_set(tmp_path_factory.mktemp("set"))


@pytest.fixture(scope="session")
def rejecting_set(small_set, tmp_path_factory):
    """The same set with a classifier of latents, which accepts a quarter of what the prior draws."""
    folder = shutil.copytree(small_set, tmp_path_factory.mktemp("rejecting") / "set")
    drawn = read_package(small_set).samplers["prior"].sample(1000, 9)
    middle = drawn.median(0).values
    holds = torch.stack([drawn[:, 0] > middle[0], drawn[:, 1] > middle[1]], 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vae.sampling.rejection_fit.FEWEST", 1000)
        fit_classifier(drawn, holds, drawn, share=0.25, seed=0, width=32).classifier.save(folder / CLASSIFIER)
    content = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    content["sha256"][CLASSIFIER] = sha256(folder / CLASSIFIER)
    save_json(folder / MANIFEST, content)
    return folder


def write_small_set(folder):
    vae = build_vae(VAEConfig(32, 6), seed=1).requires_grad_(False)
    for half in HALVES:
        mine = {n: t.half() for n, t in vae.state_dict().items() if n.startswith("encoder.") == (half == "encoder")}
        save_tensors(folder / f"{half}.safetensors", mine)
    FlowPrior(Velocity(6, width=16, blocks=1), torch.zeros(6), torch.ones(6)).save(folder / PRIOR)
    env = HandRefineEnv(vae, judge=Brightness().score, delta_scale=0.5)
    model = make_sac(env, 0, policy=RefinePolicy, policy_kwargs={"net_arch": [16]})
    notes = {"env_id": "HandRefine-v0", "delta_scale": 0.5, "steps_per_episode": 1, "sampler": "prior", "seed": 0}
    RowAgent.of(model, **notes).save(folder / REFINER)
    settings = {"size": 32, "latent_dim": 6, "width": "small", "batch_size": 4, "agent": "none", "seed": 0}
    settings |= {"data": "synthetic", "reencode_passes": 1, "split_seed": 0}
    rate = {"share": 0.25, "low": 0.201, "high": 0.3049}
    stage = {"reporting_judge": {"correct": rate, "anatomical": {**rate, "share": 0.2999}}}
    held_out = {"latents": 300, "rounds": 2, "before": stage, "after": stage}
    learned = {"refine_below": "2.5"}
    report = {"pictures": {"photographs": 0, "drawn": 24}}
    card = model_card({**settings, "latent_samples": 0}, report, {"held_out": held_out, "settings": learned})
    (folder / CARD).write_text(card, encoding="utf-8")
    files = [*(f"{half}.safetensors" for half in HALVES), PRIOR, REFINER]
    save_json(folder / MANIFEST, {"settings": settings, "sha256": {name: sha256(folder / name) for name in files}})
    return folder
