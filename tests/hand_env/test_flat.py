"""The flat view of HandLatent-v0, for algorithms whose networks take (B * D,) alone."""

import copy
import warnings

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from stable_baselines3 import SAC
from stable_baselines3.common.env_checker import check_env as check_env_for_sb3

from hand_env import HandLatentEnv, HandLatentVectorEnv, HandScheduleEnv

UNBOUNDED = "A Box observation space (minimum|maximum) value is -?infinity"
B, D = 4, 6


def actions(n=6):
    return np.random.default_rng(0).uniform(-1, 1, (n, B, D)).astype(np.float32)


def test_the_episode_is_the_same_bit_for_bit_but_for_its_shape(make_env):
    rows, flat = make_env(), make_env(flat=True)
    assert flat.observation_space == gym.spaces.Box(-np.inf, np.inf, (B * D,), np.float32)
    assert flat.action_space == gym.spaces.Box(-1.0, 1.0, (B * D,), np.float32)
    (expected, info), (observation, flat_info) = rows.reset(seed=3), flat.reset(seed=3)
    for action in actions():
        assert np.array_equal(observation, expected.reshape(-1))
        assert flat_info == info
        expected, *rest, info = rows.step(action)
        observation, *flat_rest, flat_info = flat.step(action.reshape(-1))
        assert flat_rest == rest
    again, _ = flat.reset(options={"state": rows.state_dict()})  # a state does not depend on the view
    assert np.array_equal(again, expected.reshape(-1))


def test_an_observation_is_new_each_time(make_env):
    env = make_env(flat=True)
    first = env.reset(seed=0)[0]
    kept = first.copy()
    env.step(actions()[0].reshape(-1))
    assert np.array_equal(first, kept)


def test_divergence_gives_zeros_of_its_shape(make_env):
    env = make_env(flat=True)
    env.reset(seed=0)
    next(env.trainer.vae.decoder.parameters()).data.fill_(float("nan"))
    observation, _, terminated, *_ = env.step(actions()[0].reshape(-1))
    assert terminated
    assert np.array_equal(observation, np.zeros(B * D, np.float32))


def test_an_action_of_rows_is_refused(make_env):
    env = make_env(flat=True)
    env.reset(seed=0)
    with pytest.raises(ValueError, match=r"action must have shape \(24,\), got \(4, 6\)"):
        env.step(actions()[0])


def test_both_checkers_and_sac_have_no_warning_but_the_inherent_one(make_env):
    settings = {"latent_dim": D, "batch_size": B, "epochs_per_episode": 3, "n_images": 8, "flat": True}
    check_env_for_sb3(make_env(flat=True))
    env = make_env(flat=True, render_mode="rgb_array")
    env.spec = copy.deepcopy(gym.spec("HandLatent-v0"))
    env.spec.kwargs = settings
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=f".*{UNBOUNDED}")
        check_env(env)
    agent = SAC("MlpPolicy", gym.make("HandLatent-v0", **settings), learning_starts=4, batch_size=4, buffer_size=50)
    assert agent.learn(6)._n_updates == 2


def test_rows_are_flat_with_it_and_without(tiny_images, quick_vae):
    settings = {"images": tiny_images, "vae": quick_vae}
    plain, flat = (HandLatentVectorEnv(B, flat=flat, **settings) for flat in (False, True))
    assert flat.action_space == plain.action_space
    assert np.array_equal(flat.reset(seed=0)[0], plain.reset(seed=0)[0])


@pytest.mark.parametrize("make", [HandLatentEnv, HandLatentVectorEnv])
def test_flat_is_true_or_false(make):
    with pytest.raises(TypeError, match="flat must be True or False, got 1"):
        make(flat=1)


@pytest.mark.parametrize(("make", "default"), [(HandLatentEnv, 4), (HandScheduleEnv, 16)])
def test_minibatch_size_is_another_name_for_batch_size(tiny_images, make, default):
    def size(**settings):
        env = make(tiny_images, latent_dim=3, **settings)
        return getattr(env, "env", env).training.batch_size

    assert (size(), size(batch_size=5), size(minibatch_size=5)) == (default, 5, 5)
    with pytest.raises(ValueError, match=r"batch_size and minibatch_size mean the same, got 5 and 5\. Leave one out"):
        size(batch_size=5, minibatch_size=5)
    with pytest.raises(ValueError, match="minibatch_size must be at most the number of training images, 20, got 21"):
        size(minibatch_size=21)


@pytest.mark.parametrize("name", ["batch_size", "minibatch_size"])
def test_rows_take_neither_name(name):
    with pytest.raises(ValueError, match=f"{name} must be left out: the batch is num_envs=3 rows"):
        HandLatentVectorEnv(3, **{name: 3})
