"""A replay buffer of tensors holds and gives what Stable-Baselines3's does; here on the CPU."""

import copy
import pickle
from collections import Counter

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3 import SAC
from stable_baselines3.common.buffers import NStepReplayBuffer, ReplayBuffer
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from agents import FastSAC, RefinePolicy, make_sac
from agents.rl import device_replay
from agents.rl.device_replay import ARRAYS, DeviceReplay, obstacle
from agents.rl.picture_policy import OneStepReplay
from agents.rl.sac import load_learner, sac_state

ROWS, ENVS, D = 4, 3, 2
SMALL = {"learning_starts": 5, "batch_size": 8, "buffer_size": 100, "device": "cpu", "seed": 0}
SPACES = (spaces.Box(-9, 9, (D,)), spaces.Box(-1, 1, (1,)))


def buffers(steps, kind=ReplayBuffer, **settings):
    """A buffer of each kind, which took the same steps."""
    ours, stock = (
        DeviceReplay(kind(ROWS * ENVS, *SPACES, "cpu", ENVS, **settings)),
        kind(ROWS * ENVS, *SPACES, "cpu", ENVS, **settings),
    )
    generator = np.random.default_rng(0)
    for number in range(steps):
        seen, following = generator.normal(size=(2, ENVS, D))
        actions, rewards = generator.uniform(-1, 1, (ENVS, 1)), generator.normal(size=ENVS)
        dones = np.array([number % 2 == 0] * ENVS)
        infos = [{"TimeLimit.truncated": row == 1} for row in range(ENVS)]
        for buffer in (ours, stock):
            buffer.add(seen, following, actions, rewards, dones, infos)
    return ours, stock


def check_same(ours, stock):
    assert (ours.pos, ours.full, ours.size()) == (stock.pos, stock.full, stock.size())
    for name in ARRAYS:
        assert np.array_equal(np.asarray(getattr(ours, name)), getattr(stock, name)), name


@pytest.mark.parametrize("handled", [True, False])
@pytest.mark.parametrize("steps", [0, 3, 4, 6])
def test_it_stores_what_stocks_does(steps, handled):
    check_same(*buffers(steps, handle_timeout_termination=handled))


@pytest.mark.parametrize("kind", [ReplayBuffer, OneStepReplay])
def test_it_gives_what_stocks_does(kind):
    device, host = buffers(6, kind)
    rows = np.array([0, 3, 1, 1, 2])
    np.random.seed(0)  # noqa: NPY002 - Stable-Baselines3 draws the environments from it
    stock = host._get_samples(rows)
    np.random.seed(0)  # noqa: NPY002 - likewise
    environments = np.random.randint(0, high=ENVS, size=5)  # noqa: NPY002 - likewise
    ours = device.at(torch.from_numpy(rows * ENVS + environments))
    for name in ("observations", "actions", "next_observations", "dones", "rewards"):
        mine, theirs = getattr(ours, name), getattr(stock, name)
        assert torch.equal(mine, theirs), name
        assert mine.dtype == theirs.dtype
    assert (ours.next_observations is ours.observations) == (kind is OneStepReplay)


def test_all_that_is_stored_is_drawn_alike():
    ours, _ = buffers(3)
    places = ours.draw(100, 90)
    assert places.shape == (100, 90)
    counts = Counter(places.flatten().tolist())
    assert sorted(counts) == list(range(3 * ENVS))
    assert all(800 < count < 1200 for count in counts.values())
    torch.manual_seed(0)
    samples = ours.sample(90)
    torch.manual_seed(0)
    assert torch.equal(samples.observations, ours.at(ours.draw(1, 90)[0]).observations)


def test_it_takes_tensors_too():
    ours, stock = buffers(1)
    step = [np.ones((ENVS, D)), np.zeros((ENVS, D)), np.ones((ENVS, 1)), np.ones(ENVS), np.zeros(ENVS)]
    stock.add(*step, [{}] * ENVS)
    ours.add(*[torch.as_tensor(each) for each in step], [{}] * ENVS)
    check_same(ours, stock)


@pytest.mark.parametrize("kind", [ReplayBuffer, OneStepReplay])
def test_it_is_pickled_as_the_buffer_that_it_was_made_from(kind):
    ours, stock = buffers(6, kind)
    again = pickle.loads(pickle.dumps(ours))
    assert type(again) is kind
    assert vars(again).keys() == vars(stock).keys()
    check_same(again, stock)
    check_same(DeviceReplay(again), stock)


def test_it_names_what_it_cannot_hold():
    own = ReplayBuffer(8, *SPACES, "cpu")
    assert obstacle(own) is None
    assert obstacle(NStepReplayBuffer(8, *SPACES, "cpu")) == "its replay buffer is a NStepReplayBuffer"
    thin = ReplayBuffer(8, *SPACES, "cpu", optimize_memory_usage=True, handle_timeout_termination=False)
    assert obstacle(thin) == "optimize_memory_usage=True overlaps observations"


def test_a_gpu_without_the_memory_is_named(monkeypatch):
    buffer = ReplayBuffer(1_000_000, *SPACES, "cpu")
    buffer.device = torch.device("cuda")
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (39_000_000, 80_000_000))
    assert obstacle(buffer) == "its replay buffer of 0.032 GB does not fit into 0.039 GB of free memory"
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (41_000_000, 80_000_000))
    assert obstacle(buffer) is None


def learner(algorithm=FastSAC, env="Pendulum-v1", moved=True, **settings):
    """SAC on Pendulum-v1; FastSAC with the replay buffer that it has on a GPU."""
    model = algorithm("MlpPolicy", env, policy_kwargs={"net_arch": [16]}, **{**SMALL, **settings})
    model.set_logger(Logger(None, []))
    if moved:
        model.replay_buffer = DeviceReplay(model.replay_buffer)
    return model


def test_an_update_is_stocks_with_the_same_minibatch(monkeypatch):
    """The places are given, since stock's come from NumPy."""
    models = learner(), learner(SAC, moved=False)
    for model in models:
        model.learn(5)
    check_same(*[model.replay_buffer for model in models])
    places = torch.tensor([[0, 2, 4, 4, 1, 3, 0, 2], [1, 1, 0, 3, 2, 4, 4, 0]])
    for model in models:
        given, buffer = iter(places), model.replay_buffer
        if isinstance(buffer, DeviceReplay):
            monkeypatch.setattr(buffer, "draw", lambda *_, given=given: next(given)[None])
        else:
            monkeypatch.setattr(
                buffer, "sample", lambda *_, given=given, buffer=buffer, **__: buffer._get_samples(next(given).numpy())
            )
        torch.manual_seed(3)
        model.train(2, 8)
    torch.testing.assert_close(models[0].policy.state_dict(), models[1].policy.state_dict(), rtol=0, atol=0)


def test_sac_resumes_exactly_and_the_state_is_stocks(tmp_path):
    whole = learner()
    whole.learn(12)
    state = copy.deepcopy(sac_state(whole))
    resumed, stock = learner(), learner(SAC, moved=False)
    for model in (stock, resumed):
        load_learner(model, copy.deepcopy(state))
        check_same(whole.replay_buffer, sac_buffer(model))
    assert isinstance(resumed.replay_buffer, DeviceReplay)
    for model in (resumed, whole):
        torch.set_rng_state(state["random"]["torch"])
        model.train(3, 8)
    torch.testing.assert_close(whole.policy.state_dict(), resumed.policy.state_dict(), rtol=0, atol=0)
    whole.save_replay_buffer(tmp_path / "replay")
    stock.load_replay_buffer(tmp_path / "replay")
    assert type(stock.replay_buffer) is ReplayBuffer
    check_same(whole.replay_buffer, stock.replay_buffer)


def sac_buffer(model):
    buffer = model.replay_buffer
    return pickle.loads(pickle.dumps(buffer)) if isinstance(buffer, DeviceReplay) else buffer


def test_it_normalises_as_stocks_does(monkeypatch):
    env = VecNormalize(DummyVecEnv([lambda: gym.make("Pendulum-v1")]))
    model = learner(env=env)
    model.learn(20)
    ours, stock = model.replay_buffer, sac_buffer(model)
    rows = np.arange(15)
    monkeypatch.setattr(ours, "draw", lambda count, batch_size: torch.arange(batch_size)[None])
    for mine, theirs in zip(ours.sample(15, env)[:5], stock._get_samples(rows, env)[:5], strict=True):
        torch.testing.assert_close(mine, theirs, rtol=0, atol=0)
    assert not torch.equal(ours.sample(15).observations, ours.sample(15, env).observations)


def seeing(make_refine_rows):
    env = make_refine_rows(delta_scale=0.5, autoreset_mode="SameStep")
    return make_sac(env, policy=RefinePolicy, **SMALL, policy_kwargs={"net_arch": [16]})


@pytest.fixture
def looking(make_refine_rows):
    """FastSAC that looks at pictures, with the replay buffer that it has on a GPU, and what stock SAC stored."""
    model = seeing(make_refine_rows)
    model.learn(12)
    stock = model.replay_buffer
    model.replay_buffer = DeviceReplay(stock)
    return model, stock


def test_pictures_are_decoded_once_and_then_remembered(looking, monkeypatch):
    model, stock = looking
    monkeypatch.setattr(device_replay, "shifted", lambda pictures: pictures)
    sight, buffer = model.policy.sight, model.replay_buffer
    places = buffer.draw(1, 8)[0]
    samples = buffer.at(places)
    wanted = [torch.from_numpy(getattr(stock, name)).flatten(0, 1)[places] for name in ARRAYS[:2]]
    wanted = [sight.pictures(latents) for latents in wanted]
    monkeypatch.setattr(sight, "pictures", None)  # what is remembered need not be decoded
    found = [sight.of(samples.observations), sight.after(samples.observations, samples.actions, 0.5)]
    for mine, theirs in zip(found, wanted, strict=True):
        assert (mine - theirs).abs().max() <= 0.5 / 255 + 1e-6
    assert not torch.equal(*found)
    assert torch.isfinite(torch.cat(model.critic(samples.observations, samples.actions))).all()


def test_a_new_step_is_decoded_as_it_comes(looking):
    buffer = looking[0].replay_buffer
    stored, (before, after) = buffer.size(), (buffer.next_observations[0].clone(), buffer.observations[0].clone())
    n = len(before)
    buffer.add(before, after, np.zeros((n, before.shape[1])), np.zeros(n), np.ones(n), [{}] * n)
    assert torch.equal(buffer.pictures[stored], buffer.pictures[0].flip(1))
    assert not torch.equal(buffer.pictures[0, :, 0], buffer.pictures[0, :, 1])


def test_pictures_follow_what_replaces_the_oldest_step(looking):
    buffer = looking[0].replay_buffer
    buffer.pos = 0  # as after the last row
    before, after = buffer.next_observations[1].clone(), buffer.observations[1].clone()
    n = len(before)
    buffer.add(before, after, np.zeros((n, before.shape[1])), np.zeros(n), np.ones(n), [{}] * n)
    assert torch.equal(buffer.pictures[0], buffer.pictures[1].flip(1))


def test_without_room_for_pictures_each_update_decodes_its_own(looking, monkeypatch):
    model, stock = looking
    monkeypatch.setattr(device_replay, "_free", lambda _: 1e5)
    with pytest.warns(
        UserWarning, match=r"GB of pictures for the replay buffer do not fit into 0\.0001 GB of free mem"
    ):
        buffer = DeviceReplay(stock)
    monkeypatch.setattr(device_replay, "shifted", lambda pictures: pictures)
    assert buffer.pictures is None
    places = torch.tensor([0, 5, 3])
    kept, decoded = (each.at(places) for each in (model.replay_buffer, buffer))
    for samples in (kept, decoded):
        assert torch.equal(samples.observations, kept.observations)
    sight = model.policy.sight
    for mine, theirs in (
        (sight.of(kept.observations), sight.of(decoded.observations)),
        (sight.after(kept.observations, kept.actions, 0.5), sight.after(decoded.observations, decoded.actions, 0.5)),
    ):
        assert (mine - theirs).abs().max() <= 0.5 / 255 + 1e-6


def test_pictures_are_in_no_file_and_come_back_when_training_resumes(looking, make_refine_rows):
    model, stock = looking
    again = pickle.loads(pickle.dumps(model.replay_buffer))
    assert type(again) is OneStepReplay
    check_same(again, stock)
    resumed = seeing(make_refine_rows)
    resumed.replay_buffer = DeviceReplay(resumed.replay_buffer)
    load_learner(resumed, copy.deepcopy(sac_state(model)))
    assert torch.equal(resumed.replay_buffer.pictures, model.replay_buffer.pictures)
