"""Environments in other processes, forked or new, are found, compute and end."""

import functools
import multiprocessing
import os
import subprocess
import sys
import time

import gymnasium as gym
import numpy as np
import pytest
from stable_baselines3.common.vec_env import SubprocVecEnv

SCRIPT = """
import multiprocessing, os, gymnasium as gym, numpy as np, torch
import torch._dynamo  # which each process would import at its first step

torch.set_num_threads(2)
settings = {"n_images": 8, "latent_dim": 4, "batch_size": 4}

def step(mode):
    envs = gym.make_vec("hand_env:HandLatent-v0", num_envs=2, vectorization_mode=mode, **settings)
    observations, _ = envs.reset(seed=0)
    envs.step(np.zeros(envs.action_space.shape, np.float32))
    print(*(child.pid for child in multiprocessing.active_children()), flush=True)
    return envs, observations

closed, observations = step("async")
assert np.allclose(observations, step("sync")[1], atol=1e-4)
closed.close()
assert multiprocessing.active_children() == []
assert torch.get_num_threads() == 2
killed = step("async")
os.kill(os.getpid(), 9)
"""


# On a busy machine, two threads that wait for each other by counting take up to ten times the CPU time.
TWO_THREADS = {"OMP_NUM_THREADS": "2", "OMP_WAIT_POLICY": "passive"}


def runs(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
        return file.read().rpartition(")")[2].split()[0] != "Z"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems do not fork by default")
def test_environments_in_forked_processes_compute_with_two_threads_and_none_stays_behind():
    """Neither when they are closed, nor when their process is killed."""
    environment = os.environ | TWO_THREADS
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SCRIPT],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert done.returncode == -9, done.stderr
    closed, again, killed = ([int(word) for word in line.split()] for line in done.stdout.splitlines())
    assert (len(closed), again, len(killed)) == (2, closed, 2)
    while any(map(runs, closed + killed)):  # pytest's own limit ends a test that waits in vain
        time.sleep(0.1)


LONG = [pytest.param(name, marks=pytest.mark.long) for name in ("HandLatent-v0", "HandSchedule-v0")]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["HandRefine-v0", *LONG])  # the others import what trains a VAE
def test_an_environment_is_found_in_a_process_that_has_not_imported_the_package(name, monkeypatch):
    for variable, value in TWO_THREADS.items():
        monkeypatch.setenv(variable, value)
    images = np.random.default_rng(0).integers(0, 256, (8, 3, 32, 32), np.uint8)
    settings = {"images": images, "batch_size": 4, "latent_dim": 4}
    if name == "HandRefine-v0":
        settings = {"judge": lambda pictures: pictures.mean((1, 2, 3))}
    envs = SubprocVecEnv([functools.partial(gym.make, f"hand_env:{name}", **settings)], start_method="spawn")
    envs.seed(0)
    first = np.asarray(envs.reset())
    observation, reward, *_ = envs.step(np.zeros((1, *(envs.action_space.shape or ())), np.float32))
    assert np.shape(observation) == first.shape
    assert np.isfinite(reward).all()
    workers = [worker.pid for worker in multiprocessing.active_children()]
    envs.close()
    assert workers
    assert not any(map(runs, workers))
