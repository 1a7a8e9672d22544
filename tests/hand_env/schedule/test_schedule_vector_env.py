import functools
import pickle

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from agents import GymnasiumVecEnv
from hand_env import HandScheduleEnv, HandScheduleVectorEnv
from hand_env.drawn_score import wrong_together

K = 3
MODES = [mode.value for mode in AutoresetMode]


def actions(n=5, seed=0):
    return np.random.default_rng(seed).uniform(-1, 0.3, (n, K, 3)).astype(np.float32)


def assert_same(single, rows):
    """Compare nested infos and results bit for bit."""
    assert set(single) == set(rows)
    for name, value in single.items():
        if isinstance(value, dict):
            assert_same(value, rows[name])
        elif name == "final_obs":
            for a, b in zip(value, rows[name], strict=True):
                assert (a is None and b is None) or np.array_equal(a, b)
        else:
            assert np.array_equal(value, rows[name]), name


def diverge(env):
    next(env.env.trainer.vae.decoder.parameters()).data.fill_(float("nan"))


@pytest.mark.parametrize("mode", MODES)
def test_the_rows_are_single_forms_in_gymnasium_s_own_vector_environment_bit_for_bit(
    make_schedule, make_schedule_rows, mode
):
    sync = SyncVectorEnv([make_schedule] * K, autoreset_mode=mode)
    rows = make_schedule_rows(autoreset_mode=mode)
    assert rows.observation_space == sync.observation_space
    assert rows.action_space == sync.action_space
    assert rows.metadata == sync.metadata
    assert_same(dict(enumerate(sync.reset(seed=7))), dict(enumerate(rows.reset(seed=7))))
    assert rows.np_random_seed == sync.np_random_seed == (7, 8, 9)
    for number, action in enumerate(actions(6)):
        if number == 1:  # one row ends before the others
            for env in (sync.envs[1], rows.envs[1]):
                diverge(env)
        ours, theirs = rows.step(action), sync.step(action)
        assert_same(dict(enumerate(theirs)), dict(enumerate(ours)))
        assert [part.dtype for part in ours[:4]] == [part.dtype for part in theirs[:4]]
        ended = theirs[2] | theirs[3]
        assert number != 1 or ended.tolist() == [False, True, False]
        if mode == "Disabled" and ended.any():
            with pytest.raises(gym.error.ResetNeeded, match=r"The episodes of rows .* have ended"):
                rows.step(action)
            both = [env.reset(options={"reset_mask": ended.copy()}) for env in (sync, rows)]
            assert_same(dict(enumerate(both[0])), dict(enumerate(both[1])))


def test_a_row_is_the_single_form_of_its_own_seed_and_pictures(make_schedule, make_schedule_rows, tiny_images):
    sets = [tiny_images, tiny_images.flip(0), 255 - tiny_images]
    rows = make_schedule_rows(images=sets)
    observations, _ = rows.reset(seed=[4, 9, 4])
    results = [rows.step(action) for action in actions(3)]
    for row, (seed, images) in enumerate(zip((4, 9, 4), sets, strict=True)):
        single = make_schedule(images=images)
        assert np.array_equal(single.reset(seed=seed)[0], observations[row])
        for action, result in zip(actions(3), results, strict=True):
            observation, *rest, _ = single.step(action[row])
            assert np.array_equal(observation, result[0][row])
            assert rest == [column[row] for column in result[1:4]]
        pairs = zip(single.env.trainer.vae.parameters(), rows.envs[row].env.trainer.vae.parameters(), strict=True)
        assert all(torch.equal(a, b) for a, b in pairs)


def test_rows_pay_other_rewards_as_the_single_form(make_schedule, make_schedule_rows):
    rows, single = make_schedule_rows(reward="loss_change"), make_schedule(reward="loss_change")
    rows.reset(seed=1)
    single.reset(seed=2)
    for action in actions(2):
        assert rows.step(action)[1][1] == single.step(action[1])[1]


def test_make_vec_gives_the_rows_and_a_spec_that_makes_them_again_also_through_json():
    settings = {"n_images": 4, "batch_size": 2, "latent_dim": 3, "epochs_per_episode": 2, "reward": "loss_change"}
    env = gym.make_vec("HandSchedule-v0", num_envs=2, autoreset_mode="SameStep", **settings)
    assert isinstance(env, HandScheduleVectorEnv)
    assert env.envs[1].env.images is env.envs[0].env.images
    again = gym.make_vec(gym.envs.registration.EnvSpec.from_json(env.spec.to_json()))
    assert isinstance(again, HandScheduleVectorEnv)
    assert (again.num_envs, again.autoreset_mode) == (2, AutoresetMode.SAME_STEP)
    assert np.array_equal(again.reset(seed=0)[0], env.reset(seed=0)[0])


def test_a_state_continues_the_episodes_where_they_were(make_schedule_rows):
    whole, resumed = make_schedule_rows(), make_schedule_rows()
    whole.reset(seed=0)
    seen = whole.step(actions()[0])[0]
    state = whole.state_dict()
    expected = [whole.step(action) for action in actions()[1:4]]
    assert np.array_equal(resumed.reset(options={"state": state})[0], seen)
    for action, result in zip(actions()[1:4], expected, strict=True):
        assert_same(dict(enumerate(result)), dict(enumerate(resumed.step(action))))


def test_a_pickled_vector_environment_goes_on_where_it_was(tiny_images):
    judge = functools.partial(torch.mean, dim=(1, 2, 3))
    settings = {"latent_dim": 3, "batch_size": 2, "epochs_per_episode": 2, "epochs_per_step": 1, "n_drawn": 2}
    env = HandScheduleVectorEnv(2, images=tiny_images[:4], judge=judge, **settings)
    env.reset(seed=0)
    env.step(actions()[0, :2])
    again = pickle.loads(pickle.dumps(env))
    assert_same(dict(enumerate(env.step(actions()[1, :2]))), dict(enumerate(again.step(actions()[1, :2]))))


def test_stable_baselines3_sees_the_last_observation_and_what_was_truncated(make_schedule_rows):
    rows = make_schedule_rows(autoreset_mode="SameStep")
    env = GymnasiumVecEnv(rows)
    env.seed(0)
    env.reset()
    for action in actions(3):
        observations, _, dones, infos = env.step(action)
    assert dones.all()
    assert not np.asarray(observations)[:, 0].any()
    assert [info["terminal_observation"][0] for info in infos] == [1] * K
    assert [info["TimeLimit.truncated"] for info in infos] == [True] * K


def test_render_gives_a_grid_for_each_row_and_close_lets_go(make_schedule_rows):
    env = make_schedule_rows(render_mode="rgb_array")
    env.reset(seed=0)
    frames = env.render()
    assert len(frames) == K
    assert all(frame.shape == (4 * 34 + 2, 4 * 34 + 2, 3) for frame in frames)
    assert make_schedule_rows().render() is None
    env.close()
    with pytest.raises(gym.error.ResetNeeded, match=r"Call reset\(\) first"):
        env.step(actions()[0])
    half_built = HandScheduleVectorEnv.__new__(HandScheduleVectorEnv)
    half_built.close()  # as Gymnasium 1.1 and 1.2 do when it is collected
    assert half_built.closed


def test_a_wrong_argument_raises(make_schedule_rows, tiny_images):
    with pytest.raises(ValueError, match="num_envs must be at least 1, got 0"):
        make_schedule_rows(0)
    with pytest.raises(ValueError, match=r"images must be one set for all rows, or 3 sets of the same shape, got 2"):
        make_schedule_rows(images=[tiny_images, tiny_images])
    with pytest.raises(ValueError, match=r"3 sets of the same shape, got 3 of the shapes \[\(19,"):
        make_schedule_rows(images=[tiny_images, tiny_images, tiny_images[1:]])
    with pytest.raises(ValueError, match="autoreset_mode must be one of"):
        make_schedule_rows(autoreset_mode="Never")


def test_a_wrong_action_seed_or_mask_raises(make_schedule_rows):
    env = make_schedule_rows()
    with pytest.raises(gym.error.ResetNeeded, match="Call reset"):
        env.step(actions()[0])
    with pytest.raises(gym.error.ResetNeeded, match="every row needs an episode"):
        env.reset(options={"reset_mask": np.array([True, False, True])})
    with pytest.raises(ValueError, match=r"seed must be one number or one for each of 3 rows, got \[1, 2\]"):
        env.reset(seed=[1, 2])
    env.reset(seed=np.int64(3))
    with pytest.raises(ValueError, match="reset_mask must be 3 bool"):
        env.reset(options={"reset_mask": np.zeros(3, np.bool_)})
    with pytest.raises(ValueError, match=r"action must have shape \(3, 3\), got \(2, 3\)"):
        env.step(actions()[0][:2])


def test_rows_share_the_single_form_s_spaces(make_schedule_rows):
    env = make_schedule_rows()
    assert isinstance(env.envs[0], HandScheduleEnv)
    assert env.single_action_space.shape == (3,)
    assert env.observation_space.contains(env.reset(seed=0)[0])


def test_the_first_w_of_all_rows_that_are_reset_is_measured_together(make_schedule_rows, monkeypatch):
    measured = []

    def recorded(scores):
        measured.append(len(scores))
        return wrong_together(scores)

    monkeypatch.setattr("hand_env.schedule.schedule_vector_env.wrong_together", recorded)
    env = make_schedule_rows(autoreset_mode="SameStep")
    env.reset(seed=0)
    for action in actions(3):
        env.step(action)
    assert [rows for rows in measured if rows] == [K, K]
    assert [row.env.scorer.last_drawn for row in env.envs] == [row.env.drawn_score.wrong() for row in env.envs]
    env.reset(options={"state": env.state_dict()})
    assert measured[-1] == 0  # saved episodes keep theirs
    assert all(row.env.scorer.last_drawn is not None for row in env.envs)
