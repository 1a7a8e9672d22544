"""No environment keeps what it no longer needs: `close` frees at once, without the garbage collector.

What needs a GPU is left out where there is none.
"""

import gc
import weakref
from pathlib import Path

import pytest
import torch
from torch import nn

from vae import VAE
from vae.optim import adamw

SHORT, LONG = (40, 4), (500, 50)  # resets with a step each, then whole episodes
STATM = Path("/proc/self/statm")


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
    gc.disable()
    yield
    gc.enable()


def test_a_reset_frees_the_last_episode_and_close_this_one_without_the_collector(form, play, without_collector):
    env = form.make()
    play(env, 1)
    first = [weakref.ref(thing) for thing in trained(env)]
    assert bool(first) == form.trains
    env.reset(seed=3)
    assert [kept() for kept in first if kept() is not None] == []
    play(env, 1)
    second = [weakref.ref(thing) for thing in trained(env)]
    env.close()
    assert [kept() for kept in second if kept() is not None] == []


def test_an_environment_that_nothing_refers_to_is_freed_without_the_collector(form, play, without_collector):
    env = form.make()
    play(env)
    base = env.unwrapped
    kept = weakref.ref(base), *(weakref.ref(inner) for inner in getattr(base, "envs", [getattr(base, "env", base)]))
    vaes = [weakref.ref(thing) for thing in vars(base).values() if isinstance(thing, VAE)]
    env.close()
    del env, base
    assert [own() for own in (*kept, *vaes) if own() is not None] == []


class Wide(nn.Module):
    """An encoder of 1.3 M weights that trains in milliseconds. With averages and moments, a leak takes 20 MB."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(3, 1100), nn.ReLU(), nn.Linear(1100, 1100), nn.ReLU(), nn.Linear(1100, 8))

    def forward(self, images):
        return self.layers(images.mean((2, 3)) - 0.5).chunk(2, dim=1)


def stays_flat(env, play, resets, episodes, held):
    """Play resets with a step each, then whole episodes; from a fifth of them on, a function may give 10 % more."""
    for times, steps in ((resets, 1), (episodes, 100)):
        for _ in range(times // 5):
            play(env, steps)
        before = held()
        for _ in range(times - times // 5):
            play(env, steps)
        assert held() < 1.1 * before


def wide(build_tiny):
    return lambda seed: VAE(Wide(), build_tiny(seed).decoder, 8, 4)


@pytest.mark.slow
@pytest.mark.parametrize(("resets", "episodes"), [SHORT, pytest.param(*LONG, marks=pytest.mark.long)])
@pytest.mark.skipif(not STATM.is_file(), reason="this system does not say how much memory a process has")
def test_memory_stays_flat_over_resets_and_whole_episodes(form, play, build_tiny, resets, episodes):
    env = form.make(vae=wide(build_tiny))
    stays_flat(env, play, resets, episodes, lambda: int(STATM.read_text(encoding="utf-8").split()[1]))
    env.close()


@pytest.mark.slow
@pytest.mark.parametrize(("resets", "episodes"), [SHORT, pytest.param(*LONG, marks=pytest.mark.long)])
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_a_gpu_s_memory_stays_flat_and_is_free_once_an_environment_is_closed(
    form, play, build_tiny, without_collector, resets, episodes
):
    settings = {"vae": wide(build_tiny), "device": "cuda"}
    if form.trains:
        settings["epochs_per_episode"] = 4  # more steps than are taken before the graphs' capture

    def closed():
        """Make an environment, play an episode, and close it; what cuBLAS keeps for a stream is there afterwards."""
        env = form.make(**settings)
        play(env, 100)
        env.close()

    closed()
    before = torch.cuda.memory_allocated()
    env = form.make(**settings)
    stays_flat(env, play, resets, episodes, torch.cuda.memory_allocated)
    env.close()
    del env
    assert torch.cuda.memory_allocated() <= before
    closed()
    assert torch.cuda.memory_allocated() <= before
