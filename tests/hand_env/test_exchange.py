"""Observations and actions may be tensors; the episode is the same, bit for bit on the CPU."""

import gymnasium as gym
import numpy as np
import pytest
import torch

from hand_env import HandLatentVectorEnv
from hand_env.checks import check_action, check_action_tensor
from hand_env.exchange import all_finite

B, D, STEPS = 4, 6, 15  # three epochs of five minibatches
GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
DEVICES = ["cpu", pytest.param("cuda", marks=GPU)]


@pytest.fixture
def make_rows(tiny_images):
    def make(device="cpu", **settings):
        settings = {"latent_dim": D, "epochs_per_episode": 3, "autoreset_mode": "SameStep", **settings}
        return HandLatentVectorEnv(B, images=tiny_images, device=device, **settings)

    return make


def actions(seed=0, n=STEPS):
    return np.random.default_rng(seed).uniform(-1, 1, (n, B, D)).astype(np.float32)


@pytest.mark.parametrize("device", DEVICES)
def test_tensors_are_what_arrays_are_on_a_gpu_too(make_rows, device):
    frozen = {"learning_rate": 0.0}
    plain, rows = make_rows(device, training=frozen), make_rows(device, tensors=True, training=frozen)
    same = {"rtol": 0, "atol": 0} if device == "cpu" else {"rtol": 0.02, "atol": 0.02}  # a GPU chooses other kernels
    (expected, _), (observed, _) = plain.reset(seed=7), rows.reset(seed=7)
    for action in actions():
        assert (type(observed), observed.device.type, observed.dtype) == (torch.Tensor, device, torch.float32)
        torch.testing.assert_close(observed.cpu(), torch.from_numpy(expected), **same)
        expected, paid, *_, known = plain.step(action)
        observed, rewards, *_, infos = rows.step(torch.from_numpy(action).to(device))
        np.testing.assert_allclose(infos["loss_nats"], known["loss_nats"], rtol=same["rtol"])
        np.testing.assert_allclose(rewards, paid, rtol=same["rtol"], atol=10 * same["atol"])
    last = torch.stack(list(infos["final_obs"])).cpu()
    torch.testing.assert_close(last, torch.tensor(np.stack(known["final_obs"])), **same)


def test_the_vae_is_the_same_whatever_the_actions_are(make_rows):
    vaes = []
    for as_given in (np.asarray, torch.tensor, lambda action: torch.tensor(action).double().requires_grad_()):
        rows = make_rows(tensors=True, delta_scale=0.3, epochs_per_episode=4)
        rows.reset(seed=1)
        for action in actions():
            rows.step(as_given(action))
        vaes.append(rows.env.trainer.vae)
    for weights in zip(*(vae.parameters() for vae in vaes), strict=True):
        assert all(torch.equal(weights[0], other) for other in weights[1:])


def test_an_observation_is_the_caller_s_own(make_env):
    env = make_env(tensors=True)
    observed, _ = env.reset(seed=0)
    before = observed.clone()
    observed.fill_(9.0)
    assert torch.equal(env.trainer.encode(), before)


def test_a_flat_observation_is_a_flat_tensor(make_env):
    observed, _ = make_env(tensors=True, flat=True).reset(seed=0)
    assert observed.shape == (4 * 6,)


def test_divergence_gives_a_tensor_of_zeros(make_env):
    env = make_env(tensors=True)
    env.reset(seed=0)
    next(env.trainer.vae.decoder.parameters()).data.fill_(torch.nan)
    observed, reward, terminated, *_ = env.step(np.zeros((4, 6), np.float32))
    assert terminated
    assert reward == env.DIVERGENCE_REWARD
    assert torch.equal(observed, torch.zeros(4, 6))


def test_what_is_not_finite_is_found_in_arrays_and_tensors():
    for number in (np.nan, np.inf):
        assert not all_finite(np.array([0.0, number]))
        assert not all_finite(torch.tensor([0.0, number]))
    assert all_finite(np.zeros(2))
    assert all_finite(torch.zeros(2))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        (torch.full((4, 6), torch.nan), ValueError, r"action must be finite and lie in \[-1, 1\], got .*nan"),
        (torch.full((4, 6), -torch.inf), ValueError, r"action must be finite and lie in \[-1, 1\], got .*-inf"),
        (torch.full((4, 6), 1.5), ValueError, r"action must be finite and lie in \[-1, 1\], got .*1.5.* Clip it with"),
        (torch.full((4, 6), 2), ValueError, r"action must be finite and lie in \[-1, 1\], got .*2"),
        (torch.zeros(4, 5), ValueError, r"action must have shape \(4, 6\), got \(4, 5\)"),
        (torch.zeros(4, 6, dtype=torch.complex64), TypeError, "action must be an array of numbers, got .*complex64"),
    ],
)
def test_a_wrong_tensor_on_a_gpu_is_refused_like_a_wrong_array(device, wrong, error, message):
    with pytest.raises(error, match=message):
        check_action_tensor(wrong.to(device), (4, 6))
    with pytest.raises(error, match=message):
        check_action(wrong, (4, 6))


def test_a_checked_tensor_is_float32_and_has_no_graph():
    for kind in (torch.float64, torch.float16, torch.int64, torch.bool):
        checked = check_action_tensor(torch.ones(2, 3, dtype=kind), (2, 3))
        assert torch.equal(checked, torch.ones(2, 3))
        assert checked.dtype == torch.float32
    assert not check_action_tensor(torch.ones(2, requires_grad=True), (2,)).requires_grad
    with pytest.raises(ValueError, match=r"\[-1, 1\]"):
        check_action_tensor(torch.tensor([1 + 1e-12], dtype=torch.float64), (1,))


def test_tensors_is_true_or_false(make_env):
    with pytest.raises(TypeError, match="tensors must be True or False, got 'yes'"):
        make_env(tensors="yes")


def test_gymnasium_makes_rows_of_tensors(tiny_images):
    rows = gym.make_vec("hand_env:HandLatent-v0", num_envs=B, images=tiny_images, latent_dim=D, tensors=True)
    assert isinstance(rows.reset(seed=0)[0], torch.Tensor)
