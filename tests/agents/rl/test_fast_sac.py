"""FastSAC gives stock SAC's numbers bit for bit on the CPU, reads and writes its files, and does less work."""

import copy
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from threading import Event
from unittest.mock import Mock

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3 import SAC
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize
from torch.distributions import Distribution
from torch.optim.optimizer import register_optimizer_step_pre_hook

from agents import FastSAC, RefinePolicy, RowPolicy, make_sac
from agents.rl.sac import load_learner, sac_state

UPDATES = 50
SMALL = {"learning_starts": 10, "batch_size": 8, "gradient_steps": 5, "buffer_size": 100, "device": "cpu", "seed": 0}
TINY = {"net_arch": [16, 16]}
NAMES = ("ent_coef", "ent_coef_loss", "actor_loss", "critic_loss", "learning_rate", "n_updates")


class Normed(BaseFeaturesExtractor):
    """Features from a layer that keeps statistics."""

    def __init__(self, space):
        super().__init__(space, 8)
        self.layers = torch.nn.Sequential(torch.nn.Linear(3, 8), torch.nn.BatchNorm1d(8))

    def forward(self, observations):
        return self.layers(observations)


class Noisy(Normed):
    """Features with noise that no layer shows."""

    def __init__(self, space):
        super().__init__(space)
        del self.layers[1]

    def forward(self, observations):
        return super().forward(observations + torch.randn(3))


class Parts(gym.ObservationWrapper):
    """Pendulum-v1, its observation split in two."""

    def __init__(self):
        super().__init__(gym.make("Pendulum-v1"))
        self.observation_space = spaces.Dict(angle=spaces.Box(-1, 1, (2,)), speed=spaces.Box(-8, 8, (1,)))

    def observation(self, observation):
        return {"angle": observation[:2], "speed": observation[2:]}


def trained(algorithm, policy="MlpPolicy", env="Pendulum-v1", policy_kwargs=TINY, updates=UPDATES, **settings):
    """Train; then return the model and what it logged."""
    model = algorithm(policy, env, policy_kwargs=dict(policy_kwargs), **{**SMALL, **settings})
    model.set_logger(Logger(None, []))
    model.learn(model.learning_starts + updates // model.gradient_steps, log_interval=1_000)
    assert model._n_updates == updates
    return model, dict(model.logger.name_to_value)


def check_same(one, other):
    """Weights, optimisers and the next random numbers are the same, bit for bit."""
    pairs = zip(one.get_parameters().items(), other.get_parameters().items(), strict=True)
    for (name, state), (_, others) in pairs:
        torch.testing.assert_close(state, others, rtol=0, atol=0, msg=name)
    if one.log_ent_coef is not None:
        assert torch.equal(one.log_ent_coef, other.log_ent_coef)


def check_like_stock(**settings):
    """Train both from one seed and compare."""
    (stock, logged), after = trained(SAC, **settings), (torch.rand(2), np.random.rand(2))  # noqa: NPY002 - what SAC draws from
    (fast, noted), then = trained(FastSAC, **settings), (torch.rand(2), np.random.rand(2))  # noqa: NPY002 - likewise
    check_same(stock, fast)
    assert torch.equal(after[0], then[0])
    assert np.array_equal(after[1], then[1])
    for name in NAMES:
        assert logged.get(f"train/{name}") == noted.get(f"train/{name}"), name
    return fast, noted


@pytest.mark.parametrize(
    "settings",
    [
        {"updates": UPDATES},
        {"updates": UPDATES, "gamma": 0.0},
        {"gamma": 0.0, "policy_kwargs": {**TINY, "features_extractor_class": Normed}},
        {"gamma": 0.0, "policy_kwargs": {**TINY, "features_extractor_class": Noisy}},
        {"gamma": 0.0, "policy_kwargs": {**TINY, "activation_fn": partial(torch.nn.BatchNorm1d, 16)}},
        {"gamma": 0.0, "policy_kwargs": {**TINY, "activation_fn": torch.nn.RReLU}},
        {"policy_kwargs": {**TINY, "features_extractor_class": Normed, "share_features_extractor": True}},
        {"ent_coef": 0.2},
        {"ent_coef": "auto_0.3", "target_entropy": -0.5, "learning_rate": lambda left: 1e-2 * left},
        {"target_update_interval": 3, "gradient_steps": 2, "tau": 0.1, "updates": 16},
        {"n_steps": 3},
        {"n_steps": 3, "gamma": 0.0},
        {"use_sde": True},
        {"policy_kwargs": {**TINY, "optimizer_class": torch.optim.AdamW}},
        {"policy_kwargs": {**TINY, "optimizer_kwargs": {"amsgrad": True}}},
        {"policy_kwargs": {**TINY, "optimizer_kwargs": {"fused": True}}},
        {"policy_kwargs": {"net_arch": {"pi": [8], "qf": [400, 400]}, "n_critics": 3}},
        {"optimize_memory_usage": True, "replay_buffer_kwargs": {"handle_timeout_termination": False}},
    ],
    ids=lambda settings: ", ".join(settings),
)
def test_the_numbers_are_those_of_stock(settings):
    check_like_stock(**{"updates": 15, **settings})


def test_the_numbers_are_those_of_stock_with_dicts():
    check_like_stock(policy="MultiInputPolicy", env=Parts(), updates=15)


def test_the_numbers_are_those_of_stock_with_normalised_observations_and_rewards():
    def normalised(algorithm):
        env = VecNormalize(DummyVecEnv([lambda: gym.make("Pendulum-v1")]))
        return trained(algorithm, env=env, updates=15)[0]

    check_same(normalised(SAC), normalised(FastSAC))


@pytest.mark.parametrize(("gamma", "updates"), [(0.99, UPDATES), (0.0, 5)])
def test_the_numbers_are_those_of_stock_with_a_policy_of_rows(make_env, gamma, updates):
    def on_rows(algorithm):
        return trained(algorithm, RowPolicy, make_env(), policy_kwargs={}, gamma=gamma, updates=updates)[0]

    check_same(on_rows(SAC), on_rows(FastSAC))


@pytest.mark.parametrize("steps_per_episode", [1, 2])
def test_make_sac_makes_it_and_the_numbers_are_those_of_stock_with_a_policy_that_sees_pictures(
    make_refine, steps_per_episode
):
    def on_pictures(**settings):
        model = make_sac(
            make_refine(steps_per_episode=steps_per_episode),
            seed=0,
            policy=RefinePolicy,
            policy_kwargs=TINY,
            learning_starts=2,
            train_freq=1,
            batch_size=4,
            **settings,
        )
        model.learn(8)
        return model

    fast = on_pictures()
    assert type(fast) is FastSAC
    stock = on_pictures(algorithm=SAC)
    assert type(stock) is SAC
    check_same(stock, fast)


def test_the_log_has_the_largest_value_of_each_call_too():
    model, log = trained(FastSAC, updates=5)
    assert log["train/critic_loss_max"] > log["train/critic_loss"]
    assert log["train/ent_coef_max"] >= log["train/ent_coef"]
    model.train(1, 8)
    assert all(weight.grad is None for weight in model.policy.parameters())
    log = model.logger.name_to_value
    for name in ("ent_coef", "ent_coef_loss", "actor_loss", "critic_loss"):
        assert log[f"train/{name}_max"] == log[f"train/{name}"]


@pytest.mark.parametrize(("writes", "reads"), [(SAC, FastSAC), (FastSAC, SAC)])
def test_each_reads_what_the_other_saved_and_continues_alike(writes, reads, tmp_path):
    model, _ = trained(writes, updates=5)
    model.save(tmp_path / "model")
    model.save_replay_buffer(tmp_path / "replay")
    ends = []
    for algorithm in (writes, reads):
        env = gym.make("Pendulum-v1")
        again = algorithm.load(tmp_path / "model", env, device="cpu")
        again.load_replay_buffer(tmp_path / "replay")
        check_same(model, again)
        again.set_logger(Logger(None, []))
        again.set_random_seed(1)
        again.train(5, 8)
        ends.append(again)
    check_same(*ends)
    assert not torch.equal(ends[0].actor.mu.weight, model.actor.mu.weight)


@pytest.mark.parametrize(("before", "after"), [(SAC, FastSAC), (FastSAC, SAC)])
def test_each_resumes_exactly_what_the_other_began(before, after):
    model, _ = trained(before, updates=5)
    state = copy.deepcopy(sac_state(model))
    ends = []
    for algorithm in (before, after):
        again, _ = trained(algorithm, updates=5)
        load_learner(again, copy.deepcopy(state))
        again.train(5, 8)
        ends.append(again)
    check_same(*ends)


def test_gamma_zero_asks_nothing_about_what_follows(monkeypatch):
    def asked(**settings):
        model, _ = trained(FastSAC, updates=5, **settings)
        forward = Mock(wraps=model.critic_target.forward)
        monkeypatch.setattr(model.critic_target, "forward", forward)
        model.train(3, 8)
        return forward.call_count

    assert asked(gamma=0.0) == 0
    assert asked(gamma=0.5) == 3


def test_the_actors_loss_gives_the_critics_no_gradients_and_adam_takes_no_call(monkeypatch):
    model, _ = trained(FastSAC, updates=5)
    seen = []
    for weight in model.critic.parameters():
        weight.register_hook(lambda gradient: seen.append(gradient.shape))
    step = Mock()
    monkeypatch.setattr(torch.optim.Adam, "step", step)
    model.train(1, 8)
    assert len(seen) == len(list(model.critic.parameters()))
    assert step.call_count == 0


FROZEN = {
    "a layer of the actor": lambda model: model.actor.latent_pi[0].parameters(),
    "the actor": lambda model: model.actor.parameters(),
    "a layer of a critic": lambda model: model.critic.qf1[0].parameters(),
}


@pytest.mark.parametrize("settings", [{}, {"optimizer_class": torch.optim.AdamW}], ids=["Adam", "AdamW"])
@pytest.mark.parametrize("frozen", FROZEN)
def test_the_numbers_are_those_of_stock_with_weights_that_are_frozen_for_a_while(frozen, settings):
    def learned(algorithm, before):
        model = algorithm("MlpPolicy", "Pendulum-v1", policy_kwargs={**TINY, **settings}, **SMALL)
        model.set_logger(Logger(None, []))
        model.learn(before)
        weights = list(FROZEN[frozen](model))
        kept = [weight.detach().clone() for weight in weights]
        for learns in (False, True):
            for weight in weights:
                weight.requires_grad_(learns)
                weight.grad = None if learns else torch.ones_like(weight)  # of an earlier backward pass
            model.learn(13, reset_num_timesteps=False)
            assert all(map(torch.equal, weights, kept)) != learns
        return model

    for before in (10, 13):  # without updates and with some
        check_same(learned(SAC, before), learned(FastSAC, before))


def test_hooks_of_optimisers_and_their_own_steps_are_called():
    model, _ = trained(FastSAC, updates=5)
    called = Mock(**{f"{name}.return_value": None for name in ("before", "after", "each")})
    model.critic.optimizer.register_step_pre_hook(lambda *_: called.before())
    model.actor.optimizer.register_step_post_hook(lambda *_: called.after())
    rate = torch.optim.lr_scheduler.LambdaLR(model.ent_coef_optimizer, lambda _: 1.0)
    model.train(3, 8)
    assert called.before.call_count == called.after.call_count == 3
    rate.step()  # it warns if no step of the optimiser came before
    hook = register_optimizer_step_pre_hook(lambda *_: called.each())
    model.train(2, 8)
    hook.remove()
    assert called.each.call_count == 6
    model.train(2, 8)
    assert called.each.call_count == 6


def test_arguments_of_distributions_are_checked_again_when_the_last_of_two_threads_has_trained(monkeypatch):
    monkeypatch.setattr(Distribution, "_validate_args", True)
    first, second = (trained(FastSAC, updates=5)[0] for _ in range(2))
    begun, may_end = Event(), Event()
    runs: list[Future[None]] = []

    def begin(*_):
        if not runs:
            runs.append(pool.submit(second.train, 1, 8))
            begun.wait(60)

    def pause(*_):
        begun.set()
        may_end.wait(60)

    first.critic.register_forward_pre_hook(begin)
    second.critic.register_forward_hook(pause)
    with ThreadPoolExecutor(1) as pool:
        first.train(1, 8)
        checked = Distribution._validate_args
        may_end.set()
    assert not checked  # the second still trained
    assert Distribution._validate_args
    assert runs[0].exception() is None


def test_nan_in_the_weights_raises_at_the_next_action():
    model, _ = trained(FastSAC, updates=5)
    with torch.no_grad():
        model.actor.mu.weight.fill_(torch.nan)
    model.train(1, 8)
    with pytest.raises(ValueError, match="Expected parameter loc"):
        model.learn(1, reset_num_timesteps=False)
