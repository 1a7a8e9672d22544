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


@pytest.mark.parametrize("kind", [None, np.float32, np.float64])
def test_on_a_cpu_the_weights_are_those_that_arrays_give(make_rows, kind):
    noise = None if kind is None else NormalActionNoise(np.zeros(D), np.full(D, 0.3), dtype=kind)
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


@pytest.mark.parametrize("shape", [(D, 4), (2 * D,), (2, 4, D), (3, D - 1)])
def test_a_tensor_of_another_shape_is_refused_like_an_array(make_rows, shape):
    model = make_sac(make_rows(), seed=0)
    for given in (torch.zeros(shape), np.zeros(shape, np.float32)):
        with pytest.raises(ValueError, match="Unexpected observation shape"):
            model.predict(given)


def test_what_learned_from_tensors_is_saved_and_read_without_them(make_rows, tmp_path):
    model = trained(make_rows(tensors=True), steps=40)
    model.save(tmp_path / "agent")
    for algorithm in (SAC, FastSAC):
        read = algorithm.load(tmp_path / "agent")
        assert torch.equal(read._last_obs, model._last_obs)  # one of a GPU would be left out
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

    def refused(*_):
        raise AssertionError("through the CPU")

    monkeypatch.setattr(torch.Tensor, "cpu", noted)
    monkeypatch.setattr("hand_env.exchange.to_host", refused)
    monkeypatch.setattr("hand_env.exchange.host_memory", refused)
    model.learn(40, reset_num_timesteps=False)
    assert model._last_obs.is_cuda
    assert moved
    assert (B, D) not in moved  # but the losses of the rows are
    stored = model.replay_buffer
    for row in range(stored.pos - 1):
        assert torch.equal(stored.next_observations[row], stored.observations[row + 1])


@pytest.mark.parametrize(
    ("of_env", "of_agent", "kwargs"),
    [
        ("cpu", "cpu", {}),
        pytest.param("cuda", "cpu", {}, marks=GPU),
        pytest.param("cuda", "cuda", {"optimizer_class": torch.optim.SGD}, marks=GPU),  # its replay buffer stays here
    ],
)
def test_tensors_on_a_gpu_come_to_a_replay_buffer_elsewhere(make_rows, of_env, of_agent, kwargs):
    rows, kwargs = make_rows(tensors=True, device=of_env), {"net_arch": [16], **kwargs}
    model = trained(rows, device=of_agent, policy_kwargs=kwargs)
    assert model._last_obs.device.type == of_env
    stored = model.replay_buffer
    for row in range(18):  # two episodes of ten steps
        assert np.array_equal(stored.next_observations[row], stored.observations[row + 1]) == (row != 9)
