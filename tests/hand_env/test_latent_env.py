import copy
import itertools
import pickle
import warnings

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env
from stable_baselines3.common.env_checker import check_env as check_env_for_sb3

import hand_env
from hand_env import HandLatentEnv, image_grid
from hand_env.latent_env import N_RENDERED
from vae import StandardNormal, VAEConfig, build_vae
from vae.evaluation import decode_all
from vae.images.image_set import ImageSet
from vae.training import Trainer
from vae.training_config import TrainingConfig

# Inherent: posterior means have no bounds, and a latent batch has two axes.
UNBOUNDED = "A Box observation space (minimum|maximum) value is -?infinity"
TWO_AXES = "Your observation  has an unconventional shape"
TERMS = ("loss_nats", "reconstruction_nats", "kl_nats", "loss_change_nats")  # of info, with the paper's reward


def episode(env, seed=0, action=None):
    """Step through one episode; uniform actions from a seed, or the given one each time."""
    rng = np.random.default_rng(seed)
    observation, _ = env.reset(seed=seed)
    steps = []
    while True:
        chosen = rng.uniform(-1, 1, env.action_space.shape).astype(np.float32) if action is None else action
        following, reward, terminated, truncated, info = env.step(chosen)
        steps.append((observation, reward, terminated, truncated, info))
        observation = following
        if terminated or truncated:
            return steps


def test_gymnasium_s_checker_passes_with_no_warning_but_the_inherent_one(make_env):
    env = make_env(render_mode="rgb_array")
    env.spec = copy.deepcopy(gym.spec("HandLatent-v0"))
    env.spec.kwargs = {"latent_dim": 6, "batch_size": 4, "epochs_per_episode": 3, "n_images": 8}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=f".*{UNBOUNDED}")
        check_env(env)


def test_stable_baselines3_s_checker_passes_with_no_warning_but_the_inherent_one(make_env):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=TWO_AXES)
        check_env_for_sb3(make_env())


def test_stable_baselines3_s_checker_has_no_warning_at_all_for_flattened_observations(make_env):
    check_env_for_sb3(gym.wrappers.FlattenObservation(make_env()))


@pytest.mark.parametrize("name", ["HandLatent-v0", "hand_env:HandLatent-v0"])
def test_make_gives_the_environment_with_synthetic_hands(name):
    assert hand_env.__name__
    env = gym.make(name, n_images=8, latent_dim=5)
    assert isinstance(env.unwrapped, HandLatentEnv)
    observation, info = env.reset(seed=0)
    assert observation.shape == (4, 5)
    assert observation.dtype == np.float32
    assert info == dict.fromkeys(TERMS, 0.0) | {"epoch": 1}
    assert env.observation_space.contains(observation)


@pytest.mark.parametrize("batch_size", [20, 5, 4, 7])
def test_an_epoch_s_rewards_add_up_to_minus_lambda_times_the_change_of_the_epoch_s_loss(make_env, batch_size):
    env = make_env(batch_size=batch_size, reward_scale=0.5, epochs_per_episode=4)
    env.reset(seed=3)
    rng = np.random.default_rng(0)
    epoch_loss, epoch_reward, last_visit = [], [], np.zeros(20)
    for _ in range(4):
        rewards = 0.0
        for _ in range(env.trainer.steps_per_epoch):
            losses = spy_on_losses(env)
            rewards += env.step(rng.uniform(-1, 1, env.action_space.shape).astype(np.float32))[1]
            last_visit[losses[0].index.numpy()] = losses[0].total.double().numpy()
        epoch_loss.append(last_visit.mean())
        epoch_reward.append(rewards)
    assert epoch_reward[0] == 0.0
    assert epoch_reward[1:] == pytest.approx(-0.5 * np.diff(epoch_loss), rel=1e-5, abs=1e-3)


def spy_on_losses(env):
    """Collect the losses of the trainer's next step."""
    seen, step = [], type(env.trainer).step

    def spied(shift=None, **settings):
        seen.append(step(env.trainer, shift, **settings))
        del env.trainer.step
        return seen[-1]

    env.trainer.step = spied
    return seen


def test_with_one_minibatch_an_epoch_the_reward_is_the_paper_s_formula(make_env):
    env = make_env(batch_size=20, reward_scale=2.0)
    steps = episode(env)
    losses = [info["loss_nats"] for *_, info in steps]
    rewards = [reward for _, reward, *_ in steps]
    assert rewards[0] == 0.0
    assert rewards[1:] == pytest.approx([-2.0 * (b - a) for a, b in itertools.pairwise(losses)], rel=1e-9)


def test_with_one_epoch_an_episode_the_loss_at_reset_stands_in_for_the_epoch_before(make_env):
    env = make_env(epochs_per_episode=1)
    env.reset(seed=0)
    at_reset = env.trainer.measure().total.double()
    losses, rewards = np.zeros(20), 0.0
    for _ in range(5):
        seen = spy_on_losses(env)
        rewards += env.step(np.zeros((4, 6), np.float32))[1]
        losses[seen[0].index.numpy()] = seen[0].total.double().numpy()
    assert rewards == pytest.approx(-0.01 * (losses.mean() - at_reset.mean().item()), rel=1e-6)
    assert rewards != 0


def test_same_seed_gives_same_episode_bit_for_bit(make_env):
    first, same, other = (episode(make_env(), seed) for seed in (5, 5, 6))
    for a, b in zip(first, same, strict=True):
        assert np.array_equal(a[0], b[0])
        assert a[1:] == b[1:]
    assert not np.array_equal(first[0][0], other[0][0])


def test_a_second_reset_without_a_seed_gives_another_episode(make_env):
    env = make_env()
    first, _ = env.reset(seed=0)
    second, _ = env.reset()
    assert not np.array_equal(first, second)


def test_zero_actions_train_exactly_as_with_no_environment(make_env, tiny_images):
    env = make_env()
    env.reset(seed=0)
    seed = env.trainer.seed
    alone = Trainer(env.build_vae(seed), tiny_images, TrainingConfig(epochs=3, batch_size=4), seed)
    for _ in range(alone.total_steps):
        env.step(np.zeros((4, 6), np.float32))
        alone.step()
    pairs = zip(env.trainer.vae.parameters(), alone.vae.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_the_action_is_added_to_the_latents_times_kappa(make_env):
    small, large = make_env(delta_scale=0.1), make_env(delta_scale=2.0)
    kl = []
    for env in (small, large):
        mean, _ = env.reset(seed=0)
        kl.append(env.step(np.ones((4, 6), np.float32))[4]["kl_nats"])
    moved = [0.5 * ((mean + kappa) ** 2).sum(1).mean() for kappa in (0.1, 2.0)]
    assert kl[1] - kl[0] == pytest.approx(moved[1] - moved[0], rel=1e-4)


def test_an_episode_is_truncated_after_its_epochs_and_never_terminated_by_them(make_env):
    steps = episode(make_env(batch_size=7))
    assert len(steps) == 3 * 3
    assert [truncated for *_, truncated, _ in steps] == [False] * 8 + [True]
    assert not any(terminated for _, _, terminated, *_ in steps)
    assert [info["epoch"] for *_, info in steps] == [1, 1, 1, 2, 2, 2, 3, 3, 3]
    assert type(steps[0][1]) is float


def test_a_spec_makes_the_same_environment_again_also_through_json():
    env = gym.make("HandLatent-v0", n_images=8, latent_dim=5, delta_scale=0.3)
    for spec in (env.spec, gym.envs.registration.EnvSpec.from_json(env.spec.to_json())):
        again = gym.make(spec)
        assert isinstance(again.unwrapped, HandLatentEnv)
        assert again.unwrapped.delta_scale == 0.3
        assert again.observation_space == env.observation_space
        assert np.array_equal(again.reset(seed=1)[0], env.reset(seed=1)[0])


def test_close_lets_go_and_a_reset_opens_again(make_env):
    env = make_env()
    env.reset(seed=0)
    env.close()
    with pytest.raises(gym.error.ResetNeeded):
        env.step(np.zeros((4, 6), np.float32))
    env.reset(seed=0)
    assert env.step(np.zeros((4, 6), np.float32))[4]["epoch"] == 1


def test_info_names_the_terms_and_they_agree(make_env):
    info = episode(make_env())[-1][4]
    assert set(info) == {*TERMS, "epoch"}
    assert info["loss_nats"] == pytest.approx(info["reconstruction_nats"] + info["kl_nats"])


def test_a_diverging_vae_terminates_with_the_documented_reward_and_a_finite_observation(make_env):
    env = make_env()
    env.reset(seed=0)
    next(env.trainer.vae.decoder.parameters()).data.fill_(float("nan"))
    observation, reward, terminated, truncated, info = env.step(np.zeros((4, 6), np.float32))
    assert (reward, terminated, truncated) == (env.DIVERGENCE_REWARD, True, False)
    assert np.array_equal(observation, np.zeros((4, 6), np.float32))
    assert info == dict.fromkeys(TERMS, 0.0) | {"epoch": 1}


def test_an_observation_that_is_not_finite_ends_the_episode(make_env):
    env = make_env()
    env.reset(seed=0)
    seen, step = spy_on_losses(env), env.trainer.step

    def broken(*args, **settings):
        losses = step(*args, **settings)
        next(env.trainer.vae.encoder.parameters()).data.fill_(float("nan"))
        return losses

    env.trainer.step = broken
    observation, reward, terminated, *_ = env.step(np.zeros((4, 6), np.float32))
    assert seen[0].total.isfinite().all()
    assert (reward, terminated) == (env.DIVERGENCE_REWARD, True)
    assert not observation.any()


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (np.zeros((4, 5), np.float32), r"action must have shape \(4, 6\), got \(4, 5\)"),
        (np.full((4, 6), np.nan, np.float32), r"action must be finite and lie in \[-1, 1\], got .*nan"),
        (np.full((4, 6), np.inf, np.float32), r"action must be finite and lie in \[-1, 1\], got .*inf"),
        (np.full((4, 6), 1.001, np.float32), r"action must be finite and lie in \[-1, 1\], got .*1.001"),
    ],
)
def test_a_wrong_action_raises_before_anything_is_trained(make_env, action, message):
    env = make_env()
    env.reset(seed=0)
    with pytest.raises(ValueError, match=message):
        env.step(action)
    assert env.trainer.steps_done == 0


def test_step_before_reset_raises(make_env):
    with pytest.raises(gym.error.ResetNeeded, match=r"Call env\.reset"):
        make_env().step(np.zeros((4, 6), np.float32))


def test_step_after_the_end_of_an_episode_raises_until_the_next_reset(make_env):
    env = make_env()
    episode(env)
    with pytest.raises(gym.error.ResetNeeded, match="The episode has ended"):
        env.step(np.zeros((4, 6), np.float32))
    env.reset()
    assert env.step(np.zeros((4, 6), np.float32))[4]["epoch"] == 1


def test_a_state_is_a_copy_that_later_steps_leave_alone(make_env):
    env, zeros = make_env(), np.zeros((4, 6), np.float32)
    env.reset(seed=0)
    for _ in range(6):
        env.step(zeros)
    state = env.state_dict()
    first = [env.step(zeros)[1:] for _ in range(4)]
    for _ in range(2):
        env.reset(options={"state": state})
        assert [env.step(zeros)[1:] for _ in range(4)] == first


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))])
def test_a_copied_or_pickled_environment_goes_on_where_it_was(make_env, clone):
    env, zeros = make_env(), np.zeros((4, 6), np.float32)
    env.reset(seed=0)
    env.step(zeros)
    other = clone(env)
    for _ in range(3):
        assert other.step(zeros)[1:] == env.step(zeros)[1:]


def test_a_state_continues_the_episode_where_it_was(make_env):
    whole, cut = make_env(), make_env()
    actions = np.random.default_rng(0).uniform(-1, 1, (15, 4, 6)).astype(np.float32)
    whole.reset(seed=0)
    cut.reset(seed=0)
    expected = [whole.step(action) for action in actions]
    for action in actions[:7]:
        cut.step(action)
    resumed = make_env()
    observation, info = resumed.reset(options={"state": cut.state_dict()})
    assert np.array_equal(observation, expected[6][0])
    assert info["epoch"] == 2
    for action, (observation, *rest) in zip(actions[7:], expected[7:], strict=True):
        found, *others = resumed.step(action)
        assert np.array_equal(found, observation)
        assert others == rest


def test_render_gives_a_grid_of_samples_and_none_without_a_mode(make_env):
    env = make_env(render_mode="rgb_array")
    env.reset(seed=0)
    frame = env.render()
    assert frame.shape == (4 * 34 + 2, 4 * 34 + 2, 3)
    assert frame.dtype == np.uint8
    assert make_env().render() is None


def test_render_decodes_the_same_latents_each_time_and_changes_no_later_episode(make_env):
    env, other = make_env(render_mode="rgb_array"), make_env()
    env.reset(seed=0), other.reset(seed=0)
    assert np.array_equal(env.render(), env.render())
    assert np.array_equal(env.reset()[0], other.reset()[0])


def test_render_shows_what_the_averaged_weights_decode(make_env):
    env = make_env(render_mode="rgb_array", training={"learning_rate": 0.01, "warmup_steps": 0})
    env.reset(seed=0)
    for _ in range(3):
        env.step(np.zeros((4, 6), np.float32))
    latents = StandardNormal(6).sample(N_RENDERED, seed=0)
    decoded, raw = (image_grid(decode_all(vae, latents)) for vae in (env.trainer.averaged_vae, env.trainer.vae))
    assert np.array_equal(env.render(), decoded)
    assert not np.array_equal(decoded, raw)


def test_render_at_the_end_of_an_episode_that_diverged_is_black(make_env):
    training = {"learning_rate": 1e30, "gradient_norm": 1e30, "warmup_steps": 0}
    env = make_env(render_mode="rgb_array", training=training)
    env.reset(seed=0)
    while not env.step(np.zeros((4, 6), np.float32))[2]:
        pass
    assert env.render()[2:34, 2:34].max() == 0


@pytest.mark.parametrize("wrong", [torch.zeros(2, 3, 16, 16, dtype=torch.uint8), torch.zeros(2, 3, 32, 32)])
def test_wrong_validation_pictures_are_refused_at_once(make_env, wrong):
    with pytest.raises(ValueError, match="validation_images must be uint8 of shape"):
        make_env(validation_images=wrong)


def test_pictures_with_their_channels_last_are_an_error_that_says_so(tiny_images):
    with pytest.raises(ValueError, match=r"images must have the shape \(image, 3, S, S\), got \(20, 32, 32, 3\)"):
        HandLatentEnv(tiny_images.permute(0, 2, 3, 1))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"delta_scale": 0}, "delta_scale must be a finite number above 0, got 0"),
        ({"reward_scale": float("nan")}, "reward_scale must be a finite number above 0, got nan"),
        ({"render_mode": "human"}, "render_mode must be None or 'rgb_array', got 'human'"),
        ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
        ({"device": "tpu"}, "device must be 'auto', 'cpu', 'cuda' or 'cuda:N', got 'tpu'"),
        ({"device": "cuda:99"}, "device 'cuda:99' is not on this machine"),
        ({"training": {"epochs": 3}}, r"training must not set epochs or batch_size \(separate arguments\), got"),
        ({"images": None, "n_images": 0}, "n_images must be at least 1, got 0"),
        ({"batch_size": 21}, "batch_size must be at most the number of training images, 20, got 21"),
    ],
)
def test_a_wrong_argument_raises(make_env, settings, message):
    with pytest.raises(ValueError, match=message):
        make_env(**settings)


def test_pictures_of_a_kind_that_is_no_array_are_refused_with_the_way_out(tiny_images):
    read = ImageSet(tiny_images, ("a",) * 20, ("a",) * 20, ("a",))
    with pytest.raises(TypeError, match=r"images must be .* such as load_images\(\.\.\.\)\.pixels, got ImageSet: "):
        HandLatentEnv(read)


def test_synthetic_hands_of_another_size_than_the_vae_s_are_refused_by_the_argument_that_was_left_out():
    vae = build_vae(VAEConfig(64, 6), seed=0)
    with pytest.raises(ValueError, match=r"size must be that of vae's pictures, 64, got 32\. Set size=64"):
        HandLatentEnv(vae=vae)
    assert HandLatentEnv(vae=vae, size=64, n_images=4).images.shape == (4, 3, 64, 64)


@pytest.mark.parametrize("training", [[1], 5, "x"])
def test_training_settings_that_are_no_dict_are_refused_by_name(make_env, training):
    with pytest.raises(
        TypeError, match=r"training must be a dict of fields of vae\.TrainingConfig, got (list|int|str)"
    ):
        make_env(training=training)


def test_the_docstring_s_numbers_are_the_code_s(make_env):
    manual = HandLatentEnv.__doc__
    assert manual is not None
    assert f"`DIVERGENCE_REWARD`, {HandLatentEnv.DIVERGENCE_REWARD:.0f}," in manual
    assert f"a grid of {N_RENDERED} pictures" in manual
    space = make_env().action_space
    assert f"Box({space.low.min():.0f}, {space.high.max():.0f}, (B, D), {space.dtype})" in manual
    observed = make_env().observation_space
    assert f"Box({observed.low.min()}, {observed.high.max()}, (B, D), {observed.dtype})" in manual
