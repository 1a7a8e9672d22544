"""FastSAC learns from observations that are tensors: the same numbers on a CPU, none through NumPy on a GPU."""

import numpy as np
import pytest
import torch
from stable_baselines3 import SAC
from stable_baselines3.common.noise import NormalActionNoise
from stable_baselines3.common.vec_env import VecMonitor

from agents import FastSAC, GymnasiumVecEnv, make_sac
from hand_env import HandLatentVectorEnv

B, D = 4, 6
GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


@pytest.fixture
def make_rows(tiny_images):
    def make(**settings):
        settings = {"latent_dim": D, "epochs_per_episode": 2, "autoreset_mode": "SameStep", **settings}
        return HandLatentVectorEnv(B, images=tiny_images, **settings)

    return make


def trained(env, steps=80, **settings):
    settings = {"learning_starts": 12, "batch_size": 8, "policy_kwargs": {"net_arch": [16, 16]}, **settings}
    return make_sac(env, seed=0, **settings).learn(steps)


@pytest.mark.parametrize("noise", [None, NormalActionNoise(np.zeros(D), np.full(D, 0.3))])
def test_on_a_cpu_the_weights_are_those_that_arrays_give(make_rows, noise):
    plain, own = (trained(make_rows(tensors=tensors), action_noise=noise) for tensors in (False, True))
    assert isinstance(own._last_obs, torch.Tensor)
    assert own.num_timesteps == 80  # two episodes of ten steps, and their ends
    for name in ("observations", "next_observations", "actions", "rewards", "dones"):
        assert np.array_equal(getattr(own.replay_buffer, name), getattr(plain.replay_buffer, name)), name
    for mine, other in zip(own.policy.parameters(), plain.policy.parameters(), strict=True):
        assert torch.equal(mine, other)


def test_actions_for_tensors_are_those_for_arrays(make_rows):
    model = trained(make_rows(), steps=40)
    seen = torch.randn(5, D, generator=torch.Generator().manual_seed(0))
    for given in (seen, seen[2]):
        actions, state = model.predict(given, deterministic=True)
        assert isinstance(actions, torch.Tensor)
        assert state is None
        assert np.array_equal(actions, model.predict(given.numpy(), deterministic=True)[0])


def test_what_learned_from_tensors_is_saved_and_read_without_them(make_rows, tmp_path):
    model = trained(make_rows(tensors=True), steps=40)
    model.save(tmp_path / "agent")
    for algorithm in (SAC, FastSAC):
        read = algorithm.load(tmp_path / "agent")
        assert read._last_obs is None
        for mine, other in zip(read.policy.parameters(), model.policy.parameters(), strict=True):
            assert torch.equal(mine, other)
    rows = VecMonitor(GymnasiumVecEnv(make_rows(tensors=True)))
    read = FastSAC.load(tmp_path / "agent", env=rows).learn(20, reset_num_timesteps=False)
    assert read.num_timesteps == 60


@GPU
def test_on_a_gpu_nothing_passes_through_the_cpu(make_rows, monkeypatch):
    rows, moved = make_rows(tensors=True, device="cuda", epochs_per_episode=20), []
    model = trained(rows, steps=40, device="cuda")
    real = torch.Tensor.cpu

    def noted(tensor):
        moved.append(tuple(tensor.shape))
        return real(tensor)

    monkeypatch.setattr(torch.Tensor, "cpu", noted)
    model.learn(40, reset_num_timesteps=False)
    assert model._last_obs.is_cuda
    assert moved
    assert (B, D) not in moved  # but the losses of the rows are
    stored = model.replay_buffer
    for row in range(stored.pos - 1):
        assert torch.equal(stored.next_observations[row], stored.observations[row + 1])


@GPU
@pytest.mark.parametrize(
    ("device", "kwargs"),
    [("cpu", {}), ("cuda", {"optimizer_class": torch.optim.SGD})],
    ids=["on the CPU", "in host memory"],
)
def test_tensors_on_a_gpu_come_to_a_replay_buffer_elsewhere(make_rows, device, kwargs):
    model = trained(make_rows(tensors=True, device="cuda"), device=device, policy_kwargs={"net_arch": [16], **kwargs})
    assert model._last_obs.is_cuda
    stored = model.replay_buffer
    assert np.array_equal(stored.observations[19], model._last_obs.cpu()) is False
    assert np.abs(stored.observations[:20]).min() > 0
