"""No environment keeps what it no longer needs: `close` frees at once, without the garbage collector."""

import gc
import weakref
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch

import hand_env  # noqa: F401 - registers the environments
from vae import VAE
from vae.optim import adamw

STATM = Path("/proc/self/statm")
N, ROWS = 8, 2  # pictures; rows of the vector forms

TRAINING: dict[str, Any] = {"n_images": N, "latent_dim": 4, "epochs_per_episode": 2}
FORMS: dict[str, tuple[str, int | None, dict[str, Any]]] = {
    "latent": ("HandLatent-v0", None, {**TRAINING, "batch_size": 4}),
    "latent, drawn_change": ("HandLatent-v0", None, {**TRAINING, "batch_size": 4, "reward": "drawn_change"}),
    "latent, rows": ("HandLatent-v0", ROWS, TRAINING),
    "refine": ("HandRefine-v0", None, {"steps_per_episode": 2}),
    "refine, rows": ("HandRefine-v0", ROWS, {"steps_per_episode": 2}),
    "schedule": ("HandSchedule-v0", None, {**TRAINING, "batch_size": 4, "epochs_per_step": 1}),
    "schedule, rows": ("HandSchedule-v0", ROWS, {**TRAINING, "batch_size": 4, "epochs_per_step": 1}),
}


def brightness(pictures):
    return pictures.mean((1, 2, 3))


def make(form):
    name, rows, settings = FORMS[form]
    settings = {**settings, "judge": brightness}  # a copy
    if "schedule" in form or "drawn" in form:
        settings["n_drawn"] = 2
    return gym.make(name, **settings) if rows is None else gym.make_vec(name, num_envs=rows, **settings)


def play(env, steps):
    """Reset once, then take steps; a vector form resets its own rows at their end, the single form ends there."""
    env.reset(seed=0)
    for _ in range(steps):
        _, _, terminated, truncated, _ = env.step(env.action_space.sample())
        if np.any(terminated) or np.any(truncated):
            break


def trained(env):
    """The trainers and VAEs of the running episodes."""
    base = env.unwrapped
    owners = getattr(base, "envs", [base])
    holders = [
        inner for owner in owners for inner in (owner, getattr(owner, "env", owner)) if hasattr(inner, "trainer")
    ]
    trainers = {holder.trainer for holder in holders}
    return [thing for trainer in trainers for thing in (trainer, trainer.vae, trainer.averaged_vae)]


@pytest.fixture
def without_collector():
    adamw([torch.zeros(1, requires_grad=True)], 0.1)  # a process's first imports modules, which keep frames in circles
    gc.collect()
    gc.disable()
    yield
    gc.enable()


TRAINERS = [form for form in FORMS if "refine" not in form]


@pytest.mark.parametrize("form", TRAINERS)
def test_a_reset_frees_the_last_episode_and_close_this_one_without_the_collector(form, without_collector):
    env = make(form)
    play(env, 1)
    first = [weakref.ref(thing) for thing in trained(env)]
    assert len(first) >= 3
    play(env, 1)
    assert [kept() for kept in first if kept() is not None] == []
    second = [weakref.ref(thing) for thing in trained(env)]
    env.close()
    assert [kept() for kept in second if kept() is not None] == []


@pytest.mark.parametrize("form", FORMS)
def test_an_environment_that_nothing_refers_to_is_freed_without_the_collector(form, without_collector):
    env = make(form)
    play(env, 3)
    base = env.unwrapped
    kept = weakref.ref(base), *(weakref.ref(inner) for inner in getattr(base, "envs", [getattr(base, "env", base)]))
    vaes = [weakref.ref(thing) for thing in vars(base).values() if isinstance(thing, VAE)]
    env.close()
    del env, base
    assert [own() for own in (*kept, *vaes) if own() is not None] == []


@pytest.mark.slow
@pytest.mark.skipif(not STATM.is_file(), reason="this system does not say how much memory a process has")
@pytest.mark.parametrize("form", FORMS)
def test_memory_stays_flat_over_500_resets_and_50_episodes(form):
    env = make(form)

    def resident():
        return int(STATM.read_text(encoding="utf-8").split()[1])

    for times, steps in ((500, 1), (50, 100)):
        for _ in range(20):
            play(env, steps)
        before = resident()
        for _ in range(times - 20):
            play(env, steps)
        assert resident() < 1.1 * before
    env.close()
