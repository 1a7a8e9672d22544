"""What has ended stays ended: in a restored episode, after divergence, and after an error in the middle of a step."""

import copy

import gymnasium as gym
import numpy as np
import pytest
import torch
from torch import nn

from hand_env import HandLatentEnv, HandLatentVectorEnv, HandScheduleEnv, HandScheduleVectorEnv
from vae import VAE

ZEROS, CHOICE = np.zeros((4, 4), np.float32), np.zeros(3, np.float32)
DIVERGING = {"learning_rate": 1e30, "gradient_norm": 1e30}


def judge(pictures):
    return pictures.mean((1, 2, 3))


@pytest.fixture
def settings(tiny_images, quick_vae):
    return {"images": tiny_images, "vae": quick_vae, "epochs_per_episode": 3}


@pytest.fixture
def make_rows(settings):
    return lambda **more: HandLatentVectorEnv(4, **{**settings, **more})


@pytest.fixture
def make_schedule(settings):
    return lambda **more: HandScheduleEnv(**{**settings, "batch_size": 4, "epochs_per_step": 1, **more})


def done(env, action=ZEROS):
    env.reset(seed=0)
    while not np.any(env.step(action)[2:4]):
        pass
    return env


def test_a_state_from_an_episode_s_end_has_ended(make_rows, settings):
    state = done(HandLatentEnv(batch_size=4, **settings)).state_dict()
    single = HandLatentEnv(batch_size=4, **settings)
    single.reset(options={"state": state})
    with pytest.raises(gym.error.ResetNeeded, match="has ended"):
        single.step(ZEROS)
    rows = make_rows()
    rows.reset(options={"state": state})
    _, rewards, _, _, infos = rows.step(ZEROS)  # the reset that is due
    assert not rewards.any()
    assert infos["epoch"].tolist() == [1] * 4
    assert rows.step(ZEROS)[4]["loss_nats"].any()


@pytest.mark.parametrize("reward", ["loss_change", "drawn_change"])
def test_a_state_of_a_vae_that_diverged_has_ended_too(make_rows, make_schedule, reward):
    more = {"training": DIVERGING, "reward": reward, "judge": judge}
    rows = done(make_rows(**more))
    again = make_rows(**more)
    again.reset(options={"state": rows.state_dict()})
    assert np.array_equal(again.step(ZEROS)[0], rows.step(ZEROS)[0])  # both reset, to the same next episode
    env = done(make_schedule(**more), CHOICE)
    other = make_schedule(**more)
    observation, info = other.reset(options={"state": env.state_dict()})
    assert not observation.any()
    assert ("drawn_wrong" in info) == (reward == "drawn_change")
    with pytest.raises(gym.error.ResetNeeded, match="has ended"):
        other.step(CHOICE)
    assert np.array_equal(other.reset()[0], env.reset()[0])


def test_a_row_that_diverged_does_not_keep_the_others_from_going_on(tiny_images, quick_vae):
    def make():
        return HandScheduleVectorEnv(
            2, images=tiny_images, vae=quick_vae, batch_size=4, epochs_per_episode=3, epochs_per_step=1,
            reward="loss_change",
        )  # fmt: skip

    rows = make()
    rows.reset(seed=0)
    with torch.no_grad():
        rows.envs[1].env.trainer.vae.log_variance.fill_(torch.nan)
    terminated = rows.step(np.zeros((2, 3), np.float32))[2]
    assert terminated.tolist() == [False, True]
    again = make()
    again.reset(options={"state": rows.state_dict()})
    for mine, other in zip(again.step(np.zeros((2, 3))), rows.step(np.zeros((2, 3))), strict=True):
        assert isinstance(mine, dict) or np.array_equal(mine, other)


@pytest.mark.parametrize("of", ["latent", "schedule"])
def test_an_error_in_the_last_step_ends_the_episode(settings, make_schedule, of):
    failing: list[bool] = []

    def reward(visit):
        if failing:
            raise KeyError("as if a judge had failed")
        return visit.loss_before - visit.loss

    env = make_schedule(reward=reward) if of == "schedule" else HandLatentEnv(batch_size=4, reward=reward, **settings)
    action = CHOICE if of == "schedule" else ZEROS
    env.reset(seed=0)
    for _ in range(2 if of == "schedule" else 14):
        env.step(action)
    failing.append(True)
    with pytest.raises(KeyError):
        env.step(action)
    failing.clear()
    if of == "latent":
        with pytest.raises(gym.error.ResetNeeded, match="has ended"):
            env.step(action)
    else:
        env.step(action)  # the reward failed at the stretch's first step: the rest is trained
        with pytest.raises(gym.error.ResetNeeded, match="has ended"):
            env.step(action)


@pytest.mark.parametrize("reward", ["loss_change", "drawn_change"])
def test_an_interrupted_stretch_is_finished_by_the_next_step(make_schedule, reward, monkeypatch):
    env = make_schedule(reward=reward, judge=judge)
    env.reset(seed=0)
    env.step(CHOICE)
    trainer, real = env.env.trainer, env.env.trainer.step
    taken: list[object] = []

    def step(*args, **kwargs):
        if len(taken) == 2:
            raise KeyboardInterrupt
        taken.append(real(*args, **kwargs))
        return taken[-1]

    monkeypatch.setattr(trainer, "step", step)
    with pytest.raises(KeyboardInterrupt):
        env.step(CHOICE)
    monkeypatch.undo()
    assert trainer.steps_done == 7
    observation, _, _, truncated, info = env.step(CHOICE)
    assert (trainer.steps_done, truncated) == (10, False)
    assert info["loss_nats"] > 100  # a mean over the steps that it took, not over an epoch
    assert observation[0] <= 1
    assert env.step(CHOICE)[3]
    assert trainer.steps_done == 15


def test_a_reset_that_fails_leaves_no_episode_half_begun(tiny_images, quick_vae):
    failing: list[bool] = []

    def fails(pictures):
        if failing:
            raise KeyError("as if it had failed")
        return judge(pictures)

    rows = HandScheduleVectorEnv(
        2, images=tiny_images, vae=quick_vae, batch_size=4, epochs_per_episode=3, epochs_per_step=1, judge=fails
    )
    rows.reset(seed=0)
    rows.step(np.zeros((2, 3)))
    failing.append(True)
    with pytest.raises(KeyError):
        rows.reset(seed=9)
    failing.clear()
    with pytest.raises(gym.error.ResetNeeded, match="Call reset"):
        rows.step(np.zeros((2, 3)))
    rows.reset(seed=9)
    rows.step(np.zeros((2, 3)))


def test_a_function_may_return_the_same_vae_each_time(settings, quick_vae):
    vae = quick_vae(0)
    before = copy.deepcopy(vae.state_dict())
    env = HandLatentEnv(batch_size=4, **{**settings, "vae": lambda seed: vae})
    first = env.reset(seed=0)[0]
    env.step(ZEROS)
    assert np.array_equal(env.reset(seed=0)[0], first)
    assert all(torch.equal(weight, before[name]) for name, weight in vae.state_dict().items())


def test_a_vae_that_cannot_learn_is_refused(settings, quick_vae):
    frozen = {**settings, "vae": quick_vae(0).requires_grad_(False)}
    with pytest.raises(ValueError, match="vae must have a weight that requires a gradient"):
        HandLatentEnv(batch_size=4, **frozen)
    HandLatentEnv(batch_size=4, training={"learning_rate": 0.0}, **frozen)


@pytest.mark.parametrize("layer", [nn.Dropout(0.5), nn.BatchNorm1d(8)])
def test_layers_that_break_the_contract_in_training_are_refused_in_any_mode(settings, quick_vae, layer):
    class Encoder(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = quick_vae(0).encoder
            self.layer = layer

        def forward(self, images):
            return self.layer(torch.cat(self.inner(images), 1)).chunk(2, dim=1)

    vae = VAE(Encoder(), quick_vae(0).decoder, 32, 4).eval()
    with pytest.raises(ValueError, match="group normalisation"):
        HandLatentEnv(batch_size=4, **{**settings, "vae": vae})
    env = HandLatentEnv(batch_size=4, training={"learning_rate": 0}, **{**settings, "vae": vae})  # in evaluation mode
    env.reset(seed=0)
    env.step(ZEROS)


def test_the_generator_of_an_environment_around_another_is_that_one_s(make_schedule, make_rows):
    for make, action in ((make_schedule, CHOICE), (make_rows, ZEROS)):
        episodes = []
        for seed in (1, 2):
            env = make()
            env.reset(seed=seed)
            env.np_random = np.random.default_rng(5)
            env.reset()
            episodes.append(env.step(action)[0])
        assert np.array_equal(*episodes)
        env = make()
        seed = env.np_random_seed
        assert np.array_equal(env.reset()[0], make().reset(seed=seed)[0])
