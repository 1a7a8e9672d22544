"""FastSAC's updates as graphs, which hold what they were captured with; here on a CPU, where a replay is a call."""

import copy
import pickle

import gymnasium as gym
import pytest
import torch
from stable_baselines3 import SAC
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from agents import FastSAC, RefinePolicy, make_sac
from agents.rl.device_replay import DeviceReplay
from agents.rl.fast_sac import _Graphs
from vae.acceleration.cuda_graphs import EAGER_STEPS, Graph, GraphedSteps

SMALL = {"learning_starts": 10, "batch_size": 8, "gradient_steps": 5, "buffer_size": 100, "device": "cpu", "seed": 0}
TINY = {"net_arch": [16, 16]}


def check_same(one, other):
    """Weights and optimisers are the same, bit for bit."""
    torch.testing.assert_close(one.get_parameters(), other.get_parameters(), rtol=0, atol=0)
    assert torch.equal(one.log_ent_coef, other.log_ent_coef)


class Recorded(GraphedSteps):
    """Graphs on a CPU: a replay runs the captured function again, on the tensors that it held."""

    def __init__(self):
        super().__init__(torch.device("cpu"), torch.default_generator)
        self.wanted, self.recorded = True, []

    def __call__(self, kind, step, inputs):
        return self._on_stream(kind, step, inputs) if self.wanted else step(inputs)

    def _capture(self, kind, step, inputs):
        self.recorded.append(kind)
        fixed, outputs = {name: tensor.clone() for name, tensor in inputs.items()}, {"numbers": torch.zeros(4)}
        self._graphs[kind] = Graph(lambda: outputs["numbers"].copy_(step(fixed)["numbers"]), fixed, outputs)


def recorded():
    return _Graphs(Recorded(), torch.zeros(3).unbind())


@pytest.fixture
def on_gpu(monkeypatch):
    """A function that makes FastSAC as on a GPU, with some transitions, and trains it; Adam is fused in any case."""

    def make(graphs, calls, **settings):
        model = FastSAC("MlpPolicy", "Pendulum-v1", policy_kwargs=TINY, **{**SMALL, **settings})
        model.set_logger(Logger(None, []))
        model.replay_buffer, model._graphs = DeviceReplay(model.replay_buffer), graphs
        model.learn(10)
        for optimizer in model._optimizers():
            optimizer.param_groups[0]["fused"] = optimizer.defaults["fused"] = True
        source = torch.Generator().manual_seed(0)  # as on a GPU, where places do not come from the CPU's generator
        monkeypatch.setattr(DeviceReplay, "draw", lambda _, *size: torch.randint(10, size, generator=source))
        torch.manual_seed(0)
        for number, count in enumerate(calls):
            model._current_progress_remaining = 1 - number / 4
            model.train(count, 8)
        return model

    return make


def test_updates_with_graphs_are_those_without_and_rates_change(on_gpu):
    graphs = recorded()
    settings = {"calls": (2, 5, 3), "target_update_interval": 2, "learning_rate": lambda left: left / 128}
    with_graphs, without = on_gpu(graphs, **settings), on_gpu(None, **settings)
    assert graphs.launch.recorded == [True, False]
    assert with_graphs.actor.optimizer.param_groups[0]["lr"] is graphs.rates[0]
    check_same(with_graphs, without)
    assert with_graphs.logger.name_to_value == without.logger.name_to_value


def test_graphs_hold_the_pictures_of_the_replay_buffer(make_refine_rows, monkeypatch):
    def trained(graphs):
        rows = make_refine_rows(delta_scale=0.5, autoreset_mode="SameStep")
        model = make_sac(rows, policy=RefinePolicy, policy_kwargs=TINY, learning_rate=2**-11, **SMALL)
        assert isinstance(model, FastSAC)
        model.learn(12)
        model.replay_buffer, model._graphs = DeviceReplay(model.replay_buffer), graphs
        for optimizer in model._optimizers():
            optimizer.param_groups[0]["fused"] = optimizer.defaults["fused"] = True
        source = torch.Generator().manual_seed(0)
        monkeypatch.setattr(DeviceReplay, "draw", lambda _, *size: torch.randint(12, size, generator=source))
        torch.manual_seed(0)
        for count in (2, 5, 3):
            model.train(count, 8)
        return model

    graphs = recorded()
    model = trained(graphs)
    check_same(model, trained(None))
    assert graphs.launch.recorded == [True]
    model.replay_buffer.pictures = model.replay_buffer.pictures.clone()
    model.train(EAGER_STEPS + 1, 8)
    assert graphs.launch.recorded == [True, True]


def test_graphs_are_captured_again_when_what_they_hold_has_changed(on_gpu):
    graphs = recorded()
    model = on_gpu(graphs, calls=(5, 5))
    assert graphs.launch.recorded == [True]
    changes = {
        "gamma": lambda: setattr(model, "gamma", 0.5),
        "tau": lambda: setattr(model, "tau", 0.5),
        "optimisers": lambda: model.set_parameters(copy.deepcopy(model.get_parameters())),
        "replay buffer": lambda: setattr(
            model, "replay_buffer", DeviceReplay(pickle.loads(pickle.dumps(model.replay_buffer)))
        ),
        "temperature": lambda: setattr(model.log_ent_coef, "data", model.log_ent_coef.data.clone()),
        "weights": lambda: setattr(model.actor.mu.weight, "data", model.actor.mu.weight.data.clone()),
        "frozen weights": lambda: model.critic.qf0[0].requires_grad_(False),
    }
    for number, (name, change) in enumerate(changes.items(), 2):
        change()
        model.train(EAGER_STEPS, 8)
        assert len(graphs.launch.recorded) == number - 1, name
        model.train(2, 8)
        assert len(graphs.launch.recorded) == number, name
    model.train(5, 9)
    assert len(graphs.launch.recorded) == len(changes) + 2


def test_graphs_can_be_declined(on_gpu, monkeypatch):
    monkeypatch.setattr(FastSAC, "graphed", False)
    graphs = recorded()
    on_gpu(graphs, calls=(9,))
    assert graphs.launch.recorded == []


def test_a_hook_of_an_optimiser_ends_graphs_because_their_replay_would_not_call_it(on_gpu):
    graphs = recorded()
    model = on_gpu(graphs, calls=(5,))
    assert graphs.launch.wanted
    model.critic.optimizer.register_step_pre_hook(lambda *_: None)
    model.train(5, 8)
    assert not graphs.launch.wanted


def test_stock_reads_what_was_saved_on_a_gpu(on_gpu, tmp_path):
    model = on_gpu(recorded(), calls=(5,))
    model.save(tmp_path / "model")
    stock = SAC.load(tmp_path / "model", gym.make("Pendulum-v1"), device="cpu")
    check_same(model, stock)
    assert stock.actor.optimizer.param_groups[0]["lr"] == pytest.approx(3e-4)
    assert not hasattr(stock, "_graphs")
    stock.set_logger(Logger(None, []))
    stock.learn(12)


def test_what_a_gpu_cannot_hold_is_said_once_and_is_trained_all_the_same():
    def moved(**settings):
        model = FastSAC(
            "MlpPolicy", "Pendulum-v1", policy_kwargs=settings.pop("policy_kwargs", TINY), **{**SMALL, **settings}
        )
        model._graphs = recorded()
        with pytest.warns(UserWarning, match="host memory and is slower") as warnings:
            model._move_replay()
        model.set_logger(Logger(None, []))
        model.learn(12)
        assert type(model.replay_buffer) is not DeviceReplay
        return str(warnings[0].message)

    assert moved(use_sde=True).endswith(": use_sde=True.")
    assert moved(n_steps=3).endswith(": its replay buffer is a NStepReplayBuffer.")
    rmsprop = {**TINY, "optimizer_class": torch.optim.RMSprop}
    assert moved(policy_kwargs=rmsprop).endswith(": its optimiser is RMSprop, not Adam.")
    normalised = VecNormalize(DummyVecEnv([lambda: gym.make("Pendulum-v1")]))
    model = FastSAC("MlpPolicy", normalised, **SMALL)
    assert model._obstacle() == "VecNormalize normalises on the CPU"
