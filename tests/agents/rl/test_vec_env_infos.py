"""Infos that an environment writes to the same memory at each step."""

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from agents.rl.vec_env import GymnasiumVecEnv


class OneInfo(VectorEnv):
    """Write infos to the same memory at each step."""

    metadata = {"autoreset_mode": AutoresetMode.SAME_STEP}  # noqa: RUF012 - Gymnasium declares it so

    def __init__(self):
        self.num_envs, self.single_observation_space, self.single_action_space = 2, *[gym.spaces.Box(-1, 1, (1,))] * 2
        self.observation_space = self.action_space = batch_space(self.single_action_space, 2)
        self.places = np.zeros((2, 2))

    def reset(self, *, seed=None, options=None):
        return np.zeros((2, 1), np.float32), {}

    def step(self, actions):
        self.places += 1
        nothing = np.zeros(2, bool)
        return np.zeros((2, 1), np.float32), np.zeros(2), nothing, nothing, {"place": self.places}


def test_an_info_does_not_change_at_the_next_step():
    env = GymnasiumVecEnv(OneInfo())
    env.reset()
    first = env.step(np.zeros((2, 1)))[3]
    env.step(np.zeros((2, 1)))
    assert first[0]["place"].tolist() == [1, 1]
