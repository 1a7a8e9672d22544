import copy
import functools
import inspect
import math
import pickle
import warnings

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env
from stable_baselines3 import SAC
from stable_baselines3.common.env_checker import check_env as check_env_for_sb3

from hand_env import HandLatentEnv, HandScheduleEnv
from hand_env.drawn_score import MOST_ENCODED
from hand_env.schedule.deltas import MAX_REACH, MOST_MIXED, MOST_PULLED, Deltas, shift_latents, step_generator
from hand_env.schedule.features import FEATURES
from vae.evaluation import encode_all
from vae.loss import kl_to_standard_normal
from vae.training import Trainer
from vae.training_config import TrainingConfig

UNBOUNDED = "A Box observation space (minimum|maximum) value is -?infinity"
NOTHING = np.full(3, -1, np.float32)
KAPPA = 16.0  # a power of two above every shift: dividing by it and multiplying again changes no bit


def actions(n=3, seed=0):
    return np.random.default_rng(seed).uniform(-1, 0.3, (n, 3)).astype(np.float32)


def episode(env, seed=0, chosen=None):
    first = env.reset(seed=seed)
    return [first, *(env.step(action) for action in (actions() if chosen is None else chosen))]


def assert_same(a, b):
    """Compare two episodes bit for bit."""
    for one, other in zip(a, b, strict=True):
        assert np.array_equal(one[0], other[0])
        assert one[1:] == other[1:]


def weights(trainer):
    return [p.detach().clone() for vae in (trainer.vae, trainer.averaged_vae) for p in vae.parameters()]


def assert_same_weights(a, b):
    assert all(torch.equal(x, y) for x, y in zip(weights(a), weights(b), strict=True))


def test_gymnasium_s_checker_passes_with_no_warning_but_the_inherent_one(make_schedule, schedule_settings):
    env = make_schedule(render_mode="rgb_array")
    env.spec = copy.deepcopy(gym.spec("HandSchedule-v0"))
    env.spec.kwargs = schedule_settings
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=f".*{UNBOUNDED}")
        check_env(env)


def test_stable_baselines3_s_checker_passes_with_no_warning(make_schedule):
    check_env_for_sb3(make_schedule())


def test_stock_sac_trains_on_it(make_schedule):
    agent = SAC("MlpPolicy", make_schedule(), learning_starts=3, batch_size=4, buffer_size=20)
    before = [p.detach().clone() for p in agent.actor.parameters()]
    agent.learn(7)
    assert any(not torch.equal(a, b) for a, b in zip(before, agent.actor.parameters(), strict=True))


@pytest.mark.parametrize("name", ["HandSchedule-v0", "hand_env:HandSchedule-v0"])
def test_make_gives_the_environment_and_a_spec_that_makes_it_again_also_through_json(name):
    env = gym.make(name, n_images=4, batch_size=2, latent_dim=5, epochs_per_episode=4, max_reach=2.0)
    assert isinstance(env.unwrapped, HandScheduleEnv)
    again = gym.make(gym.envs.registration.EnvSpec.from_json(env.spec.to_json()))
    assert isinstance(again.unwrapped, HandScheduleEnv)
    assert again.unwrapped.max_reach == 2.0
    assert again.observation_space == env.observation_space


def test_no_deltas_train_exactly_as_with_no_environment(make_schedule, tiny_images):
    env = make_schedule()
    episode(env, chosen=[NOTHING] * 3)
    seed = env.env.trainer.seed
    alone = Trainer(env.env.build_vae(seed), tiny_images, TrainingConfig(epochs=5, batch_size=4), seed)
    for _ in range(alone.total_steps):
        alone.step()
    assert_same_weights(env.env.trainer, alone)


@pytest.mark.parametrize(
    "reward", ["drawn_change", "loss_change", "validation_loss_change", "counterfactual", "anatomy"]
)
def test_a_step_is_a_stretch_of_handlatent_with_the_same_shifts_and_the_sum_of_its_rewards(
    make_schedule, schedule_settings, tiny_images, reward
):
    settings = {"reward": reward, "validation_images": None if reward == "drawn_change" else tiny_images[:6]}
    env = make_schedule(**settings)
    settings |= {name: value for name, value in schedule_settings.items() if name != "epochs_per_step"}
    latent = HandLatentEnv(**settings, drawn_every=2, delta_scale=KAPPA, reward_scale=100.0)
    env.reset(seed=3)
    latent.reset(seed=3)
    for action, epochs in zip(actions(), (2, 2, 1), strict=True):
        choice, rewards, losses = Deltas.from_action(action), [], []
        for _ in range(epochs * 5):
            trainer = latent.trainer
            shift = shift_latents(trainer.encode(), choice, step_generator(trainer))
            _, paid, _, truncated, info = latent.step((shift / KAPPA).numpy())
            rewards.append(paid)
            losses.append(info["loss_nats"])
        _, reward_of_stretch, _, ended, info = env.step(action)
        assert_same_weights(env.env.trainer, latent.trainer)
        assert reward_of_stretch == pytest.approx(sum(rewards), rel=1e-9, abs=1e-9)
        assert info["loss_nats"] == pytest.approx(np.mean(losses[-5:]), rel=1e-6)
        assert ended == truncated
    assert ended


def test_drawn_change_adds_up_to_the_episode_s_whole_gain(make_schedule):
    env = make_schedule()
    env.reset(seed=0)
    before, rewards = env.env.drawn_score.wrong(), []
    for action in actions():
        _, reward, *_, info = env.step(action)
        rewards.append(reward)
        assert reward == pytest.approx(-100 * info["drawn_change"])
        assert info["drawn_wrong"] == env.env.drawn_score.wrong()
        assert reward != 0
    assert sum(rewards) == pytest.approx(-100 * (info["drawn_wrong"] - before))


def test_same_seed_gives_same_episode_bit_for_bit(make_schedule):
    first, same, other = (episode(make_schedule(), seed) for seed in (5, 5, 6))
    assert_same(first, same)
    assert not np.array_equal(first[1][0], other[1][0])


def test_a_second_reset_without_a_seed_gives_another_episode(make_schedule):
    env = make_schedule()
    assert not np.array_equal(env.reset(seed=0)[0], env.reset()[0])


def test_the_last_stretch_is_shorter_and_the_episode_is_truncated_after_its_epochs(make_schedule):
    steps = episode(make_schedule())
    assert [step[-1]["epoch"] for step in steps] == [0, 2, 4, 5]
    assert [step[3] for step in steps[1:]] == [False, False, True]
    assert not any(step[2] for step in steps[1:])
    assert type(steps[1][1]) is float
    assert [step[0][0] for step in steps] == pytest.approx([0, 0.4, 0.8, 1])


def test_the_observation_is_what_the_manual_says(make_schedule):
    env = make_schedule()
    steps = episode(env)
    trainer, before, seen, info = env.env.trainer, steps[-2][0], steps[-1][0], steps[-1][-1]
    mean, log_var = encode_all(trainer.averaged_vae, trainer.images[:MOST_ENCODED])
    expected = [
        1.0,
        math.log10(20) / 4,
        math.log10(25) / 4,
        4 / 20,
        info["loss_nats"] / (3 * 32 * 32),
        seen[4] - before[4],
        math.log10(trainer.vae.log_variance.exp()) / 4,
        kl_to_standard_normal(mean, log_var).mean().item() / 4,
        mean.std(0, correction=0).mean().item(),
        (0.5 * log_var).exp().mean().item(),
        info["drawn_wrong"],
        *actions()[-1],
    ]
    assert seen == pytest.approx(expected, rel=1e-4)
    assert seen.dtype == np.float32
    assert len(seen) == len(FEATURES)


def test_the_first_observation_is_measured_without_training(make_schedule):
    env = make_schedule()
    seen, info = env.reset(seed=0)
    trainer = env.env.trainer
    assert trainer.steps_done == 0
    assert seen[4] == pytest.approx(trainer.measure().total.mean().item() / 3072, rel=1e-5)
    assert seen[10] == pytest.approx(env.env.drawn_score.wrong())
    assert [seen[0], seen[5], *seen[11:]] == [0, 0, -1, -1, -1]
    unchosen, losses = ("reach", "mix", "pull"), ("loss_nats", "reconstruction_nats", "kl_nats", "drawn_change")
    assert info == dict.fromkeys((*losses, *unchosen), 0.0) | {"epoch": 0, "drawn_wrong": env.env.drawn_score.wrong()}


def test_without_drawn_hands_w_is_zero_and_the_rest_is_measured(make_schedule):
    paid, other = (episode(make_schedule(reward=reward)) for reward in ("drawn_change", "loss_change"))
    for one, two in zip(paid, other, strict=True):
        assert two[0][10] == 0
        assert np.delete(one[0], 10) == pytest.approx(np.delete(two[0], 10), rel=1e-5)


@pytest.mark.parametrize("part", ["encoder", "decoder"])
def test_a_diverging_vae_terminates_with_the_documented_reward_and_a_finite_observation(make_schedule, part):
    env = make_schedule()
    env.reset(seed=0)
    next(getattr(env.env.trainer.vae, part).parameters()).data.fill_(float("nan"))
    observation, reward, terminated, truncated, info = env.step(NOTHING)
    assert (reward, terminated, truncated) == (env.DIVERGENCE_REWARD, True, False)
    assert np.array_equal(observation, np.zeros(len(FEATURES), np.float32))
    assert {name: info[name] for name in ("epoch", "loss_nats", "drawn_wrong")} == {
        "epoch": 2,
        "loss_nats": 0.0,
        "drawn_wrong": 1.0,
    }
    with pytest.raises(gym.error.ResetNeeded, match="The episode has ended"):
        env.step(NOTHING)


def test_a_state_continues_the_episode_where_it_was(make_schedule):
    whole, cut, resumed = make_schedule(), make_schedule(), make_schedule()
    expected = episode(whole)
    episode(cut, chosen=actions()[:1])
    state = cut.state_dict()
    cut.step(actions()[1])
    for _ in range(2):
        observation, info = resumed.reset(options={"state": state})
        assert np.array_equal(observation, expected[1][0])
        assert (info["epoch"], info["drawn_wrong"]) == (2, expected[1][-1]["drawn_wrong"])
        assert_same([resumed.step(action) for action in actions()[1:]], expected[2:])
    resumed.reset(options={"state": resumed.state_dict()})
    with pytest.raises(gym.error.ResetNeeded, match="The episode has ended"):
        resumed.step(NOTHING)


def test_an_episode_whose_last_judgement_raised_has_ended(make_schedule):
    failing: list[bool] = []

    def judge(pictures):
        if failing:
            raise KeyError("as if a judge had failed")
        return pictures.mean((1, 2, 3))

    env = make_schedule(judge=judge)
    episode(env, chosen=actions()[:2])
    failing.append(True)
    with pytest.raises(KeyError):
        env.step(NOTHING)
    failing.clear()
    with pytest.raises(gym.error.ResetNeeded, match="The episode has ended"):
        env.step(NOTHING)


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))])
def test_a_copied_or_pickled_environment_goes_on_where_it_was(tiny_images, clone):
    judge = functools.partial(torch.mean, dim=(1, 2, 3))
    env = HandScheduleEnv(
        tiny_images[:4], latent_dim=3, batch_size=2, epochs_per_episode=3, epochs_per_step=1, judge=judge, n_drawn=2
    )
    episode(env, chosen=actions()[:1])
    other = clone(env)
    assert_same([other.step(actions()[1])], [env.step(actions()[1])])


def test_render_gives_a_grid_of_samples_and_none_without_a_mode(make_schedule):
    env = make_schedule(render_mode="rgb_array")
    env.reset(seed=0)
    assert env.render().shape == (4 * 34 + 2, 4 * 34 + 2, 3)
    assert make_schedule().render() is None


def test_close_lets_go_and_a_reset_opens_again(make_schedule):
    env = make_schedule()
    with pytest.raises(gym.error.ResetNeeded, match=r"Call env\.reset"):
        env.step(NOTHING)
    episode(env)
    env.close()
    with pytest.raises(gym.error.ResetNeeded, match=r"Call env\.reset"):
        env.step(NOTHING)
    assert env.reset(seed=0)[1]["epoch"] == 0


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (np.zeros(2, np.float32), r"action must have shape \(3,\), got \(2,\)"),
        (np.array([0, np.nan, 0], np.float32), r"action must be finite and lie in \[-1, 1\], got .*nan"),
        (np.array([0, 0, 1.01], np.float32), r"action must be finite and lie in \[-1, 1\], got .*1.01"),
    ],
)
def test_a_wrong_action_raises_before_anything_is_trained(make_schedule, action, message):
    env = make_schedule()
    env.reset(seed=0)
    with pytest.raises(ValueError, match=message):
        env.step(action)
    assert env.env.trainer.steps_done == 0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epochs_per_step": 0}, "epochs_per_step must be at least 1, got 0"),
        ({"max_reach": 0.0}, "max_reach must be a finite number above 0, got 0.0"),
        ({"reward_scale": -1}, "reward_scale must be a finite number above 0, got -1"),
        ({"reward": "beauty"}, "reward must be one of"),
        ({"drawn_from": "prior"}, "drawn_from must be one of"),
    ],
)
def test_a_wrong_argument_raises(make_schedule, settings, message):
    with pytest.raises(ValueError, match=message):
        make_schedule(**settings)


@pytest.mark.parametrize("name", ["delta_scale", "drawn_every", "flat", "tensors"])
def test_what_the_action_or_the_stretch_decides_is_no_argument(make_schedule, name):
    with pytest.raises(TypeError, match=f"{name} is no argument of HandSchedule-v0"):
        make_schedule(**{name: 2})


def test_the_docstring_s_numbers_are_the_code_s(make_schedule):
    manual = inspect.getdoc(HandScheduleEnv)
    assert manual is not None
    env = make_schedule()
    assert f"`DIVERGENCE_REWARD`, {HandScheduleEnv.DIVERGENCE_REWARD:.0f}," in manual
    assert f"Box({env.action_space.low.min():.0f}, {env.action_space.high.max():.0f}, (3,), float32)" in manual
    assert f"Box({env.observation_space.low.min()}, inf, ({len(FEATURES)},), float32)" in manual
    assert f"`max_reach` | {MAX_REACH} |" in manual
    assert f"mix: share of the way, from 0 to {MOST_MIXED}," in manual
    assert f"pull: share of the way, from 0 to {MOST_PULLED}," in manual
    assert f"up to {MOST_ENCODED:,} training pictures" in manual
    observed = [feature.split(",")[0] for feature in FEATURES[:11]]
    rows = [line for line in manual.splitlines() if line.startswith("| ")]
    for number, feature in enumerate(observed):
        assert any(line.startswith(f"| {number} | {feature}") for line in rows), feature
