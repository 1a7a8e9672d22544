"""The command of rl_zoo3, as docs/algorithms.md has it, in a process of its own."""

import importlib.util
import os
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from stable_baselines3 import SAC

from agents import RowPolicy

ROOT = Path(__file__).parents[3]
COMMAND = next(
    line.strip()
    for line in (ROOT / "docs" / "algorithms.md").read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
    if line.startswith("python -m rl_zoo3.train")
)
TINY = "--env-kwargs n_images:8 latent_dim:6 epochs_per_episode:3"

pytestmark = [
    pytest.mark.slow,  # the zoo takes seconds to import
    pytest.mark.skipif(importlib.util.find_spec("rl_zoo3") is None, reason="`make test` installs the extra zoo"),
]


def zoo(command, *further):
    words = [sys.executable, *shlex.split(command)[1:], *further]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout


def test_the_zoo_trains_evaluates_and_plays_back(tmp_path):
    few = f"-n 180 --eval-freq 90 --eval-episodes 1 --seed 0 --device cpu --log-folder {tmp_path} {TINY}"
    zoo(COMMAND, *shlex.split(few))
    folder = tmp_path / "sac" / "HandLatent-v0_1"
    model = SAC.load(folder / "HandLatent-v0.zip")
    assert isinstance(model.policy, RowPolicy)
    assert model.num_timesteps == 180
    assert model._n_updates == (180 - 100) // 4
    assert all(weight.isfinite().all() for weight in model.policy.parameters())
    evaluations = np.load(folder / "evaluations.npz")
    assert evaluations["timesteps"].tolist() == [90, 180]
    assert (evaluations["ep_lengths"] == 6).all()
    assert np.isfinite(evaluations["results"]).all()
    assert len((folder / "0.monitor.csv").read_text().splitlines()) == 2 + 180 // 6
    said = zoo(
        "python -m rl_zoo3.enjoy --algo sac --env HandLatent-v0 --gym-packages hand_env",
        *shlex.split(f"-f {tmp_path} --no-render -n 20 --device cpu"),
    )
    assert said.count("Episode Length 6") == 3
