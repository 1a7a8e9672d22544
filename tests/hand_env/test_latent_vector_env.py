import pickle

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode

from agents import GymnasiumVecEnv
from hand_env import HandLatentEnv, HandLatentVectorEnv
from vae import StandardNormal
from vae.evaluation import decode_all

B, D, STEPS = 4, 6, 15  # three epochs of five minibatches
MODES = [mode.value for mode in AutoresetMode]


@pytest.fixture
def make_rows(tiny_images):
    def make(**settings):
        return HandLatentVectorEnv(B, **{"images": tiny_images, "latent_dim": D, "epochs_per_episode": 3, **settings})

    return make


def actions(seed=0, n=STEPS):
    return np.random.default_rng(seed).uniform(-1, 1, (n, B, D)).astype(np.float32)


@pytest.mark.parametrize("reward", ["loss_change", "counterfactual"])
def test_the_rows_are_the_single_form_s_episode_bit_for_bit(make_env, make_rows, reward):
    single, rows = make_env(reward=reward), make_rows(reward=reward)
    assert np.array_equal(single.reset(seed=7)[0], rows.reset(seed=7)[0])
    for action in actions():
        observation, paid, terminated, truncated, info = single.step(action)
        observations, rewards, terminations, truncations, infos = rows.step(action)
        assert np.array_equal(observation, observations)
        assert paid == rewards.mean()
        assert (terminations == terminated).all()
        assert (truncations == truncated).all()
        assert all(info[name] == pytest.approx(infos[name].mean(), rel=1e-12) for name in info)
    assert truncated
    for a, b in zip(single.trainer.vae.parameters(), rows.env.trainer.vae.parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_row_is_paid_for_the_change_of_its_own_picture_s_loss(make_rows):
    env = make_rows(reward_scale=0.5)
    env.reset(seed=1)
    last: dict[int, float] = {}
    for action in actions():
        batch = env.env.trainer.next_index().tolist()
        _, rewards, _, _, infos = env.step(action)
        change = [loss - last.get(picture, loss) for picture, loss in zip(batch, infos["loss_nats"], strict=True)]
        assert rewards == pytest.approx(-0.5 * B / 20 * np.array(change), rel=1e-9)
        last.update(zip(batch, infos["loss_nats"], strict=True))
    assert len(set(rewards)) == B


def test_an_action_changes_its_own_row_s_counterfactual_alone(make_rows):
    env, one = make_rows(reward="counterfactual", delta_scale=1.0), np.zeros((B, D), np.float32)
    env.reset(seed=0)
    one[2] = 1
    rewards = env.step(one)[1]
    assert abs(rewards[2]) > 1e-3
    assert np.delete(rewards, 2) == pytest.approx(np.zeros(B - 1), abs=1e-5)


def test_make_vec_gives_the_rows_and_a_spec_that_makes_them_again():
    env = gym.make_vec("HandLatent-v0", num_envs=3, n_images=8, latent_dim=5, autoreset_mode="SameStep")
    assert isinstance(env, HandLatentVectorEnv)
    assert env.single_observation_space.shape == env.single_action_space.shape == (5,)
    assert env.observation_space.shape == env.action_space.shape == (3, 5)
    assert env.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    observations, infos = env.reset(seed=0)
    assert env.observation_space.contains(observations)
    assert infos["epoch"].tolist() == [1, 1, 1]
    again = gym.make_vec(gym.envs.registration.EnvSpec.from_json(env.spec.to_json()))
    assert isinstance(again, HandLatentVectorEnv)
    assert (again.num_envs, again.autoreset_mode) == (3, AutoresetMode.SAME_STEP)
    assert np.array_equal(again.reset(seed=0)[0], observations)


def test_make_vec_in_sync_mode_runs_several_vaes():
    env = gym.make_vec("HandLatent-v0", num_envs=2, vectorization_mode="sync", n_images=8, latent_dim=5, batch_size=4)
    observations, _ = env.reset(seed=0)
    assert observations.shape == (2, 4, 5)
    assert not np.array_equal(observations[0], observations[1])


@pytest.mark.parametrize("mode", MODES)
def test_the_ends_of_episodes_are_gymnasium_s_own(tiny_images, make_rows, mode):
    """Hold each autoreset mode against SyncVectorEnv around one single form, which is one row of the same meaning."""
    settings = {"images": tiny_images, "latent_dim": D, "epochs_per_episode": 1}
    sync = gym.vector.SyncVectorEnv([lambda: HandLatentEnv(batch_size=B, **settings)], autoreset_mode=mode)
    rows = make_rows(epochs_per_episode=1, autoreset_mode=mode)
    assert np.array_equal(sync.reset(seed=2)[0][0], rows.reset(seed=2)[0])
    for action in actions(n=13):
        observation, reward, terminated, truncated, info = sync.step(action[None])
        observations, rewards, terminations, truncations, infos = rows.step(action)
        assert np.array_equal(observation[0], observations)
        assert reward[0] == rewards.mean()
        assert (terminations == terminated[0]).all()
        assert (truncations == truncated[0]).all()
        assert ("final_obs" in info) == ("final_obs" in infos)
        if "final_obs" in infos:
            assert np.array_equal(info["final_obs"][0], np.stack(infos["final_obs"]))
            assert infos["final_info"]["loss_nats"].mean() == pytest.approx(info["final_info"]["loss_nats"][0])
            assert infos["_final_obs"].all()
        if mode == "Disabled" and truncated[0]:
            with pytest.raises(gym.error.ResetNeeded):
                rows.step(action)
            mask = {"reset_mask": np.array([True])}
            after = sync.reset(options=mask)[0][0]
            assert np.array_equal(after, rows.reset(options={"reset_mask": np.full(B, True)})[0])


def test_a_diverging_vae_terminates_every_row(make_rows):
    env = make_rows(autoreset_mode="Disabled")
    env.reset(seed=0)
    next(env.env.trainer.vae.decoder.parameters()).data.fill_(float("nan"))
    observations, rewards, terminations, truncations, _ = env.step(actions()[0])
    assert rewards.tolist() == [HandLatentEnv.DIVERGENCE_REWARD] * B
    assert terminations.all()
    assert not truncations.any()
    assert not observations.any()


def test_infos_are_arrays_with_masks_as_gymnasium_lays_them_out(make_rows):
    env = make_rows()
    env.reset(seed=0)
    infos = env.step(actions()[0])[4]
    terms = {name for name in infos if not name.startswith("_")}
    assert terms == {"loss_nats", "reconstruction_nats", "kl_nats", "loss_change_nats", "epoch"}
    assert all(infos[name].shape == (B,) and infos[f"_{name}"].all() for name in terms)


def test_a_pickled_vector_environment_goes_on_where_it_was(make_rows):
    env = make_rows()
    env.reset(seed=0)
    env.step(actions()[0])
    again = pickle.loads(pickle.dumps(env))
    for action in actions()[1:4]:
        assert np.array_equal(again.step(action)[1], env.step(action)[1])


def test_what_was_refused_can_be_closed():
    half_built = HandLatentVectorEnv.__new__(HandLatentVectorEnv)
    half_built.close()  # as Gymnasium 1.1 and 1.2 do when it is collected
    assert half_built.closed


def test_render_gives_a_picture_for_each_row_and_close_lets_go(make_rows):
    env = make_rows(render_mode="rgb_array")
    env.reset(seed=0)
    frames = env.render()
    assert len(frames) == B
    assert all(frame.shape == (32, 32, 3) and frame.dtype == np.uint8 for frame in frames)
    for frame, own in zip(
        frames, decode_all(env.env.trainer.averaged_vae, StandardNormal(D).sample(B, 0)), strict=True
    ):
        assert np.array_equal(frame, own.permute(1, 2, 0).numpy())
    assert make_rows().render() is None
    env.close()
    with pytest.raises(gym.error.ResetNeeded):
        env.step(actions()[0])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"autoreset_mode": "Never"},
            r"autoreset_mode must be one of 'NextStep', 'SameStep', 'Disabled', got 'Never'",
        ),
        ({"delta_scale": -1.0}, "delta_scale must be a finite number above 0, got -1.0"),
    ],
)
def test_a_wrong_argument_raises(make_rows, settings, message):
    with pytest.raises(ValueError, match=message):
        make_rows(**settings)


def test_a_wrong_action_seed_or_mask_raises(make_rows):
    env = make_rows()
    with pytest.raises(ValueError, match=r"seed must be one number, got \[1, 2, 3, 4\]"):
        env.reset(seed=[1, 2, 3, 4])
    with pytest.raises(ValueError, match="reset_mask must be true for all 4 rows"):
        env.reset(options={"reset_mask": np.array([True, False, True, True])})
    env.reset(seed=0)
    with pytest.raises(ValueError, match=r"action must have shape \(4, 6\), got \(3, 6\)"):
        env.step(actions()[0][:3])


def test_a_numpy_seed_will_do_and_a_closed_environment_opens_and_closes_again(make_rows):
    env = make_rows(epochs_per_episode=1)
    first, _ = env.reset(seed=np.int64(3))
    assert np.array_equal(first, env.reset(seed=3)[0])
    for action in actions(n=5):
        env.step(action)
    env.close()  # with a reset due
    with pytest.raises(gym.error.ResetNeeded):
        env.step(actions()[0])
    env.reset(seed=0)
    env.close()
    with pytest.raises(gym.error.ResetNeeded):
        env.step(actions()[0])


def test_a_terminated_row_is_reset_and_handed_to_stable_baselines3_as_terminal(make_rows):
    rows = make_rows(autoreset_mode="SameStep")
    env = GymnasiumVecEnv(rows)
    env.seed(0)
    env.reset()
    next(rows.env.trainer.vae.decoder.parameters()).data.fill_(float("nan"))
    observations, rewards, dones, infos = env.step(actions()[0])
    assert rewards.tolist() == [HandLatentEnv.DIVERGENCE_REWARD] * B
    assert dones.all()
    assert observations.any()  # of a fresh VAE
    assert [info["TimeLimit.truncated"] for info in infos] == [False] * B
    assert not any(info["terminal_observation"].any() for info in infos)
