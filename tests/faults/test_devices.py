"""What was saved on a GPU is read on a machine without one.

Most machines that run tests have no GPU. There, a device that torch knows by name alone stands in for it. What lies
there when it is saved cannot be read again, unless the reader says to which device.
"""

import os
import subprocess
import sys
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import torch
from stable_baselines3 import SAC
from torch import serialization

from agents import RefinePolicy, RowPolicy, make_sac
from agents.rl.sac import load_learner, sac_state
from vae import VAEConfig, build_vae

SMALL = {"learning_starts": 4, "batch_size": 4, "gradient_steps": 1, "buffer_size": 50, "train_freq": 1}
SETTINGS = {"MlpPolicy": {"policy_kwargs": {"net_arch": [8]}}, RowPolicy: {}, RefinePolicy: {}}
ABSENT = "absent"
READ = """
import sys, numpy, torch
from stable_baselines3 import SAC
assert not torch.cuda.is_available()
action, _ = SAC.load(sys.argv[1]).predict(numpy.load(sys.argv[2]), deterministic=True)
numpy.save(sys.argv[2], action)
"""


def learned(policy, device="cpu"):
    """A SAC that has learned a little, and an observation."""
    vae = build_vae(VAEConfig(32, 4), seed=0)
    if policy is RowPolicy:
        pictures = np.random.default_rng(0).integers(0, 256, (8, 3, 32, 32), np.uint8)
        env = gym.make("hand_env:HandLatent-v0", images=pictures, vae=vae, batch_size=4, device=device)
    else:
        env = gym.make("hand_env:HandRefine-v0", vae=vae, judge=lambda shown: shown.mean((1, 2, 3)), device=device)
    model = make_sac(env, 0, device, policy, **{**SMALL, **SETTINGS[policy]}).learn(6)
    return model, np.random.default_rng(0).normal(size=env.observation_space.shape).astype(np.float32)


@pytest.fixture
def away():
    """A list: the tensors that are put into it lie on the absent device from then on."""
    there: list[torch.Tensor] = []

    def tag(storage):
        return ABSENT if storage.data_ptr() in {tensor.data_ptr() for tensor in there} - {0} else None

    def restore(storage, location):
        if location == ABSENT:
            raise RuntimeError("there is no such device")

    before = list(serialization._package_registry)
    serialization.register_package(-1, tag, restore)
    yield there
    serialization._package_registry[:] = before


def test_what_lies_on_the_stand_in_is_read_only_to_another_device(away, tmp_path):
    away.append(torch.ones(3))
    torch.save(away[0], tmp_path / "file")
    with pytest.raises(RuntimeError, match="there is no such device"):
        torch.load(tmp_path / "file")
    assert torch.equal(torch.load(tmp_path / "file", map_location="cpu"), torch.ones(3))


@pytest.mark.parametrize("policy", SETTINGS)
def test_an_agent_from_a_device_that_is_not_here_acts_as_it_did_there(policy, away, tmp_path):
    model, seen = learned(policy)
    action, _ = model.predict(seen, deterministic=True)
    away += [model.log_ent_coef, *model.policy.state_dict().values()]
    away += model.policy.sight.vae.state_dict().values() if policy is RefinePolicy else []
    model.save(tmp_path / "model")
    model.save_replay_buffer(tmp_path / "buffer")
    model.policy.save(tmp_path / "policy")
    agent = SAC.load(tmp_path / "model")
    agent.load_replay_buffer(tmp_path / "buffer")
    for loaded in (agent, type(model.policy).load(tmp_path / "policy")):
        assert np.allclose(loaded.predict(seen, deterministic=True)[0], action, atol=1e-4)  # on a GPU where one is here


def test_a_state_from_a_machine_of_several_gpus_is_read_on_one_with_fewer(monkeypatch):
    """Earlier versions kept the random states of all GPUs."""
    model, _ = learned("MlpPolicy")
    on_cpu, here, restored = sac_state(model), torch.device("cuda:0"), []
    states = {torch.device("cuda:0"): torch.zeros(16), torch.device("cuda:1"): torch.ones(16)}
    monkeypatch.setattr(torch.cuda, "get_rng_state", states.__getitem__)
    monkeypatch.setattr(torch.cuda, "set_rng_state", lambda state, device: restored.append((device, state.sum())))
    model.device = torch.device("cuda:1")
    on_second = sac_state(model)
    model.device = here
    of_all = {**on_second, "random": {**on_second["random"], "cuda": list(states.values())}}
    for state in (on_cpu, on_second, of_all):
        load_learner(model, state)
    assert restored == [(here, 16), (here, 0)]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@pytest.mark.parametrize("policy", SETTINGS)
def test_an_agent_from_a_gpu_acts_the_same_without_one(policy, tmp_path):
    model, seen = learned(policy, "cuda")
    model.save(tmp_path / "model.zip")
    np.save(tmp_path / "seen.npy", seen)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", READ, tmp_path / "model.zip", tmp_path / "seen.npy"],
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    expected, _ = model.predict(seen, deterministic=True)
    assert np.allclose(np.load(tmp_path / "seen.npy"), expected, atol=0.05)  # a GPU decodes in bfloat16
