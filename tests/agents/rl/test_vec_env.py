"""The adapter against Stable-Baselines3's own DummyVecEnv, and in real algorithms."""

import copy
import sys
from typing import Any

import cloudpickle
import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv
from gymnasium.wrappers.vector import ClipReward, RecordEpisodeStatistics
from stable_baselines3 import A2C, DQN, PPO, SAC
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecMonitor, VecNormalize

from agents.rl.vec_env import GymnasiumVecEnv, _rows

MODES = [AutoresetMode.SAME_STEP, AutoresetMode.DISABLED]


class Counter(gym.Env):
    """Observation (2,): the episode's number and its step. Ends after `lasts` steps, in the way it is told."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 7}  # noqa: RUF012 - Gymnasium declares it so

    def __init__(self, lasts=3, terminates=True, truncates=False, render_mode=None):
        self.observation_space = spaces.Box(-np.inf, np.inf, (2,), np.float32)
        self.action_space = spaces.Box(-1.0, 1.0, (1,), np.float32)
        self.lasts, self.terminates, self.truncates, self.render_mode = lasts, terminates, truncates, render_mode
        self.episode = 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.episode, self.count, self.options = self.episode + 1, 0, options
        return self.observe(), {"begins": self.episode}

    def step(self, action):
        self.count += 1
        ended = self.count == self.lasts
        info = {"count": self.count, "nested": {"action": float(action[0])}, "word": "x" * self.count}
        return self.observe(), 0.5, ended and self.terminates, ended and self.truncates, info

    def observe(self):
        return np.array([self.episode, self.count], np.float32)

    def double(self, number):
        return 2 * number * self.lasts

    def render(self):
        return np.full((4, 6, 3), self.lasts, np.uint8)


class Native(VectorEnv):
    """Rows of one environment, with no sub-environments behind them; both ends the same step for all."""

    def __init__(self, mode):
        self.metadata = {"autoreset_mode": mode}
        self.num_envs, self.count, self.level = 3, 0, 1
        self.single_observation_space, self.single_action_space = spaces.Discrete(9), spaces.Discrete(2)
        self.observations = np.zeros(3, np.int64)  # the same array every time
        self.reset_with = []

    def reset(self, *, seed=None, options=None):
        self.reset_with.append((seed, options))
        self.observations[:] = self.count = 0
        return self.observations, {"loss": 2.5}

    def step(self, actions):
        self.count += 1
        self.observations[:] = self.count
        ended = np.full(3, self.count == 2)
        infos: dict[str, Any] = {"loss": 0.5}
        if ended.any() and self.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP:
            final = {"final_obs": self.observations.copy(), "final_info": infos}
            self.observations[:] = self.count = 0
            infos = {**final, "loss": 2.5}
        return self.observations, np.ones(3), np.zeros(3, bool), ended, infos

    def ask(self, word):
        return word.upper()


def sync(*makers, mode=AutoresetMode.SAME_STEP):
    return GymnasiumVecEnv(SyncVectorEnv(list(makers), autoreset_mode=mode))


def three_ends(mode=AutoresetMode.SAME_STEP):
    """Row 0 terminates, row 1 is truncated, row 2 both at once."""
    return sync(
        lambda: Counter(3, True, False), lambda: Counter(4, False, True), lambda: Counter(5, True, True), mode=mode
    )


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("name", "limit"), [("CartPole-v1", 12), ("Pendulum-v1", 37)])
def test_it_does_what_dummy_vec_env_does(name, limit, mode):
    settings = {"max_episode_steps": limit}
    ours = GymnasiumVecEnv(
        gym.make_vec(name, 3, vectorization_mode="sync", vector_kwargs={"autoreset_mode": mode}, **settings)
    )
    theirs = DummyVecEnv([lambda: gym.make(name, **settings)] * 3)
    assert ours.seed(5) == theirs.seed(5)
    assert np.array_equal(ours.reset(), theirs.reset())
    ours.action_space.seed(0)
    ends = set()
    for _ in range(300):
        actions = np.array([ours.action_space.sample() for _ in range(3)])
        mine, other = ours.step(actions), theirs.step(actions)
        for a, b in zip(mine[:3], other[:3], strict=True):
            assert np.array_equal(a, b)
            assert a.dtype == b.dtype
        for a, b in zip(mine[3], other[3], strict=True):
            assert a.keys() == b.keys()
            assert a["TimeLimit.truncated"] is b["TimeLimit.truncated"]
            if "terminal_observation" in b:
                assert np.array_equal(a["terminal_observation"], b["terminal_observation"])
                ends.add(a["TimeLimit.truncated"])
    assert ends == ({True, False} if name == "CartPole-v1" else {True})
    ours.close()
    theirs.close()


@pytest.mark.parametrize("mode", MODES)
def test_infos_are_those_of_dummy_vec_env(mode):
    ours = three_ends(mode)
    theirs = DummyVecEnv(
        [lambda: Counter(3, True, False), lambda: Counter(4, False, True), lambda: Counter(5, True, True)]
    )
    ours.reset()
    theirs.reset()
    assert ours.reset_infos == theirs.reset_infos
    for step in range(30):
        actions = np.full((3, 1), step / 30, np.float32)
        mine, other = ours.step(actions)[3], theirs.step(actions)[3]
        for a, b in zip(mine, other, strict=True):
            finals = a.pop("terminal_observation", None), b.pop("terminal_observation", None)
            assert np.array_equal(*finals)
            assert a == b
        assert ours.reset_infos == theirs.reset_infos


@pytest.mark.parametrize("mode", MODES)
def test_sac_bootstraps_a_truncated_row_and_not_a_terminated_one(mode):
    model = SAC(
        "MlpPolicy", three_ends(mode), learning_starts=15, buffer_size=300, seed=0, policy_kwargs={"net_arch": [4]}
    )
    model.learn(3 * 10)
    buffer = model.replay_buffer
    assert buffer.handle_timeout_termination
    assert buffer.dones[:10].T.tolist() == [
        [0, 0, 1, 0, 0, 1, 0, 0, 1, 0],
        [0, 0, 0, 1, 0, 0, 0, 1, 0, 0],
        [0, 0, 0, 0, 1, 0, 0, 0, 0, 1],
    ]
    assert buffer.timeouts[:10].T.tolist() == [[0] * 10, [0, 0, 0, 1, 0, 0, 0, 1, 0, 0], [0] * 10]
    # what the target is built on: the last observation of the episode, not the first of the next
    assert buffer.next_observations[3, 1].tolist() == [1, 4]
    assert buffer.observations[4, 1].tolist() == [2, 0]
    assert buffer.next_observations[2, 0].tolist() == [1, 3]


@pytest.mark.parametrize("mode", MODES)
def test_ppo_bootstraps_a_truncated_row_and_not_a_terminated_one(mode):
    model = PPO(
        "MlpPolicy", three_ends(mode), n_steps=6, batch_size=18, learning_rate=0.0, n_epochs=1, gamma=0.9, seed=0
    )
    model.learn(18)
    with torch.no_grad():
        value = model.policy.predict_values(torch.tensor([[1.0, 4.0]])).item()  # as at collection: nothing is learned
    assert abs(value) > 1e-3
    expected = np.full((6, 3), 0.5)
    expected[3, 1] += 0.9 * value
    assert np.allclose(model.rollout_buffer.rewards, expected, atol=1e-6)


@pytest.mark.parametrize("mode", MODES)
def test_discrete_rows_of_a_native_vector_environment_train(mode):
    env = GymnasiumVecEnv(Native(mode))
    model = DQN("MlpPolicy", env, learning_starts=3, buffer_size=60, train_freq=1, policy_kwargs={"net_arch": [4]})
    model.learn(18)
    buffer = model.replay_buffer
    assert buffer.observations[:6, 0, 0].tolist() == [0, 1] * 3
    assert buffer.next_observations[:6, 0, 0].tolist() == [1, 2] * 3
    assert buffer.timeouts[:6].tolist() == [[0] * 3, [1] * 3] * 3
    A2C("MlpPolicy", env, n_steps=4).learn(12)


@pytest.mark.parametrize("mode", MODES)
def test_an_environment_s_buffers_are_not_shared_with_what_it_returned(mode):
    env = GymnasiumVecEnv(Native(mode))
    first = env.reset()
    second = env.step(np.zeros(3))[0]
    third, _, dones, infos = env.step(np.zeros(3))
    env.step(np.zeros(3))
    assert (first.tolist(), second.tolist(), third.tolist()) == ([0] * 3, [1] * 3, [0] * 3)
    assert dones.all()
    assert [info["terminal_observation"] for info in infos] == [2] * 3
    assert [info["loss"] for info in infos] == [0.5] * 3
    assert env.reset_infos == [{"loss": 2.5}] * 3


@pytest.mark.parametrize("mode", MODES)
def test_dict_observations(mode):
    def make():
        return gym.wrappers.TransformObservation(
            Counter(2),
            lambda o: {"episode": o[:1], "count": o[1:]},
            spaces.Dict({key: spaces.Box(-np.inf, np.inf, (1,), np.float32) for key in ("episode", "count")}),
        )

    env = sync(make, make, mode=mode)
    env.reset()
    env.step(np.zeros((2, 1)))
    observations, _, _, infos = env.step(np.zeros((2, 1)))
    assert observations["episode"].tolist() == [[2.0], [2.0]]
    assert infos[1]["terminal_observation"]["count"].tolist() == [2.0]
    PPO("MultiInputPolicy", env, n_steps=4, batch_size=8, n_epochs=1).learn(8)


def test_seed_and_options_are_used_once_and_as_gymnasium_takes_them():
    native = Native(AutoresetMode.SAME_STEP)
    env = GymnasiumVecEnv(native)
    env.seed(np.int64(7))
    env.set_options({"level": [1]})
    env.reset()
    env.reset()
    assert native.reset_with == [(7, {"level": [1]}), (None, None)]
    assert type(native.reset_with[0][0]) is int
    env.set_options([{"level": 1}, {"level": 1}, {"level": 2}])
    with pytest.raises(ValueError, match="options must be the same for every environment"):
        env.reset()
    sub = three_ends()
    sub.set_options({"level": 3})
    sub.reset()
    assert sub.get_attr("options") == [{"level": 3}] * 3


OPTIONS = {"start": np.arange(3), "state": [torch.zeros(2), ("a", None)]}


@pytest.mark.parametrize(
    "changed",
    [
        {"start": np.arange(4)},
        {"start": np.array([0, 1, 3])},
        {"start": 1},
        {"state": [torch.ones(2), ("a", None)]},
        {"state": [torch.zeros(2)]},
        {"state": [torch.zeros(2), ["a", None]]},
        {"level": 1},
    ],
    ids=str,
)
def test_options_may_hold_arrays_and_must_be_equal(changed):
    native = Native(AutoresetMode.SAME_STEP)
    env = GymnasiumVecEnv(native)
    env.set_options([copy.deepcopy(OPTIONS) for _ in range(3)])
    env.reset()
    assert native.reset_with[-1][1]["start"].tolist() == [0, 1, 2]
    env.set_options([copy.deepcopy(OPTIONS), copy.deepcopy(OPTIONS), {**copy.deepcopy(OPTIONS), **changed}])
    with pytest.raises(ValueError, match="options must be the same for every environment"):
        env.reset()


@pytest.mark.parametrize("number", [0, 2, 4])
def test_options_must_be_one_for_each_environment(number):
    env = GymnasiumVecEnv(Native(AutoresetMode.SAME_STEP))
    env.set_options([{"level": 1}] * number)
    with pytest.raises(ValueError, match=rf"or a list of 3, .* got {number} in a list\. Set one dict\."):
        env.reset()


def test_next_step_autoreset_is_refused_with_the_way_out():
    with pytest.raises(ValueError, match=r"got AutoresetMode\.NEXT_STEP\. Call .*vector_kwargs=.*SameStep"):
        GymnasiumVecEnv(gym.make_vec("CartPole-v1", 2, vectorization_mode="sync"))
    unnamed = Native(AutoresetMode.DISABLED)
    unnamed.metadata = {}
    with pytest.raises(ValueError, match="got None"):
        GymnasiumVecEnv(unnamed)
    with pytest.raises(TypeError, match=r"must be a gymnasium\.vector\.VectorEnv, got Counter"):
        GymnasiumVecEnv(Counter())


def test_a_same_step_environment_must_give_the_last_observation():
    native = Native(AutoresetMode.DISABLED)
    env = GymnasiumVecEnv(native)
    env._same_step = True
    env.reset()
    env.step(np.zeros(3))
    with pytest.raises(ValueError, match="gave no 'final_obs'"):
        env.step(np.zeros(3))


def test_attributes_and_methods_of_sub_environments():
    env = three_ends()
    assert env.get_attr("lasts") == [3, 4, 5]
    assert env.get_attr("double", 1)[0](1) == 8  # the method, not what it returns
    env.set_attr("lasts", 9, indices=[0, 2])
    assert env.env_method("double", 1, indices=[2, 1]) == [18, 8]
    assert env.has_attr("lasts")
    assert not env.has_attr("nothing")
    assert env.env_is_wrapped(Monitor) == [False] * 3
    assert sync(lambda: Monitor(Counter())).env_is_wrapped(Monitor) == [True]


def test_attributes_and_methods_of_a_native_vector_environment():
    native = Native(AutoresetMode.SAME_STEP)
    env = GymnasiumVecEnv(RecordEpisodeStatistics(native))
    assert env.get_attr("level", [0, 2]) == [1, 1]
    env.set_attr("level", 4)
    assert native.level == 4
    assert env.env_method("ask", "x", indices=0) == ["X"]
    assert not env.has_attr("nothing")
    assert env.env_is_wrapped(Monitor, [0]) == [False]
    with pytest.raises(ValueError, match=r"got indices \[1\]. Leave indices out, or"):
        env.set_attr("level", 5, indices=1)


@pytest.mark.slow  # processes have to start
def test_an_asynchronous_vector_environment():
    cloudpickle.register_pickle_by_value(sys.modules[__name__])  # the processes cannot import a test
    vector = gym.vector.AsyncVectorEnv([Counter, Counter], autoreset_mode=AutoresetMode.SAME_STEP, context="spawn")
    env = GymnasiumVecEnv(vector)
    env.reset()
    assert not env.has_attr("nothing")  # and the processes live on
    with pytest.raises(AttributeError, match="The sub-environments have no attribute 'nothing'"):
        env.env_method("nothing")
    assert env.env_is_wrapped(Monitor) == [False] * 2  # it cannot ask
    env.set_attr("lasts", 2)
    assert env.env_method("double", 1) == [4, 4]
    assert env.get_attr("count", 1) == [0]
    with pytest.raises(ValueError, match="Only all environments"):
        env.env_method("double", 1, indices=0)
    env.step(np.zeros((2, 1)))
    observations, _, dones, infos = env.step(np.zeros((2, 1)))
    assert dones.all()
    assert isinstance(observations, np.ndarray)
    assert observations[0].tolist() == [2, 0]
    assert infos[1]["terminal_observation"].tolist() == [1, 2]
    env.close()


def test_render_tiles_what_the_environments_show():
    env = sync(lambda: Counter(3, render_mode="rgb_array"), lambda: Counter(4, render_mode="rgb_array"))
    assert env.render_mode == "rgb_array"
    assert env.metadata["render_fps"] == 7
    assert [int(image.max()) for image in env.get_images()] == [3, 4]
    assert env.render().shape == (8, 6, 3)
    with pytest.warns(UserWarning, match="only 'rgb_array' gives images"):
        assert three_ends().get_images() == [None] * 3


def test_it_closes_the_vector_environment():
    env = three_ends()
    env.close()
    assert env.env.closed


@pytest.mark.parametrize("mode", MODES)
def test_monitor_normalize_and_evaluate_policy_work_on_it(mode):
    env = VecNormalize(VecMonitor(three_ends(mode)), norm_reward=False)
    model = PPO("MlpPolicy", env, n_steps=8, batch_size=24, n_epochs=1).learn(24)
    assert {episode["l"] for episode in model.ep_info_buffer} == {3, 4, 5}
    rewards, lengths = evaluate_policy(model, VecMonitor(three_ends(mode)), 6, return_episode_rewards=True)
    assert sorted(lengths) == [3, 3, 4, 4, 5, 5]
    assert sorted(rewards) == [1.5, 1.5, 2, 2, 2.5, 2.5]


def test_gymnasium_s_own_episode_statistics_reach_the_info():
    vector = SyncVectorEnv([lambda: Counter(2)] * 2, autoreset_mode=AutoresetMode.SAME_STEP)
    env = GymnasiumVecEnv(ClipReward(RecordEpisodeStatistics(vector), 0.0, 1.0))
    env.reset()
    env.step(np.zeros((2, 1)))
    infos = env.step(np.zeros((2, 1)))[3]
    assert [(info["episode"]["r"], info["episode"]["l"]) for info in infos] == [(1.0, 2)] * 2
    assert env.reset_infos == [{"begins": 2}] * 2


def test_rows_of_infos():
    infos = {
        "all": np.array([1, 2]),
        "some": np.array([3.0, 0.0]),
        "_some": np.array([True, False]),
        "nested": {"deep": np.array(["a", None]), "_deep": np.array([True, False])},
        "_nested": np.array([True, True]),
        "shared": 5,
        "goal": np.zeros(3),
        "_own": np.array([6, 7]),
    }
    first, second = _rows(infos, 2)
    assert np.array_equal(first.pop("goal"), second.pop("goal"))
    assert first == {"all": 1, "some": 3.0, "nested": {"deep": "a"}, "shared": 5, "_own": 6}
    assert second == {"all": 2, "nested": {}, "shared": 5, "_own": 7}
