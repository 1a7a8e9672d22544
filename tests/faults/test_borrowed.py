"""What a caller gave is copied once: the caller may refill it, and the seed still gives the same episode."""

import numpy as np
import pytest
import torch


def same(first, second):
    return all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("kind", [torch.tensor, np.array])
@pytest.mark.parametrize("name", ["images", "validation_images"])
@pytest.mark.parametrize("form", ["latent", "latent-drawn", "latent-rows", "schedule", "schedule-rows"], indirect=True)
def test_pictures_that_the_caller_refills_do_not_change_the_episode(form, name, kind, play):
    given = kind(np.random.default_rng(0).integers(0, 256, (8, 3, 8, 8), np.uint8))
    rewards = {"reward": "validation_loss_change"} if name == "validation_images" else {}
    env = form.make(**{name: given, **rewards})
    before = play(env)
    given[:] = 0
    assert same(play(env), before)


def test_a_vae_that_the_caller_trains_on_does_not_change_the_episode(form, play, build_tiny):
    vae = build_tiny(0)
    env = form.make(vae=vae)
    before = play(env)
    with torch.no_grad():
        for parameter in vae.parameters():
            parameter.fill_(0.1)
    assert same(play(env), before)


def test_an_action_that_the_caller_refills_does_not_change_what_came_of_it(form):
    env, other = form.make(), form.make()
    env.reset(seed=0)
    other.reset(seed=0)
    action = np.full(env.action_space.shape, 0.5, np.float32)
    observation, *_ = env.step(action)
    kept = observation.copy()
    action[:] = -1
    other.step(np.full(env.action_space.shape, 0.5, np.float32))
    assert same(env.step(action)[:2], other.step(np.full(env.action_space.shape, -1, np.float32))[:2])
    assert np.array_equal(observation, kept)


@pytest.mark.parametrize("form", ["schedule-rows"], indirect=True)
def test_rows_that_share_pictures_share_one_copy(form):
    env = form.make(images=np.zeros((8, 3, 8, 8), np.uint8))
    first, second = env.unwrapped.envs
    assert first.env.images.data_ptr() == second.env.images.data_ptr()
