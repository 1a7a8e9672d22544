import json
import pickle

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from agents import GymnasiumVecEnv
from hand_env import HandRefineVectorEnv
from vae import VAEConfig, build_vae
from vae.checkpoint import load_checkpoint, save_checkpoint

B, D = 4, 6
MODES = [mode.value for mode in AutoresetMode]


def actions(seed=0, n=1):
    return np.random.default_rng(seed).uniform(-1, 1, (n, B, D)).astype(np.float32)


def assert_same(single, rows):
    """Compare nested infos; scores differ by rounding, since batches of other sizes are added up in another order."""
    assert set(single) == set(rows)
    for name, value in single.items():
        if isinstance(value, dict):
            assert_same(value, rows[name])
        elif name == "final_obs":
            for a, b in zip(value, rows[name], strict=True):
                assert (a is None and b is None) or np.array_equal(a, b)
        else:
            assert rows[name] == pytest.approx(value, abs=1e-6), name


@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("mode", MODES)
def test_the_rows_are_as_many_single_forms_in_gymnasium_s_own_vector_environment(
    make_refine, make_refine_rows, mode, steps
):
    sync = SyncVectorEnv([lambda: make_refine(steps_per_episode=steps)] * B, autoreset_mode=mode)
    rows = make_refine_rows(B, steps_per_episode=steps, autoreset_mode=mode)
    assert rows.observation_space == sync.observation_space
    assert rows.metadata == sync.metadata
    for a, b in zip(sync.reset(seed=7), rows.reset(seed=7), strict=True):
        assert_same(a, b) if isinstance(a, dict) else np.testing.assert_array_equal(a, b)
    assert rows.np_random_seed == sync.np_random_seed == (7, 8, 9, 10)
    for number, action in enumerate(actions(n=9)):
        observation, reward, terminated, truncated, info = sync.step(action)
        observations, rewards, terminations, truncations, infos = rows.step(action)
        assert np.array_equal(observation, observations)
        assert rewards == pytest.approx(reward, abs=1e-6)
        assert rewards.dtype == reward.dtype
        assert np.array_equal(terminated, terminations)
        assert np.array_equal(truncated, truncations)
        assert_same(info, infos)
        if number == 3 and mode != "Disabled":  # rows that no longer end together
            terminated = np.array([True, False, True, False])
        elif mode != "Disabled" or not terminated.any():
            continue
        for a, b in zip(*(env.reset(options={"reset_mask": terminated}) for env in (sync, rows)), strict=True):
            assert_same(a, b) if isinstance(a, dict) else np.testing.assert_array_equal(a, b)


def test_a_row_is_the_single_form_with_the_same_latent(make_refine, make_refine_rows):
    single, rows = make_refine(), make_refine_rows(B)
    latents, _ = rows.reset(seed=20)
    corrected, rewards, *_, infos = rows.step(actions()[0])
    for row in range(B):
        assert np.array_equal(single.reset(seed=20 + row)[0], latents[row])
        observation, reward, *_, info = single.step(actions()[0][row])
        assert np.array_equal(observation, corrected[row])
        assert reward == pytest.approx(rewards[row], abs=1e-6)
        assert info["score_after"] == pytest.approx(infos["score_after"][row], abs=1e-6)


def test_all_rows_are_judged_in_one_batch(make_refine_rows):
    sizes = []

    def judge(pictures):
        sizes.append(len(pictures))
        return pictures.mean((1, 2, 3))

    env = make_refine_rows(B, judge=judge, autoreset_mode="SameStep")
    env.reset(seed=0)
    env.step(actions()[0])
    assert sizes == [B, B, B]  # drawn; corrected; drawn again


class Knows:
    """A sampler that knows the scores of some of its latents: 0.25 for those with a first number above 0."""

    def sample(self, n, seed):
        return torch.randn(n, D, generator=torch.Generator().manual_seed(seed))

    def scores(self, latents):
        return np.where(latents[:, 0] > 0, 0.25, np.nan)


@pytest.mark.parametrize("mode", MODES)
def test_what_the_sampler_knows_is_not_judged(make_refine, make_refine_rows, mode):
    def judge(pictures):
        judged.append(len(pictures))
        return np.full(len(pictures), 0.5)

    judged = list[int]()
    rows = make_refine_rows(B, judge=judge, sampler=Knows(), autoreset_mode=mode)
    seen, infos = rows.reset(seed=1)
    known = seen[:, 0] > 0
    assert 0 < known.sum() < B
    assert judged == [B - known.sum()]
    expected = np.where(known, 0.25, 0.5)
    assert np.array_equal(infos["score_before"], expected)
    rewards = rows.step(actions()[0])[1]
    assert np.array_equal(rewards, 0.5 - expected)
    alone = make_refine(judge=judge, sampler=Knows())
    for row in range(B):
        assert alone.reset(seed=1 + row)[1]["score_after"] == expected[row]


def test_zeros_are_paid_exactly_nothing(make_refine_rows):
    env = make_refine_rows()
    env.reset(seed=0)
    assert env.step(np.zeros((B, D), np.float32))[1].tolist() == [0.0] * B


def test_a_list_of_seeds_seeds_each_row(make_refine_rows):
    env = make_refine_rows(2)
    one, other = env.reset(seed=[5, 9])[0]
    assert np.array_equal(env.reset(seed=np.int64(5))[0][0], one)
    assert np.array_equal(env.reset(seed=[9, None])[0][0], other)


def test_make_vec_gives_the_rows_and_a_spec_that_makes_them_again_also_through_json():
    env = gym.make_vec("HandRefine-v0", num_envs=3, delta_scale=0.5, autoreset_mode="SameStep")
    assert isinstance(env, HandRefineVectorEnv)
    assert env.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    assert json.loads(env.spec.to_json())["kwargs"]["autoreset_mode"] == "SameStep"
    again = gym.make_vec(gym.envs.registration.EnvSpec.from_json(env.spec.to_json()))
    assert isinstance(again, HandRefineVectorEnv)
    assert (again.num_envs, again.autoreset_mode) == (3, AutoresetMode.SAME_STEP)
    assert again.env.delta_scale == 0.5


def test_make_vec_in_sync_mode_gives_the_same_latents(make_refine_rows):
    vae = build_vae(VAEConfig(32, D), seed=1)
    settings = {"vae": vae, "judge": lambda x: x.mean((1, 2, 3))}
    sync = gym.make_vec("HandRefine-v0", num_envs=2, vectorization_mode="sync", **settings)
    assert np.array_equal(sync.reset(seed=3)[0], make_refine_rows(2).reset(seed=3)[0])


@pytest.mark.parametrize("clone", ["pickle", "state"])
def test_a_copy_or_a_state_goes_on_where_it_was(tmp_path, clone):
    def make():
        vae = build_vae(VAEConfig(32, D), seed=1)
        return HandRefineVectorEnv(B, vae=vae, judge=np_brightness, steps_per_episode=2)

    env = make()
    env.reset(seed=0)
    env.step(actions()[0])
    if clone == "pickle":
        env.env.judge = None  # a test's function cannot be pickled
        other = pickle.loads(pickle.dumps(env))
        env.env.judge = other.env.judge = np_brightness
    else:
        other = make()
        other.reset(options={"state": load_checkpoint(save_checkpoint(tmp_path, 1, env.state_dict()))})
    for action in actions(1, n=4):  # across the end of the episode and the next one's start
        for a, b in zip(env.step(action)[:2], other.step(action)[:2], strict=True):
            assert np.array_equal(a, b)


def np_brightness(pictures):
    return pictures.mean((1, 2, 3)).numpy()


def test_stable_baselines3_is_told_that_the_last_step_is_terminal_and_what_was_seen_there(make_refine_rows):
    env = GymnasiumVecEnv(make_refine_rows(autoreset_mode="SameStep"))
    env.seed(0)
    first = env.reset()
    assert isinstance(first, np.ndarray)
    observations, _, dones, infos = env.step(actions()[0])
    assert dones.all()
    assert not np.array_equal(observations, first)
    for row, info in enumerate(infos):
        assert info["TimeLimit.truncated"] is False
        assert np.array_equal(info["terminal_observation"], first[row] + actions()[0][row])
        assert {"score_before", "score_after"} <= set(info)


def test_render_shows_each_row_before_and_after_also_when_the_step_has_reset_it(make_refine, make_refine_rows):
    single = make_refine(render_mode="rgb_array")
    for mode in MODES:
        rows = make_refine_rows(B, render_mode="rgb_array", autoreset_mode=mode)
        rows.reset(seed=0)
        rows.step(actions()[0])
        for row, frame in enumerate(rows.render()):
            single.reset(seed=row)
            single.step(actions()[0][row])
            assert np.array_equal(frame, single.render())
    rows.reset(options={"reset_mask": np.array([True, False, False, False])})
    top, bottom = rows.render()[0][2:34], rows.render()[0][36:68]
    assert np.array_equal(top, bottom)
    assert make_refine_rows().render() is None


def test_step_before_reset_after_close_and_after_the_end_raises(make_refine_rows):
    env = make_refine_rows(autoreset_mode="Disabled", render_mode="rgb_array")
    with pytest.raises(gym.error.ResetNeeded, match=r"Call reset\(\) first"):
        env.step(actions()[0])
    with pytest.raises(gym.error.ResetNeeded, match="every row needs an episode"):
        env.reset(options={"reset_mask": np.array([True, False, True, True])})
    env.reset(seed=0)
    env.step(actions()[0])
    env.reset(options={"reset_mask": np.array([True, False, True, False])})
    with pytest.raises(gym.error.ResetNeeded, match=r"rows \[1, 3\] have ended"):
        env.step(actions()[0])
    env.close()
    for call in (lambda: env.step(actions()[0]), env.render, env.state_dict):
        with pytest.raises(gym.error.ResetNeeded):
            call()
    env.reset(seed=0)
    env.step(actions()[0])
    env.close()
    assert env.closed


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (actions()[0][:3], r"action must have shape \(4, 6\), got \(3, 6\)"),
        (actions()[0] * np.nan, r"action must be finite and lie in \[-1, 1\], got .*nan"),
        (actions()[0] + 2, r"action must be finite and lie in \[-1, 1\], got"),
    ],
)
def test_a_wrong_action_raises_before_anything_happens(make_refine_rows, action, message):
    env = make_refine_rows()
    env.reset(seed=0)
    with pytest.raises(ValueError, match=message):
        env.step(action)
    assert env.state_dict()["left"].tolist() == [1] * B


def test_a_wrong_seed_or_mask_raises(make_refine_rows):
    env = make_refine_rows()
    env.reset(seed=0)
    with pytest.raises(ValueError, match=r"seed must be one number or one for each of 4 rows, got \[1, 2\]"):
        env.reset(seed=[1, 2])
    for mask in (np.array([True, False]), np.zeros(B, bool), np.ones(B)):
        with pytest.raises(ValueError, match="reset_mask must be 4 bool"):
            env.reset(options={"reset_mask": mask})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_envs": 0}, "num_envs must be at least 1, got 0"),
        ({"autoreset_mode": "Never"}, r"autoreset_mode must be one of 'NextStep', 'SameStep', 'Disabled'"),
        ({"delta_scale": -1.0}, "delta_scale must be a finite number above 0, got -1.0"),
    ],
)
def test_a_wrong_argument_raises(make_refine_rows, settings, message):
    with pytest.raises(ValueError, match=message):
        make_refine_rows(**settings)


def test_what_was_refused_can_be_closed():
    half_built = HandRefineVectorEnv.__new__(HandRefineVectorEnv)
    half_built.close()  # as Gymnasium 1.1 and 1.2 do when it is collected
    assert half_built.closed


def test_a_state_is_read_into_the_rows_of_the_mask_alone(make_refine_rows):
    rows = make_refine_rows()
    rows.reset(seed=7)
    state = rows.state_dict()
    other = make_refine_rows()
    before = other.reset(seed=50)[0]
    after, infos = other.reset(options={"state": state, "reset_mask": np.array([True, False, False, False])})
    assert np.array_equal(after[0], state["latents"][0])
    assert np.array_equal(after[1:], before[1:])
    assert infos["_score_before"].tolist() == [True, False, False, False]
    assert other.np_random_seed == (-1, 51, 52, 53)
    with pytest.raises(TypeError, match="seed must be an integer"):
        other.reset(seed=1.5, options={"state": state})


def test_a_state_is_a_copy_that_later_steps_leave_alone(make_refine_rows):
    rows = make_refine_rows(steps_per_episode=3)
    rows.reset(seed=0)
    state = rows.state_dict()
    first = [rows.step(action)[1].tolist() for action in actions(n=3)]
    rows.reset(options={"state": state})
    assert [rows.step(action)[1].tolist() for action in actions(n=3)] == first


def test_the_rows_beside_the_mask_keep_their_steps_when_a_state_is_read(make_refine_rows):
    rows, mask = make_refine_rows(steps_per_episode=3, autoreset_mode="Disabled"), np.array([True, False, False, False])
    rows.reset(seed=0)
    state = rows.state_dict()
    rows.step(actions()[0])
    observations, _ = rows.reset(options={"state": state, "reset_mask": mask})
    assert observations[:, -1] == pytest.approx([1, 2 / 3, 2 / 3, 2 / 3])


class OneBuffer:
    """Draws into the same memory each time."""

    def __init__(self):
        self.latents = torch.empty(1, D)

    def sample(self, n, seed):
        return self.latents.normal_(generator=torch.Generator().manual_seed(seed))


def test_a_sampler_may_draw_into_the_same_memory_each_time(make_refine_rows):
    observations, _ = make_refine_rows(sampler=OneBuffer()).reset(seed=0)
    assert len(np.unique(observations, axis=0)) == B


@pytest.mark.parametrize("seed", [np.array(3), torch.tensor(3), np.int64(3)])
def test_a_seed_may_be_any_integer(make_refine_rows, seed):
    assert np.array_equal(make_refine_rows().reset(seed=seed)[0], make_refine_rows().reset(seed=3)[0])


class Own:
    """A sampler that gives what it is told to."""

    def __init__(self, latents, scores=None):
        self.latents = latents
        if scores is not None:
            self.scores = scores

    def sample(self, n, seed):
        return self.latents


@pytest.mark.parametrize("make", ["make_refine", "make_refine_rows"])
def test_what_a_sampler_gives_is_checked_as_float32(make, request):
    make = request.getfixturevalue(make)
    one = torch.zeros(1, 6, dtype=torch.float64)
    with pytest.raises(ValueError, match="finite latents"):
        make(sampler=Own(one + 1e300)).reset(seed=0)
    for wrong in (np.inf, 0.5, [0.5] * 9):
        with pytest.raises(ValueError, match=r"sampler.scores\(latents\) must give"):
            make(sampler=Own(one, lambda latents, wrong=wrong: wrong)).reset(seed=0)
    make(sampler=Own(one.requires_grad_(), np.zeros(3))).reset(seed=0)  # `scores` is no function: not asked
