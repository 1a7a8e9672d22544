"""An episode is the same in another process, bit for bit."""

import contextlib
import io
import subprocess
import sys

import pytest
import torch

SCRIPT = """
import hashlib, torch, numpy as np, gymnasium as gym, hand_env
torch.set_num_threads(1)

def play(env, seeds):
    digest = hashlib.sha256()
    observation, _ = env.reset(seed=3)
    for seed in seeds:
        digest.update(observation.tobytes())
        action = np.random.default_rng(seed).uniform(-1, 1, env.action_space.shape).astype(np.float32)
        observation, reward, *_ = env.step(action)
        digest.update(np.float64(np.mean(reward) if env.spec.id == "HandLatent-v0" else reward).tobytes())
    print(digest.hexdigest())

settings = {"n_images": 9, "latent_dim": 5, "epochs_per_episode": 2}
play(gym.make("HandLatent-v0", batch_size=4, **settings), range(6))
play(gym.make_vec("HandLatent-v0", num_envs=4, **settings), range(6))
settings = {"judge": lambda pictures: pictures.mean((1, 2, 3)), "steps_per_episode": 2}
play(gym.make("HandRefine-v0", **settings), range(2))
play(gym.make_vec("HandRefine-v0", num_envs=3, **settings), range(2))
"""


@pytest.mark.slow
@pytest.mark.usefixtures("real_channels")
def test_two_processes_run_the_same_episodes_bit_for_bit_in_both_forms():
    other = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True)
    threads = torch.get_num_threads()
    with contextlib.redirect_stdout(io.StringIO()) as here:  # this process, whose random states other tests have moved
        exec(SCRIPT, {})
    torch.set_num_threads(threads)
    assert other.stderr == ""
    assert here.getvalue() == other.stdout
    latent, rows, *refined = other.stdout.split()
    assert latent == rows
    assert len(refined) == 2
