"""The command of rl_zoo3, as docs/libraries.md has it, in a process of its own."""

import importlib.util
import itertools
import json
import os
import shlex
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from sb3_contrib import TQC, CrossQ
from stable_baselines3 import PPO, SAC, TD3
from stable_baselines3.common.base_class import BaseAlgorithm

from agents import RowPolicy
from vae import model

ROOT = Path(__file__).parents[3]
COMMAND = next(
    line.strip()
    for line in (ROOT / "docs" / "libraries.md").read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
    if line.startswith("python -m rl_zoo3.train")
)
ALGORITHMS: dict[str, type[BaseAlgorithm]] = {"sac": SAC, "td3": TD3, "ppo": PPO, "tqc": TQC, "crossq": CrossQ}
TINY = "--env-kwargs n_images:8 latent_dim:6 epochs_per_episode:3"

pytestmark = [
    pytest.mark.slow(seconds=30),  # the zoo takes seconds to import
    pytest.mark.skipif(importlib.util.find_spec("rl_zoo3") is None, reason="`make test` installs the extra zoo"),
]


@pytest.fixture
def zoo(tmp_path):
    """A function that runs a command of the zoo; it can name the package `narrow`: VAEs as in this process."""
    (tmp_path / "narrow.py").write_text(f"from vae import model\nmodel._CHANNELS.update({model._CHANNELS!r})\n")
    (tmp_path / "my_hands.py").write_text(MY_HANDS)  # as docs/libraries.md names a trained VAE
    return partial(run_zoo, tmp_path)


def run_zoo(modules, command, *further):
    words = [sys.executable, *shlex.split(command)[1:], *further]
    path = os.pathsep.join([str(modules), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path}
    done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout


def test_the_zoo_trains_evaluates_and_plays_back(zoo, tmp_path):
    few = f"-n 120 --eval-freq 60 --eval-episodes 1 --seed 0 --device cpu --log-folder {tmp_path} {TINY}"
    zoo(COMMAND, "--gym-packages", "narrow", "hand_env", *shlex.split(few))
    folder = tmp_path / "sac" / "HandLatent-v0_1"
    model = SAC.load(folder / "HandLatent-v0.zip")
    assert isinstance(model.policy, RowPolicy)
    assert model.num_timesteps == 120
    assert model._n_updates == (120 - 100) // 4
    assert all(weight.isfinite().all() for weight in model.policy.parameters())
    evaluations = np.load(folder / "evaluations.npz")
    assert evaluations["timesteps"].tolist() == [60, 120]
    assert (evaluations["ep_lengths"] == 6).all()
    assert np.isfinite(evaluations["results"]).all()
    assert len((folder / "0.monitor.csv").read_text().splitlines()) == 2 + 120 // 6
    said = zoo(
        "python -m rl_zoo3.enjoy --algo sac --env HandLatent-v0 --gym-packages narrow hand_env",
        *shlex.split(f"-f {tmp_path} --no-render -n 20 --device cpu"),
    )
    assert said.count("Episode Length 6") == 3


TRAIN_EACH = """
import json
import sys
from rl_zoo3.train import train

for words in json.loads(sys.argv[1]):
    sys.argv = ["train.py", *words]
    train()
"""
MY_HANDS = """
import gymnasium as gym
import hand_env
from vae import StandardNormal, VAEConfig, build_vae

trained = build_vae(VAEConfig(32, 6), seed=1)
gym.spec("HandRefine-v0").kwargs.update(
    vae=trained, sampler=StandardNormal(6), judge=lambda pictures: pictures.mean((1, 2, 3))
)
"""
FEW = {
    "HandRefine-v0": ["--gym-packages", "narrow", "my_hands"],
    "HandSchedule-v0": shlex.split(
        "--gym-packages narrow hand_env --env-kwargs n_images:8 latent_dim:6 batch_size:4 epochs_per_episode:2 "
        "epochs_per_step:1 n_drawn:1"
    ),
}


def few(environment, algorithm, folder):
    """The words of a short training with the settings shipped for an algorithm."""
    fewer = ["n_steps:4"] if algorithm == "ppo" else ["learning_starts:4", "gradient_steps:1"]
    words = ["--algo", algorithm, "--env", environment, "--conf-file", f"examples/rl_zoo3_{algorithm}.yml"]
    here = ["-n", "8", "--eval-freq", "-1", "--seed", "0", "--device", "cpu", "--log-folder", str(folder)]
    return [*words, *here, *FEW[environment], "-params", "n_envs:2", "batch_size:4", *fewer]


def test_the_zoo_trains_each_algorithm_with_the_settings_shipped_for_it(zoo, tmp_path):
    pairs = list(itertools.product(FEW, ALGORITHMS.items()))
    each = [few(environment, name, tmp_path) for environment, (name, _) in pairs]
    zoo(shlex.join(["python", "-c", TRAIN_EACH, json.dumps(each)]))  # in one process: seconds go into importing the zoo
    for environment, (name, algorithm) in pairs:
        model: Any = algorithm.load(tmp_path / name / f"{environment}_1" / f"{environment}.zip")
        shipped = yaml.safe_load((ROOT / "examples" / f"rl_zoo3_{name}.yml").read_text(encoding="utf-8"))[environment]
        assert model.num_timesteps == 8
        assert model._n_updates > 0
        assert (model.gamma, model.lr_schedule(1.0)) == (shipped["gamma"], shipped["learning_rate"])
        assert model.observation_space.shape == {"HandRefine-v0": (6,), "HandSchedule-v0": (14,)}[environment]
        assert model.policy.net_arch == shipped["policy_kwargs"]["net_arch"]
        assert all(weight.isfinite().all() for weight in model.policy.parameters())
