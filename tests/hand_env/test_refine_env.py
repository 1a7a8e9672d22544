import copy
import pickle
import warnings

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env
from stable_baselines3.common.env_checker import check_env as check_env_for_sb3

import hand_env.refinement
from hand_env import HandRefineEnv, LogitScore
from hand_env.refine_env import PLACEHOLDER
from hand_env.refinement import decode
from vae import VAE, Mixture, StandardNormal, VAEConfig, build_vae
from vae.checkpoint import load_checkpoint, save_checkpoint
from vae.images import to_uint8

D = 6
UNBOUNDED = "A Box observation space (minimum|maximum) value is -?infinity"  # inherent: nothing bounds a latent
ZEROS = np.zeros(D, np.float32)


def episode(env, seed=0):
    """Step through one episode with uniform actions from a seed."""
    rng = np.random.default_rng(seed)
    observation, info = env.reset(seed=seed)
    steps = [(observation, 0.0, False, False, info)]
    while not steps[-1][2]:
        steps.append(env.step(rng.uniform(-1, 1, D).astype(np.float32)))
    return steps


class FakeJudge:
    """Stands in for the package's judge, whose weights no test needs."""

    def score(self, pictures):
        return pictures.mean((1, 2, 3))


@pytest.fixture
def fake_judge(monkeypatch):
    asked = []

    def fake(make, device):
        asked.append((make, device))
        return FakeJudge()

    monkeypatch.setattr(hand_env.refinement, "default_judge", fake)
    return asked


@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.usefixtures("fake_judge")
def test_both_checkers_pass_with_no_warning_but_the_inherent_one(steps):
    env = gym.make("HandRefine-v0", steps_per_episode=steps, render_mode="rgb_array").unwrapped
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=f".*{UNBOUNDED}")
        check_env(env)
    check_env_for_sb3(env)


@pytest.mark.parametrize("name", ["HandRefine-v0", "hand_env:HandRefine-v0"])
def test_make_with_no_arguments_gives_the_placeholder_and_the_packaged_judge(name, fake_judge):
    env = gym.make(name)
    assert isinstance(env.unwrapped, HandRefineEnv)
    observation, info = env.reset(seed=0)
    assert observation.shape == (PLACEHOLDER.latent_dim,)
    assert observation.dtype == np.float32
    assert fake_judge == [("parser", "cpu")]
    picture = decode(env.unwrapped.vae, observation[None])
    score = pytest.approx(torch.logit(picture.double().mean()).item(), rel=1e-5)
    assert info == {"score_before": score, "score_after": score}


def test_the_reward_is_lambda_times_the_change_of_the_score(make_refine):
    env = make_refine(reward_scale=5.0, delta_scale=0.7)
    before, info = env.reset(seed=3)
    action = np.linspace(-1, 1, D).astype(np.float32)
    after, reward, terminated, truncated, after_info = env.step(action)
    assert after == pytest.approx(before + 0.7 * action, rel=1e-6)
    scores = [decode(env.vae, latent[None]).mean().item() for latent in (before, after)]
    assert info == {"score_before": pytest.approx(scores[0]), "score_after": info["score_before"]}
    assert after_info == {"score_before": pytest.approx(scores[0]), "score_after": pytest.approx(scores[1])}
    assert reward == pytest.approx(5 * (scores[1] - scores[0]), rel=1e-4)
    assert reward != 0
    assert (type(reward), terminated, truncated) == (float, True, False)


def test_several_steps_show_what_is_left_and_their_rewards_add_up(make_refine):
    steps = episode(make_refine(steps_per_episode=4))
    assert [observation[-1] for observation, *_ in steps] == [1, 0.75, 0.5, 0.25, 0]
    assert all(observation.shape == (D + 1,) for observation, *_ in steps)
    assert [terminated for _, _, terminated, *_ in steps] == [False] * 4 + [True]
    assert not any(truncated for _, _, _, truncated, _ in steps)
    assert [a[4]["score_before"] for a in steps[2:]] == [a[4]["score_after"] for a in steps[1:-1]]
    total = steps[-1][4]["score_after"] - steps[0][4]["score_before"]
    assert sum(reward for _, reward, *_ in steps) == pytest.approx(total)


def test_zeros_change_nothing_and_are_paid_exactly_nothing(make_refine):
    env = make_refine()
    before, _ = env.reset(seed=0)
    after, reward, *_ = env.step(ZEROS)
    assert np.array_equal(before, after)
    assert reward == 0.0


def test_the_vae_is_a_frozen_copy_and_the_same_bit_for_bit_after_episodes(make_refine):
    own = build_vae(VAEConfig(32, D), seed=1)
    env = make_refine(vae=own)
    before = copy.deepcopy(env.vae.state_dict())
    for seed in range(3):
        episode(env, seed)
    assert all(torch.equal(tensor, before[name]) for name, tensor in env.vae.state_dict().items())
    assert not any(module.training for module in env.vae.modules())
    assert not any(parameter.requires_grad for parameter in env.vae.parameters())
    assert own.training
    assert all(parameter.requires_grad for parameter in own.parameters())
    next(own.decoder.parameters()).data.zero_()  # what its owner does with it later is no concern of the environment
    assert all(torch.equal(tensor, before[name]) for name, tensor in env.vae.state_dict().items())


def test_a_function_builds_the_vae_once_with_seed_0(make_refine):
    seeds = []

    def build(seed):
        seeds.append(seed)
        return build_vae(VAEConfig(32, D), seed)

    env = make_refine(vae=build)
    env.reset(seed=4)
    assert seeds == [0]
    assert isinstance(env.vae, VAE)


def test_the_sampler_draws_where_an_episode_begins(make_refine):
    mean = torch.full((1, D), 50.0)
    env = make_refine(sampler=Mixture(torch.ones(1), mean, torch.eye(D)[None]))
    first, second = env.reset(seed=0)[0], env.reset()[0]
    assert (np.abs(first - 50) < 6).all()
    assert not np.array_equal(first, second)


def test_same_seed_gives_same_episode_bit_for_bit(make_refine):
    first, same, other = (episode(make_refine(steps_per_episode=3), seed) for seed in (5, 5, 6))
    for a, b in zip(first, same, strict=True):
        assert np.array_equal(a[0], b[0])
        assert a[1:] == b[1:]
    assert not np.array_equal(first[0][0], other[0][0])


@pytest.mark.usefixtures("fake_judge")
def test_a_spec_makes_the_same_environment_again_also_through_json():
    env = gym.make("HandRefine-v0", delta_scale=0.3, steps_per_episode=2)
    for spec in (env.spec, gym.envs.registration.EnvSpec.from_json(env.spec.to_json())):
        again = gym.make(spec)
        assert isinstance(again.unwrapped, HandRefineEnv)
        assert again.unwrapped.delta_scale == 0.3
        assert again.observation_space == env.observation_space
        assert np.array_equal(again.reset(seed=1)[0], env.reset(seed=1)[0])


@pytest.mark.usefixtures("fake_judge")
@pytest.mark.parametrize("clone", [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))])
def test_a_copied_or_pickled_environment_goes_on_where_it_was(make_refine, clone):
    env = make_refine(judge=LogitScore(), steps_per_episode=2)
    env.reset(seed=0)
    env.step(ZEROS + 1)
    other = clone(env)
    assert env.step(ZEROS + 0.5)[1:] == other.step(ZEROS + 0.5)[1:]
    assert np.array_equal(env.reset()[0], other.reset()[0])


def test_a_state_continues_the_episode_where_it_was_also_from_a_file(make_refine, tmp_path):
    env, resumed = (
        make_refine(steps_per_episode=3, render_mode="rgb_array"),
        make_refine(steps_per_episode=3, render_mode="rgb_array"),
    )
    env.reset(seed=0)
    observation = env.step(ZEROS + 1)[0]
    state = load_checkpoint(save_checkpoint(tmp_path, 1, env.state_dict()))
    assert np.array_equal(resumed.reset(options={"state": state})[0], observation)
    for _ in range(2):
        assert env.step(ZEROS - 0.5)[1:] == resumed.step(ZEROS - 0.5)[1:]
    assert np.array_equal(env.render(), resumed.render())
    assert np.array_equal(env.reset()[0], resumed.reset()[0])


def test_an_observation_is_a_copy_that_the_caller_may_change(make_refine):
    env = make_refine()
    observation, _ = env.reset(seed=0)
    latent = env.state_dict()["latent"]
    observation[:] = 7
    assert np.array_equal(env.state_dict()["latent"], latent)


def test_a_state_with_more_steps_left_than_an_episode_has_is_refused(make_refine):
    env = make_refine()
    env.reset(seed=0)
    with pytest.raises(ValueError, match="left must be at most 1, got 5"):
        env.reset(options={"state": {**env.state_dict(), "left": 5}})


class Knows(StandardNormal):
    """A sampler that gives the same scores each time."""

    def __init__(self, scores):
        super().__init__(D)
        self.known = scores

    def scores(self, latents):
        return self.known


def test_what_a_sampler_knows_is_not_written_to_and_infinity_is_refused(make_refine):
    unknown = np.array([np.nan])
    make_refine(sampler=Knows(unknown)).reset(seed=0)
    assert np.isnan(unknown).all()
    with pytest.raises(ValueError, match="must give 1 finite numbers"):
        make_refine(sampler=Knows(np.array([np.inf]))).reset(seed=0)


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (np.zeros(5, np.float32), r"action must have shape \(6,\), got \(5,\)"),
        (np.full(6, np.nan, np.float32), r"action must be finite and lie in \[-1, 1\], got .*nan"),
        (np.full(6, np.inf, np.float32), r"action must be finite and lie in \[-1, 1\], got .*inf"),
        (np.full(6, 1.001, np.float32), r"action must be finite and lie in \[-1, 1\], got .*1.001"),
    ],
)
def test_a_wrong_action_raises_before_anything_happens(make_refine, action, message):
    env = make_refine()
    env.reset(seed=0)
    state = env.state_dict()
    with pytest.raises(ValueError, match=message):
        env.step(action)
    assert env.state_dict()["left"] == state["left"]
    assert np.array_equal(env.state_dict()["latent"], state["latent"])


def test_step_before_reset_and_after_the_end_raises_until_the_next_reset(make_refine):
    env = make_refine()
    with pytest.raises(gym.error.ResetNeeded, match=r"Call env\.reset\(\) first"):
        env.step(ZEROS)
    episode(env)
    with pytest.raises(gym.error.ResetNeeded, match="The episode has ended"):
        env.step(ZEROS)
    env.reset()
    assert env.step(ZEROS)[2]


def test_close_lets_go_and_a_reset_opens_again(make_refine):
    env = make_refine(render_mode="rgb_array")
    env.reset(seed=0)
    env.close()
    for call in (lambda: env.step(ZEROS), env.render, env.state_dict):
        with pytest.raises(gym.error.ResetNeeded):
            call()
    env.reset(seed=0)
    assert env.step(ZEROS)[2]


def test_render_gives_the_picture_before_above_the_one_after_and_none_without_a_mode(make_refine):
    env = make_refine(render_mode="rgb_array")
    before, _ = env.reset(seed=0)
    after = env.step(ZEROS + 1)[0]
    frame = env.render()
    assert frame.shape == (2 * 34 + 2, 36, 3)
    assert frame.dtype == np.uint8
    for latent, top in ((before, 2), (after, 36)):
        picture = to_uint8(decode(env.vae, latent[None]))[0].permute(1, 2, 0).numpy()
        assert np.abs(frame[top : top + 32, 2:34].astype(int) - picture).max() <= 1
    assert not np.array_equal(frame[2:34], frame[36:68])
    assert make_refine().render() is None


class WrongSampler:
    def sample(self, n, seed):
        return torch.zeros(n, D + 1)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"delta_scale": 0}, ValueError, "delta_scale must be a finite number above 0, got 0"),
        ({"reward_scale": float("nan")}, ValueError, "reward_scale must be a finite number above 0, got nan"),
        ({"steps_per_episode": 0}, ValueError, "steps_per_episode must be at least 1, got 0"),
        ({"steps_per_episode": 1.5}, TypeError, "steps_per_episode must be an integer, got 1.5"),
        ({"render_mode": "human"}, ValueError, "render_mode must be None or 'rgb_array', got 'human'"),
        ({"device": "tpu"}, ValueError, "device must be 'auto', 'cpu', 'cuda' or 'cuda:N', got 'tpu'"),
        ({"vae": torch.nn.Linear(2, 2)}, TypeError, "vae must be a vae.VAE or a function from a seed to one"),
        ({"judge": 3}, TypeError, "judge must be a function from pictures to scores, got int"),
        ({"sampler": 3}, TypeError, r"sampler must have a method sample\(n, seed\), got int"),
        ({"sampler": WrongSampler()}, ValueError, r"must give finite latents of shape \(1, 6\), .* got \(1, 7\)"),
    ],
)
def test_a_wrong_argument_raises(make_refine, settings, error, message):
    with pytest.raises(error, match=message):
        make_refine(**settings)


def test_a_judge_that_gives_no_finite_number_a_picture_is_refused(make_refine):
    for judge in (lambda x: x.mean((1, 2, 3)) * torch.nan, lambda x: x.mean()):
        with pytest.raises(ValueError, match=r"judge must give finite numbers of shape \(1,\)"):
            make_refine(judge=judge).reset(seed=0)


def test_the_docstring_s_numbers_are_the_code_s(make_refine):
    manual, limit = HandRefineEnv.__doc__, LogitScore().limit
    assert manual is not None
    assert f"32 pixels, D = {PLACEHOLDER.latent_dim}" in manual
    assert PLACEHOLDER.size == 32
    assert f"at least -{limit:.0f} and at most {limit:.0f}" in manual
    assert f"{2 * limit:.0f} lambda on either side" in manual
    env = make_refine()
    for space in (env.action_space, env.observation_space):
        low, high = (f"{bound:.0f}" for bound in (space.low.min(), space.high.max()))
        assert f"Box({low}, {high}, (D,), {space.dtype})" in manual
