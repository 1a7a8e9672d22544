"""The commands of rl_zoo3, as docs/libraries.md has them, in a process of their own."""

import importlib.util
import itertools
import json
import os
import shlex
import subprocess
import sys
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
    pytest.mark.slow(seconds=25),
    pytest.mark.skipif(importlib.util.find_spec("rl_zoo3") is None, reason="`make test` installs the extra zoo"),
]


RUN_EACH = """
import json
import runpy
import sys

for module, *words in json.loads(sys.argv[1]):
    print("Running", module)
    sys.argv = [module, *words]
    runpy.run_module(module, run_name="__main__")
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


@pytest.fixture
def zoo(tmp_path):
    """A function that runs commands of the zoo, one after another, in a process that imports it once, for seconds.

    They can name the package `narrow`: VAEs as in this process.
    """
    (tmp_path / "narrow.py").write_text(f"from vae import model\nmodel._CHANNELS.update({model._CHANNELS!r})\n")
    (tmp_path / "my_hands.py").write_text(MY_HANDS)  # as docs/libraries.md names a trained VAE

    def run(commands):
        path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path}
        words = [sys.executable, "-W", "ignore", "-c", RUN_EACH, json.dumps(commands)]
        done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
        return done.stdout.split("Running ")[1:]

    return run


def test_the_zoo_trains_evaluates_plays_back_and_takes_the_settings_shipped_for_each_algorithm(zoo, tmp_path):
    python, minus_m, *command = shlex.split(COMMAND)
    assert (python, minus_m) == ("python", "-m")
    shorter = f"-n 120 --eval-freq 60 --eval-episodes 1 --seed 0 --device cpu --log-folder {tmp_path} {TINY}"
    train = [*command, "--gym-packages", "narrow", "hand_env", *shlex.split(shorter)]
    enjoy = "rl_zoo3.enjoy --algo sac --env HandLatent-v0 --gym-packages narrow hand_env"
    played = shlex.split(f"{enjoy} -f {tmp_path} --no-render -n 20 --device cpu")
    pairs = list(itertools.product(FEW, ALGORITHMS))
    each = [["rl_zoo3.train", *few(environment, name, tmp_path)] for environment, name in pairs]
    _, said, *_ = zoo([train, played, *each])
    assert said.count("Episode Length 6") == 3
    check_the_training_of_the_page(tmp_path / "sac" / "HandLatent-v0_1")
    for environment, name in pairs:
        check_the_settings(name, environment, tmp_path / name / f"{environment}_1" / f"{environment}.zip")


def check_the_training_of_the_page(folder):
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


def check_the_settings(name, environment, path):
    model: Any = ALGORITHMS[name].load(path)
    shipped = yaml.safe_load((ROOT / "examples" / f"rl_zoo3_{name}.yml").read_text(encoding="utf-8"))[environment]
    assert model.num_timesteps == 8
    assert model._n_updates > 0
    assert (model.gamma, model.lr_schedule(1.0)) == (shipped["gamma"], shipped["learning_rate"])
    assert model.observation_space.shape == {"HandRefine-v0": (6,), "HandSchedule-v0": (14,)}[environment]
    assert model.policy.net_arch == shipped["policy_kwargs"]["net_arch"]
    assert all(weight.isfinite().all() for weight in model.policy.parameters())
