import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3 import SAC
from stable_baselines3.common.vec_env import DummyVecEnv
from stable_baselines3.sac.policies import LOG_STD_MAX, LOG_STD_MIN

from agents.rl.row_policy import RowLogStd, RowPolicy


class Pull(gym.Env):
    """Rows of numbers; the best action is the same function of each: half of the row, negated."""

    def __init__(self, rows=3, dimensions=2):
        self.observation_space = spaces.Box(-1.0, 1.0, (rows, dimensions), np.float32)
        self.action_space = spaces.Box(-1.0, 1.0, (rows, dimensions), np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.latents = self.np_random.uniform(-1, 1, self.observation_space.shape).astype(np.float32)
        return self.latents.copy(), {}

    def step(self, action):
        reward = -float(np.square(action + self.latents / 2).mean())
        return self.reset()[0], reward, False, False, {}


def sac(rows=3, dimensions=2, **settings):
    settings = {"buffer_size": 1000, "learning_starts": 20, "batch_size": 16, "seed": 0, **settings}
    return SAC(RowPolicy, Pull(rows, dimensions), **settings)


def batch(model, n=4):
    generator = torch.Generator().manual_seed(1)
    return [torch.rand(n, *space.shape, generator=generator) for space in (model.observation_space, model.action_space)]


def test_parameters_do_not_grow_with_the_number_of_rows():
    def shapes(rows):
        return {name: tensor.shape for name, tensor in sac(rows, 5).policy.state_dict().items()}

    assert shapes(2) == shapes(64)


def test_permuting_the_rows_permutes_the_action():
    model = sac(rows=5)
    observations, _ = batch(model)
    order = torch.tensor([3, 0, 4, 1, 2])
    with torch.no_grad():
        actions = model.actor(observations, deterministic=True).unflatten(1, (5, 2))
        permuted = model.actor(observations[:, order], deterministic=True).unflatten(1, (5, 2))
    assert torch.allclose(permuted, actions[:, order], atol=1e-6)
    assert not torch.allclose(permuted, actions, atol=1e-3)


def test_a_row_s_action_depends_on_that_row_alone():
    model = sac()
    observations, _ = batch(model)
    other = observations.clone()
    other[:, 1] += 1
    same = model.actor(observations, deterministic=True) == model.actor(other, deterministic=True)
    assert same.unflatten(1, (3, 2)).all(dim=(0, 2)).tolist() == [True, False, True]


def test_permuting_the_rows_leaves_the_value_and_pairing_them_again_does_not():
    model = sac(rows=5)
    observations, actions = batch(model)
    order = torch.tensor([3, 0, 4, 1, 2])
    with torch.no_grad():
        values = torch.stack(model.critic(observations, actions.flatten(1)))
        permuted = torch.stack(model.critic(observations[:, order], actions[:, order].flatten(1)))
        repaired = torch.stack(model.critic(observations, actions[:, order].flatten(1)))
        first = model.critic.q1_forward(observations, actions.flatten(1))
    assert values.shape == (2, 4, 1)
    assert torch.allclose(values, permuted, atol=1e-6)
    assert not torch.allclose(values, repaired, atol=1e-5)
    assert not torch.allclose(values[0], values[1], atol=1e-3)  # twins
    assert torch.equal(first, values[0])


def test_the_critics_in_one_product_are_the_networks_one_by_one():
    model = sac(policy_kwargs={"net_arch": [8, 6]})
    observations, actions = batch(model)
    features = model.critic.features_extractor(observations)
    rows = torch.cat([features, actions], dim=-1)
    for value, network in zip(model.critic(observations, actions.flatten(1)), model.critic.q_networks, strict=True):
        assert torch.allclose(value, network(rows), atol=1e-6)


def test_every_critic_weight_learns_from_the_critics_loss_and_no_first_layer_from_the_actor_s():
    model = sac()
    observations, actions = batch(model)
    weights = dict(model.critic.named_parameters())
    sum(model.critic(observations, actions.flatten(1))).sum().backward()
    assert all(weight.grad is not None for weight in weights.values())
    model.critic.optimizer.zero_grad()
    sampled, _ = model.actor.action_log_prob(observations)
    sum(model.critic(observations, sampled)).sum().backward()
    unmoved = {name for name, weight in weights.items() if weight.grad is None}
    firsts = ("features_extractor.layer", "qf0.0", "qf1.0")
    assert unmoved == {f"{layer}.{kind}" for layer in firsts for kind in ("weight", "bias")}
    assert all(weight.grad.abs().sum() > 0 for weight in model.actor.parameters())


def test_losses_sample_from_the_distribution_that_acts():
    model = sac()
    observations, _ = batch(model, 1)
    observations = observations.expand(20_000, -1, -1)
    with torch.no_grad():
        for_losses, log_probs = model.actor.action_log_prob(observations)
        acted = model.actor(observations)
        means, log_stds, _ = model.actor.get_action_dist_params(observations)
        theirs = model.actor.action_dist.proba_distribution(means, log_stds).log_prob(for_losses)
    assert torch.allclose(for_losses.mean(0), acted.mean(0), atol=0.02)
    assert torch.allclose(for_losses.std(0), acted.std(0), atol=0.02)
    assert (log_probs - theirs).abs().max() < 0.05  # they recover the noise from the action, with rounding


def test_log_standard_deviations_stay_in_sac_s_bounds():
    model = sac()
    observations, _ = batch(model)
    for value, bound in ((100.0, 2.0), (-100.0, -20.0)):
        torch.nn.init.constant_(model.actor.log_std.row.bias, value)
        torch.nn.init.constant_(model.actor.log_std.dimension, value)
        assert (model.actor.get_action_dist_params(observations)[1] == bound).all()


def test_a_short_training_moves_every_network():
    model = sac()
    before = {name: tensor.clone() for name, tensor in model.policy.state_dict().items()}
    model.learn(40)
    assert all(not torch.equal(tensor, before[name]) for name, tensor in model.policy.state_dict().items())


@pytest.mark.slow(seconds=10)
@pytest.mark.parametrize("seed", range(3))
def test_stock_sac_learns_the_best_action_of_each_row(seed):
    envs = DummyVecEnv([lambda: Pull(rows=4, dimensions=3)] * 16)  # many samples for a call of the policy
    few_but_large = {"gradient_steps": 8, "batch_size": 256, "learning_rate": lambda left: 7e-3 * left}  # updates
    settings = {"buffer_size": 4000, "learning_starts": 64, "train_freq": 1, "gamma": 0.0, "ent_coef": 1e-4}
    model = SAC(RowPolicy, envs, seed=seed, **settings, **few_but_large)
    model.learn(1200)
    latents = np.random.default_rng(0).uniform(-1, 1, (200, 4, 3)).astype(np.float32)
    actions, _ = model.predict(latents, deterministic=True)
    none, left = np.square(latents / 2).mean(), np.square(actions + latents / 2).mean()
    assert left < 0.2 * none  # 0.06 to 0.1 over four seeds; MlpPolicy leaves 1.03: no better than no action


def test_save_and_load_give_the_same_prediction(tmp_path):
    model = sac(policy_kwargs={"net_arch": [8], "features_extractor_kwargs": {"features_dim": 6}}).learn(30)
    observation = model.observation_space.sample()
    expected, _ = model.predict(observation, deterministic=True)
    assert expected.shape == (3, 2)
    model.save(tmp_path / "model")
    loaded = SAC.load(tmp_path / "model", env=Pull())
    assert np.array_equal(loaded.predict(observation, deterministic=True)[0], expected)
    loaded.learn(30)
    model.policy.save(tmp_path / "policy")
    assert np.array_equal(RowPolicy.load(tmp_path / "policy").predict(observation, deterministic=True)[0], expected)
    fresh = sac(seed=9, policy_kwargs={"net_arch": [8], "features_extractor_kwargs": {"features_dim": 6}})
    fresh.set_parameters(model.get_parameters(), exact_match=True)
    assert np.array_equal(fresh.predict(observation, deterministic=True)[0], expected)


def test_weights_of_few_rows_serve_many():
    small, large = sac(rows=2), sac(rows=7, seed=5)
    large.set_parameters(small.get_parameters())
    latents = np.random.default_rng(0).uniform(-1, 1, (7, 2)).astype(np.float32)
    whole, _ = large.predict(latents, deterministic=True)
    assert np.allclose(small.predict(latents[:2], deterministic=True)[0], whole[:2], atol=1e-6)


def test_rows_of_actions_may_be_of_another_length_and_bounds():
    class Uneven(Pull):
        def __init__(self):
            super().__init__()
            self.action_space = spaces.Box(-2.0, 4.0, (3, 1), np.float32)

        def step(self, action):
            assert self.action_space.contains(action)
            return self.reset()[0], 0.0, False, False, {}

    SAC(RowPolicy, Uneven(), learning_starts=5, buffer_size=100, seed=0).learn(10)


def test_state_dependent_exploration_is_refused():
    with pytest.raises(ValueError, match=r"RowPolicy has no state-dependent exploration, got use_sde=True"):
        sac(use_sde=True)


def test_critics_without_a_layer_are_refused():
    with pytest.raises(ValueError, match=r"need a hidden layer, got net_arch=\[\]"):
        sac(policy_kwargs={"net_arch": {"pi": [4], "qf": []}})
    with pytest.raises(ValueError, match=r"need a hidden layer, got net_arch=\[\]"):
        sac(policy_kwargs={"net_arch": []})


@pytest.mark.parametrize("shape", [(2,), (4, 2), (3, 2, 2)])
def test_other_spaces_are_refused(shape):
    env = Pull()
    env.action_space = spaces.Box(-1.0, 1.0, shape, np.float32)
    with pytest.raises(ValueError, match=r"RowPolicy needs an observation space Box \(B, D\)"):
        SAC(RowPolicy, env, buffer_size=10)


def test_deviations_stay_in_sac_s_bounds():
    layer = RowLogStd(4, 3)
    with torch.no_grad():
        layer.dimension.copy_(torch.tensor([-100.0, 0.0, 100.0]))
        found = layer(1e4 * torch.randn(5, 2, 4, generator=torch.Generator().manual_seed(0)))
    assert found.min() >= LOG_STD_MIN
    assert found.max() <= LOG_STD_MAX
