"""Algorithms of Stable-Baselines3 and sb3-contrib train unchanged, on the single form and on rows."""

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from sb3_contrib import TQC, CrossQ
from stable_baselines3 import A2C, DDPG, PPO, SAC, TD3
from stable_baselines3.common.vec_env import VecMonitor

from agents import FastSAC, GymnasiumVecEnv, RowPolicy

B, D, EPISODE = 4, 6, 6  # rows, latent dimensions, steps: 3 epochs of 8 pictures
STEPS = 16  # of the environment: two whole episodes and four steps of a third
TINY = {"n_images": 8, "latent_dim": D, "epochs_per_episode": 3}
OFF_POLICY = {"learning_starts": B, "buffer_size": 100, "batch_size": 8}
ALGORITHMS = {
    SAC: OFF_POLICY,
    FastSAC: OFF_POLICY,
    TD3: OFF_POLICY,
    DDPG: OFF_POLICY,
    TQC: OFF_POLICY,
    CrossQ: OFF_POLICY,
    PPO: {"n_steps": 8, "batch_size": 8, "n_epochs": 2},
    A2C: {"n_steps": 4},
}


def single():
    return gym.make("HandLatent-v0", batch_size=B, **TINY)


def rows():
    return VecMonitor(GymnasiumVecEnv(gym.make_vec("HandLatent-v0", num_envs=B, autoreset_mode="SameStep", **TINY)))


def the_hand_env(model):
    """The single form that is behind what the algorithm was given."""
    if isinstance(model.env, VecMonitor):
        rows: Any = model.env.venv
        return rows.env.unwrapped.env
    return model.env.envs[0].unwrapped


def learned_without(model):
    """Names of the weights that an optimiser should have moved and did not, after `STEPS`; all must be finite."""
    before = {name: weight.detach().clone() for name, weight in model.policy.named_parameters()}
    model.learn(STEPS * model.n_envs)
    after = dict(model.policy.named_parameters())
    assert all(weight.isfinite().all() for weight in after.values())
    return {name for name, weight in after.items() if torch.equal(weight, before[name])}


@pytest.mark.parametrize("make", [single, rows])
@pytest.mark.parametrize("algorithm", ALGORITHMS, ids=lambda algorithm: algorithm.__name__)
def test_an_algorithm_trains_unchanged(algorithm, make):
    model = algorithm(
        "MlpPolicy", make(), seed=0, device="cpu", policy_kwargs={"net_arch": [16]}, **ALGORITHMS[algorithm]
    )
    assert learned_without(model) == set()
    check_what_it_saw(model)


def test_sac_with_the_row_policy_trains_unchanged():
    model = SAC(RowPolicy, single(), seed=0, device="cpu", **OFF_POLICY)
    assert learned_without(model) == set()
    check_what_it_saw(model)


def check_what_it_saw(model):
    """Whole episodes with finite returns, valid actions, and a VAE that trained all along."""
    episodes = list(model.ep_info_buffer)
    assert [episode["l"] for episode in episodes] == [EPISODE] * 2 * model.n_envs
    returns = np.array([episode["r"] for episode in episodes])
    assert np.isfinite(returns).all()
    assert (returns != 0).all()

    env = the_hand_env(model)
    trainer = env.trainer
    assert trainer.steps_done == STEPS - 2 * EPISODE
    untrained = env.build_vae(trainer.seed).state_dict()
    trained = trainer.vae.state_dict()
    assert all(weight.isfinite().all() for weight in trained.values())
    assert not torch.equal(trained["encoder.head.weight"], untrained["encoder.head.weight"])
    assert not torch.equal(trained["decoder.head.weight"], untrained["decoder.head.weight"])

    observation = model.env.reset()
    action, _ = model.predict(observation)
    assert action.shape == (model.n_envs, *model.action_space.shape)
    assert all(model.action_space.contains(each) for each in action)
    if isinstance(model, (PPO, A2C)):
        return
    buffer = model.replay_buffer  # a truncated episode is bootstrapped, from its own last observation
    assert buffer.timeouts[:STEPS].sum() == 2 * model.n_envs
    assert not np.array_equal(buffer.next_observations[EPISODE - 1], buffer.observations[EPISODE])
