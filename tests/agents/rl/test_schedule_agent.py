import numpy as np
import pytest

from agents import GymnasiumVecEnv
from agents.rl.sac import SCHEDULE_SETTINGS, make_sac
from agents.rl.schedule_agent import explore, random_schedules

STEPS, ROWS = 5, 400


def schedules(seed=0, steps=STEPS, rows=ROWS):
    return random_schedules(steps, rows, np.random.default_rng(seed))


@pytest.fixture
def model_and_env(make_schedule_rows):
    env = make_schedule_rows(3, autoreset_mode="SameStep")
    model = make_sac(env, 0, **SCHEDULE_SETTINGS)
    wrapped = GymnasiumVecEnv(env)
    wrapped.seed(0)
    return model, wrapped


def test_schedules_have_an_action_for_each_decision_and_row():
    drawn = schedules()
    assert drawn.shape == (STEPS, ROWS, 3)
    assert drawn.dtype == np.float32
    assert -1 <= drawn.min() < -0.99
    assert 0.95 < drawn.max() <= 1
    assert schedules(steps=1).shape == (1, ROWS, 3)


def test_each_number_follows_a_line_about_half_of_which_are_level_or_means_none_of_it():
    drawn = schedules().astype(np.float64)
    slopes = np.diff(drawn, axis=0)
    np.testing.assert_allclose(slopes, np.broadcast_to(slopes[:1], slopes.shape), atol=1e-6)
    none = (drawn == -1).all(0)  # (ROWS, 3)
    assert none.mean() == pytest.approx(0.3, abs=0.05)
    assert (slopes[0][~none] == 0).mean() == pytest.approx(0.5, abs=0.05)
    assert {tuple(row) for row in none.tolist()} == {(a, b, c) for a in (0, 1) for b in (0, 1) for c in (0, 1)}


def test_the_generator_decides_the_schedules():
    assert np.array_equal(schedules(1), schedules(1))
    assert not np.array_equal(schedules(1), schedules(2))


def test_exploring_stores_each_step_and_at_an_episode_s_end_what_was_seen_last(model_and_env):
    model, env = model_and_env
    first, drawn = env.reset(), schedules(steps=3, rows=3)  # an episode has three stretches
    following, infos = explore(model, env, first, drawn)
    buffer = model.replay_buffer
    assert buffer.size() == 3
    assert np.array_equal(buffer.actions[:3], drawn)
    assert np.array_equal(buffer.observations[0], first)
    assert np.array_equal(buffer.observations[1:3], buffer.next_observations[:2])
    last = np.stack([info["terminal_observation"] for info in infos])
    assert np.array_equal(buffer.next_observations[2], last)
    assert (last[:, 0] == 1).all()  # all of the training is done
    assert (following[:, 0] == 0).all()  # the next episode's first observation, which is not stored
    assert buffer.dones[:3].tolist() == [[0] * 3, [0] * 3, [1] * 3]
    assert buffer.rewards[:3].all()
    assert all("drawn_wrong" in info for info in infos)


def test_the_end_of_a_training_counts_as_the_end_of_an_episode(model_and_env):
    """Its share that is done is seen, so nothing may be learned from the next episode's first observation."""
    model, env = model_and_env
    explore(model, env, env.reset(), schedules(steps=3, rows=3))
    sampled = model.replay_buffer.sample(64)
    ended = sampled.next_observations[:, 0] == 1
    assert ended.any()
    assert (sampled.dones[:, 0].bool() == ended).all()


def test_sac_learns_from_what_was_explored_alone(model_and_env):
    model, env = model_and_env
    explore(model, env, env.reset(), schedules(steps=3, rows=3))
    before = [parameter.detach().clone() for parameter in model.actor.parameters()]
    model.train(gradient_steps=1, batch_size=4)
    assert any((old != new).any() for old, new in zip(before, model.actor.parameters(), strict=True))
