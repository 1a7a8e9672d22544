import copy
from typing import cast

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.vector import SyncVectorEnv
from gymnasium.wrappers.vector import RecordEpisodeStatistics
from stable_baselines3 import SAC
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from agents import FastSAC, GymnasiumVecEnv, RowPolicy
from agents.rl.sac import REPLAY_BYTES, ROW_SETTINGS, build_policy, load_learner, make_sac, restore_sac, sac_state
from hand_env import HandLatentVectorEnv
from vae.checkpoint import load_checkpoint, save_checkpoint

TINY = {"learning_starts": 4, "train_freq": 2, "batch_size": 8, "policy_kwargs": {"net_arch": [16]}}


def test_stock_sac_trains_on_the_environment(make_env):
    model = SAC("MlpPolicy", make_env(), learning_starts=4, batch_size=8, buffer_size=100, seed=0)
    before = [p.detach().clone() for p in model.actor.parameters()]
    model.learn(12)
    assert any(not torch.equal(a, b) for a, b in zip(before, model.actor.parameters(), strict=True))
    assert model.num_timesteps == 12


def test_the_last_step_of_an_episode_is_stored_as_cut_off_and_not_as_terminal(make_env):
    model = make_sac(make_env(epochs_per_episode=2), seed=0, **TINY)
    model.learn(14)  # an episode of ten steps and a little more
    buffer = model.replay_buffer
    assert buffer.timeouts[:14, 0].tolist() == [0.0] * 9 + [1.0] + [0.0] * 4
    samples = buffer._get_samples(np.arange(14))
    assert samples.dones.sum() == 0  # so the target is bootstrapped there
    assert not np.array_equal(buffer.next_observations[9], buffer.observations[10])


def test_make_sac_leaves_no_folder_of_logs_unless_one_is_asked_for(make_env, tmp_path, monkeypatch):
    monkeypatch.setenv("SB3_LOGDIR", str(tmp_path / "logs"))
    make_sac(make_env(), seed=0, **TINY).learn(2)
    assert not (tmp_path / "logs").exists()
    make_sac(make_env(), seed=0, **TINY, tensorboard_log=str(tmp_path / "events")).learn(2)
    assert list((tmp_path / "events" / "SAC_1").glob("events.*"))


def test_make_sac_fits_its_replay_buffer_in_memory(make_env):
    buffer = make_sac(make_env(batch_size=20, latent_dim=300), seed=0).replay_buffer
    arrays = (buffer.observations, buffer.next_observations, buffer.actions)
    assert 0.9 * REPLAY_BYTES < sum(array.nbytes for array in arrays) <= REPLAY_BYTES


def test_make_sac_has_twin_critics_and_automatic_entropy(make_env):
    model = make_sac(make_env(), seed=0, **TINY)
    assert len(model.critic.q_networks) == 2
    assert model.ent_coef_optimizer is not None
    assert model.target_entropy == -4 * 6


def test_sac_and_environment_resume_bit_for_bit_from_a_file(make_env, tmp_path):
    whole = make_sac(make_env(epochs_per_episode=10), seed=0, **TINY)
    whole.learn(20)
    env = whole.env.envs[0].unwrapped
    path = save_checkpoint(tmp_path, 20, {"agent": sac_state(whole), "env": env.state_dict()})
    whole.learn(14, reset_num_timesteps=False)

    torch.manual_seed(123)  # what a new process would find
    np.random.seed(123)  # noqa: NPY002 - what Stable-Baselines3 draws from
    resumed = make_sac(make_env(epochs_per_episode=10), seed=0, **TINY)
    state = load_checkpoint(path)
    restore_sac(resumed, state["agent"], state["env"])
    resumed.learn(14, reset_num_timesteps=False)

    pairs = zip(whole.policy.state_dict().values(), resumed.policy.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    assert torch.equal(whole.log_ent_coef, resumed.log_ent_coef)
    assert np.array_equal(whole.replay_buffer.rewards, resumed.replay_buffer.rewards)
    other = resumed.env.envs[0].unwrapped
    pairs = zip(env.trainer.vae.parameters(), other.trainer.vae.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("ent_coef", ["auto_0.1", 0.1])
def test_a_state_does_not_change_when_sac_learns_on(make_env, ent_coef):
    model = make_sac(make_env(), seed=0, ent_coef=ent_coef, **TINY)
    model.learn(8)
    state = sac_state(model)
    before = copy.deepcopy(state)
    model.learn(8, reset_num_timesteps=False)
    for name in ("parameters", "log_ent_coef", "buffer"):
        torch.testing.assert_close(state[name], before[name], rtol=0, atol=0)
    assert "requires_grad=True" not in str(state["log_ent_coef"])


def test_a_replay_buffer_that_sac_state_cannot_copy_is_refused(make_env):
    thin = {"optimize_memory_usage": True, "replay_buffer_kwargs": {"handle_timeout_termination": False}}
    model = make_sac(make_env(), seed=0, **TINY, **thin)
    state = sac_state(make_sac(make_env(), seed=0, **TINY))
    for refused in (lambda: sac_state(model), lambda: load_learner(model, state)):
        with pytest.raises(ValueError, match=r"got optimize_memory_usage=True\. Use SAC\.save and SAC\.save_replay_bu"):
            refused()


@pytest.mark.parametrize("steps", [5, 30])
@pytest.mark.parametrize("is_new", [True, False], ids=["new", "earlier"])
def test_a_state_of_a_replay_buffer_of_another_size_is_refused(make_env, steps, is_new):
    def make(rows):
        return make_sac(make_env(), seed=0, buffer_size=rows, **TINY)

    model = make(20)
    model.learn(steps)
    state = sac_state(model)
    if not is_new:
        state.pop("buffer_rows", None)
    load_learner(make(20), state)
    for rows in (4, 21):
        if is_new or steps == 30 or rows == 4:
            with pytest.raises(ValueError, match=r"observations must have shape .*Build SAC with the same buffer_size"):
                load_learner(make(rows), state)


def test_a_state_of_another_number_of_environments_is_refused(tiny_images):
    def make(rows):
        settings = {"images": tiny_images, "latent_dim": 6, "autoreset_mode": "SameStep"}
        return make_sac(gym.make_vec("HandLatent-v0", num_envs=rows, **settings), seed=0, buffer_size=20 * rows, **TINY)

    model = make(1)
    model.learn(4)
    with pytest.raises(
        ValueError, match=r"must have shape \(20, 1, 6\), as in the state, got \(20, 4, 6\)\. Build SAC"
    ):
        load_learner(make(4), sac_state(model))


@pytest.mark.parametrize("net_arch", [None, [8, 7, 6, 5, 4, 3, 2], {"pi": [3], "qf": [5, 4]}], ids=str)
def test_a_policy_built_from_tensors_predicts_what_the_trained_one_does(make_env, net_arch):
    sizes = {"policy_kwargs": {"net_arch": net_arch}}
    model = make_sac(make_env(), seed=0, learning_starts=4, train_freq=2, batch_size=8, **sizes)
    model.learn(10)
    policy = build_policy(model.observation_space, model.action_space, model.policy.state_dict())
    observation = np.ones((4, 6), np.float32)
    expected = model.predict(observation, deterministic=True)[0]
    assert np.array_equal(policy.predict(observation, deterministic=True)[0], expected)


def test_sac_resumes_bit_for_bit_across_the_end_of_an_episode(make_env, tmp_path):
    def short():
        return make_env(epochs_per_episode=1)  # five steps

    whole = make_sac(short(), seed=0, **TINY)
    whole.learn(8)
    env = whole.env.envs[0].unwrapped
    path = save_checkpoint(tmp_path, 8, {"agent": sac_state(whole), "env": env.state_dict()})
    whole.learn(10, reset_num_timesteps=False)
    resumed = make_sac(short(), seed=0, **TINY)
    state = load_checkpoint(path)
    restore_sac(resumed, state["agent"], state["env"])
    resumed.learn(10, reset_num_timesteps=False)
    assert resumed.env.envs[0].unwrapped.trainer.seed == env.trainer.seed
    pairs = zip(whole.policy.state_dict().values(), resumed.policy.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_a_fixed_temperature_resumes_too(make_env):
    model = make_sac(make_env(), seed=0, ent_coef=0.1, **TINY)
    model.learn(6)
    again = make_sac(make_env(), seed=0, ent_coef=0.1, **TINY)
    restore_sac(again, sac_state(model), model.env.envs[0].unwrapped.state_dict())
    assert again.num_timesteps == 6


def test_make_sac_takes_the_vector_form_row_by_row(tiny_images):
    env = gym.make_vec(
        "HandLatent-v0", num_envs=4, images=tiny_images, latent_dim=6, epochs_per_episode=1, autoreset_mode="SameStep"
    )
    model = make_sac(env, seed=0, learning_starts=8, batch_size=8, policy_kwargs={"net_arch": [16]})
    before = [p.detach().clone() for p in model.actor.parameters()]
    model.learn(28)  # seven steps of four rows; an episode is five
    assert model.actor.mu.out_features == 6
    assert [episode["l"] for episode in model.ep_info_buffer] == [5] * 4  # so that rollout/ep_rew_mean is logged
    assert model.replay_buffer.timeouts[:7, 0].tolist() == [0.0] * 4 + [1.0] + [0.0] * 2
    assert any(not torch.equal(a, b) for a, b in zip(before, model.actor.parameters(), strict=True))
    assert (model.gamma, model.target_entropy) == (ROW_SETTINGS["gamma"], ROW_SETTINGS["target_entropy"])


def test_make_sac_fits_the_rows_replay_buffer_in_memory(tiny_images):
    env = gym.make_vec("HandLatent-v0", num_envs=4, images=tiny_images, autoreset_mode="SameStep")
    buffer = make_sac(env, seed=0).replay_buffer
    arrays = (buffer.observations, buffer.next_observations, buffer.actions)
    assert 0.9 * REPLAY_BYTES < sum(array.nbytes for array in arrays) <= REPLAY_BYTES


def test_the_way_out_of_a_reset_at_the_next_step_that_the_error_names_is_one(tiny_images):
    settings = {"num_envs": 4, "images": tiny_images, "latent_dim": 6}
    with pytest.raises(ValueError, match=r"Call gym\.make_vec\(\.\.\., autoreset_mode='SameStep'\)"):
        make_sac(gym.make_vec("HandLatent-v0", **settings), seed=0)
    make_sac(gym.make_vec("HandLatent-v0", autoreset_mode="SameStep", **settings), seed=0)


@pytest.mark.parametrize(
    ("contained", "found"),
    [
        (lambda make: SyncVectorEnv([make], autoreset_mode="SameStep"), "SyncVectorEnv"),
        (lambda make: RecordEpisodeStatistics(SyncVectorEnv([make], autoreset_mode="SameStep")), "SyncVectorEnv"),
        (lambda make: GymnasiumVecEnv(SyncVectorEnv([make], autoreset_mode="SameStep")), "GymnasiumVecEnv"),
        (lambda make: DummyVecEnv([make]), "DummyVecEnv"),
        (lambda make: "HandRefine-v0", "str"),
    ],
    ids=["sync", "wrapped", "adapted", "dummy", "name"],
)
def test_what_would_get_another_environment_s_settings_is_refused(make_refine, contained, found):
    with pytest.raises(TypeError, match=rf"needs an environment of this project, .*, got {found}\. For any other, bu"):
        make_sac(contained(make_refine), seed=0)


def test_a_setting_of_rows_is_read_and_changed_where_it_is_used(tiny_images):
    settings = {"images": tiny_images, "latent_dim": 6, "delta_scale": 0.5, "autoreset_mode": "SameStep"}
    rows = cast(HandLatentVectorEnv, gym.make_vec("HandLatent-v0", num_envs=4, **settings))
    adapted = GymnasiumVecEnv(rows)
    assert adapted.get_attr("delta_scale") == [0.5] * 4
    adapted.set_attr("delta_scale", 5.0)
    assert rows.env.delta_scale == 5.0
    assert not adapted.has_attr("nothing")


def test_statistics_of_vec_normalize_are_in_no_state(make_env):
    model = FastSAC("MlpPolicy", VecNormalize(DummyVecEnv([make_env])), buffer_size=10)
    with pytest.raises(ValueError, match=r"no statistics of VecNormalize, .* Use SAC\.save and VecNormalize\.save\."):
        sac_state(model)


def test_make_sac_takes_the_row_policy(make_env):
    model = make_sac(make_env(), seed=0, policy=RowPolicy, learning_starts=4, batch_size=8)
    model.learn(8)
    assert isinstance(model.policy, RowPolicy)


def test_sac_resumes_bit_for_bit_on_rows_of_corrections_too(make_refine_rows, tmp_path):
    def make():
        env = make_refine_rows(steps_per_episode=2, autoreset_mode="SameStep")
        return env, make_sac(env, seed=0, **TINY)

    env, whole = make()
    whole.learn(12)  # three steps of four rows: amid an episode
    path = save_checkpoint(tmp_path, 12, {"agent": sac_state(whole), "env": env.state_dict()})
    whole.learn(16, reset_num_timesteps=False)
    _, resumed = make()
    state = load_checkpoint(path)
    restore_sac(resumed, state["agent"], state["env"])
    resumed.learn(16, reset_num_timesteps=False)
    pairs = zip(whole.policy.state_dict().values(), resumed.policy.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    assert np.array_equal(whole.replay_buffer.rewards, resumed.replay_buffer.rewards)


def test_the_warm_up_s_random_actions_go_on(make_env):
    whole, other = (make_sac(make_env(), seed=seed, **TINY) for seed in (0, 5))
    whole.action_space.sample()
    state = sac_state(whole)
    load_learner(other, state)
    assert np.array_equal(other.action_space.sample(), whole.action_space.sample())


def test_refinement_makes_three_updates_for_sixteen_rows_and_bootstraps_if_steps_follow(make_refine, make_refine_rows):
    def model(env):
        return make_sac(env, seed=0, policy_kwargs={"net_arch": [8]}, buffer_size=100)

    rows = [model(make_refine_rows(n, autoreset_mode="SameStep")) for n in (2, 16, 64)]
    assert [each.gradient_steps for each in rows] == [1, 3, 12]
    assert [model(make_refine(steps_per_episode=steps)).gamma for steps in (1, 2)] == [0.0, 0.99]


def test_the_entropy_s_bonus_is_shared_by_the_dimensions(make_env):
    model = make_sac(make_env(), seed=0, **TINY)
    assert float(model.log_ent_coef.detach().exp()) == pytest.approx(0.1 / 24)


def test_a_state_does_not_change_when_a_full_buffer_is_filled_again(make_env):
    model = make_sac(make_env(), seed=0, buffer_size=6, **TINY)
    model.learn(8)
    state = sac_state(model)
    before = {name: array.copy() for name, array in state["buffer"].items()}
    model.learn(5, reset_num_timesteps=False)
    assert all(np.array_equal(before[name], array) for name, array in state["buffer"].items())
