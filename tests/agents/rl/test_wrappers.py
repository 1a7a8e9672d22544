"""Which of Gymnasium's vector wrappers go around our rows in which autoreset mode, as docs/libraries.md has it."""

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import vector as vector_envs
from gymnasium.wrappers import vector
from stable_baselines3 import SAC
from stable_baselines3.common.running_mean_std import RunningMeanStd
from stable_baselines3.common.vec_env import VecMonitor, VecNormalize

from agents import GymnasiumVecEnv

REFUSED = (ValueError, AssertionError)  # the second in Gymnasium 1.1, which gives no message
FEW = {"learning_starts": 8, "buffer_size": 50, "batch_size": 4}


@pytest.fixture
def make_rows(quick_vae, tiny_images):
    def make(mode):
        settings = {"vae": quick_vae, "images": tiny_images, "epochs_per_episode": 1}
        return gym.make_vec("HandLatent-v0", num_envs=4, autoreset_mode=mode, **settings)

    return make


def test_same_step_excludes_wrappers_of_observations(make_rows):
    for wrapper in (vector.NormalizeObservation, vector.FlattenObservation):
        with pytest.raises(REFUSED):
            wrapper(make_rows("SameStep"))


def test_disabled_takes_a_wrapper_of_observations_and_stable_baselines3_trains_on_it(make_rows):
    wrapped = vector.TransformObservation(make_rows("Disabled"), lambda seen: np.clip(seen, -0.5, 0.5))
    agent = SAC("MlpPolicy", GymnasiumVecEnv(wrapped), seed=0, **FEW)
    agent.learn(4 * 7)  # across the end of an episode of 5 steps
    assert agent._n_updates == 5  # after each step of four rows but the first two
    assert np.abs(agent.replay_buffer.next_observations[:7]).max() <= 0.5


def test_the_running_normalisation_of_observations_needs_next_step(make_rows):
    with pytest.raises(REFUSED):
        vector.NormalizeObservation(make_rows("Disabled"))
    env = vector.NormalizeObservation(make_rows("NextStep"))
    env.reset(seed=0)
    assert env.step(np.zeros((4, 4), np.float32))[0].std() > 0.5


@pytest.mark.parametrize("mode", ["SameStep", "Disabled"])
def test_vec_normalize_does_the_same_in_both_modes_that_stable_baselines3_takes(make_rows, mode):
    env = VecNormalize(GymnasiumVecEnv(make_rows(mode)))
    agent = SAC("MlpPolicy", env, seed=0, **FEW)
    agent.learn(4 * 7)
    assert isinstance(env.obs_rms, RunningMeanStd)
    assert env.obs_rms.count > 4 * 7
    assert agent._n_updates == 5  # after each step of four rows but the first two
    assert np.abs(env.normalize_obs(env.get_original_obs())).max() <= env.clip_obs


@pytest.mark.parametrize("mode", ["NextStep", "SameStep", "Disabled"])
def test_wrappers_of_rewards_and_actions_take_each_mode(make_rows, mode):
    env: Any = vector.RecordEpisodeStatistics(vector.NormalizeReward(vector.ClipAction(make_rows(mode))))
    env.reset(seed=0)
    for _ in range(5):
        *_, truncated, infos = env.step(np.full((4, 4), 3, np.float32))
    assert truncated.all()
    assert infos["episode"]["l"].tolist() == [5] * 4


@pytest.mark.parametrize("mode", ["SameStep", "Disabled"])
def test_episodes_are_counted_from_their_own_beginning_in_both_modes_that_stable_baselines3_takes(make_rows, mode):
    env = GymnasiumVecEnv(vector.RecordEpisodeStatistics(make_rows(mode)))
    env.reset()
    infos = [env.step(np.zeros((4, 4), np.float32))[3] for _ in range(10)]
    assert [[info["episode"]["l"] for info in infos[end]] for end in (4, 9)] == [[5] * 4] * 2


@pytest.mark.parametrize("mode", [vector_envs.AutoresetMode.SAME_STEP, vector_envs.AutoresetMode.DISABLED])
def test_vec_monitor_counts_episodes_of_several_lengths(mode):
    makes = [lambda steps=steps: gym.make("Pendulum-v1", max_episode_steps=steps) for steps in (2, 3)]
    env = VecMonitor(GymnasiumVecEnv(vector_envs.SyncVectorEnv(makes, autoreset_mode=mode)))
    env.reset()
    infos = [info for _ in range(6) for info in env.step(np.zeros((2, 1), np.float32))[3]]
    assert [info["episode"]["l"] for info in infos if "episode" in info] == [2, 3, 2, 2, 3]
