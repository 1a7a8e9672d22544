"""What leaves an environment is finite in float32, or the episode ends or an error says why."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from hand_env import best_of, image_grid
from vae import (
    Gaussian,
    Mixture,
    Pool,
    Reencoded,
    StandardNormal,
    Trainer,
    TrainingConfig,
    VAEConfig,
    build_vae,
    decode_all,
    encode_all,
)
from vae.images import split_by_group

INTEGERS = {
    "HandLatent-v0": ("batch_size", "epochs_per_episode", "n_drawn", "drawn_every"),
    "HandRefine-v0": ("steps_per_episode",),
    "HandSchedule-v0": ("batch_size", "epochs_per_episode", "epochs_per_step", "n_drawn"),
}


@pytest.mark.parametrize("value", [1e308, 1e-300, 3.5e38, 1e-39])
def test_a_scale_that_float32_cannot_hold_is_refused(form, value):
    for name in ("reward_scale", "max_reach" if form.id == "HandSchedule-v0" else "delta_scale"):
        message = re.escape(f"{name} must lie in 1.2e-38..3.4e+38, the range of float32, got {value!r}")
        with pytest.raises(ValueError, match=message):
            form.make(**{name: value})


@pytest.mark.parametrize("value", ["1", None, 1j, [1.0]])
def test_a_scale_that_is_no_number_is_refused(form, value):
    with pytest.raises(TypeError, match="reward_scale must be a finite number above 0, got"):
        form.make(reward_scale=value)


def test_rewards_stay_finite_in_float32_at_the_greatest_scale(form, play):
    """Changes of a loss above 1 nat overflow, so a training ends; a judge's score may not change by as much."""
    if form.id == "HandRefine-v0":
        env = form.make(reward_scale=3e38, judge=lambda pictures: 100 * pictures.mean((1, 2, 3)))
        with pytest.raises(
            ValueError, match=r"reward_scale times the score's change must be finite in float32, got 3e\+38"
        ):
            play(env)
        return
    settings = {"reward": lambda visit: np.full_like(visit.loss, 10.0), "reward_scale": 3e38}
    env = form.make(**settings)
    env.reset(seed=0)
    _, reward, terminated, truncated, _ = env.step(np.zeros(env.action_space.shape, np.float32))
    assert np.all(reward == -100)
    assert np.all(terminated)
    assert not np.any(truncated)


@pytest.mark.parametrize("form", ["refine", "refine-rows"], indirect=True)  # others show latents before they shift them
def test_latents_stay_finite_in_float32(form):
    env = form.make(delta_scale=3e38)
    env.reset(seed=0)
    action = np.ones(env.action_space.shape, np.float32)
    state = env.unwrapped.state_dict()
    state["latent" if form.rows is None else "latents"][:] = 3e38
    env.reset(options={"state": state})
    before = env.unwrapped.state_dict()
    with pytest.raises(ValueError, match=r"Corrected latents must be finite in float32; lower delta_scale, now 3e\+38"):
        env.step(action)
    after = env.unwrapped.state_dict()
    assert all(np.array_equal(before[name], after[name]) for name in before if name != "np_random")


def test_numpy_s_integers_are_as_good_as_python_s(form, play):
    names = [name for name in INTEGERS[form.id] if not (form.rows and form.id == "HandLatent-v0" and "batch" in name)]
    plain = {name: 2 for name in names}
    kinds = (np.int64, np.uint8)
    seen = [play(form.make(**{name: kind(value) for name, value in plain.items()})) for kind in kinds]
    for other in seen:
        assert all(np.array_equal(a, b) for a, b in zip(play(form.make(**plain)), other, strict=True))
    for name in names:
        with pytest.raises(TypeError, match=f"{name.removesuffix('_per_episode')}.* must be an integer, got 2.5"):
            form.make(**{name: 2.5})


PICTURES, LATENTS = (
    torch.zeros(8, 3, 32, 32, dtype=torch.uint8),
    torch.randn(32, 4, generator=torch.Generator().manual_seed(0)),
)
TAKE: dict[str, Callable[[Callable[[int], int]], Any]] = {
    "VAE": lambda of: build_vae(VAEConfig(of(32), of(4)), seed=of(1)),
    "Trainer": lambda of: Trainer(
        small_vae(), PICTURES, TrainingConfig(epochs=of(1), batch_size=of(4), warmup_steps=of(2)), of(3)
    ).step(),
    "encode_all": lambda of: encode_all(small_vae(), PICTURES, of(3)),
    "decode_all": lambda of: decode_all(small_vae(), LATENTS, of(3)),
    "StandardNormal": lambda of: StandardNormal(of(4)).sample(of(3), of(2)),
    "Gaussian": lambda of: Gaussian.fit(LATENTS, LATENTS).sample(of(3), of(2)),
    "Mixture": lambda of: Mixture.fit(LATENTS, LATENTS, components=of(2), draws=of(64), seed=of(0)).sample(
        of(3), of(2)
    ),
    "Pool": lambda of: Pool(StandardNormal(4), of(5), of(1)).sample(of(3), of(2)),
    "Reencoded": lambda of: Reencoded(StandardNormal(4), small_vae(), of(1)).sample(of(3), of(2)),
    "best_of": lambda of: best_of(
        StandardNormal(4), of(2), of(3), of(1), small_vae(), lambda shown: shown.mean((1, 2, 3))
    ),
    "image_grid": lambda of: image_grid(torch.zeros(6, 3, 8, 8, dtype=torch.uint8), columns=of(2), gap=of(1)),
    "split_by_group": lambda of: split_by_group("abcdef", "abcdef", seed=of(1)),
}


def small_vae():
    return build_vae(VAEConfig(32, 4), seed=0)


@pytest.mark.parametrize("name", TAKE)
def test_the_library_takes_numpy_s_integers(name):
    TAKE[name](np.uint8)
