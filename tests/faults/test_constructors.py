"""Whatever an environment is built with, it works, or refuses it when it is built, with the argument's name."""

import inspect
import warnings
from typing import Any

import numpy as np
import pytest

AMOUNTS = [12, pytest.param(300, marks=pytest.mark.long)]
INTEGERS = [True, False, -1, 0, 1, 2, 3, 7, 10**6, 10**30, -(10**30), np.int8(3), np.uint8(2), np.int64(-1)]
REALS = [0.0, -0.0, 0.5, 1.5, -1.5, 1e38, 1e39, 1e-46, 1e308, np.nan, np.inf, -np.inf, 1j, np.float32(0.5)]
OTHERS = [None, "", "x", "cpu", "rgb_array", b"x", [], [1], (), {}, {"a": 1}, object(), ..., np.bool_(True)]
ARRAYS = [np.array(2), np.array([2]), np.zeros(3), np.zeros((8, 3, 8, 8))]
PICTURES = [np.zeros((0, 3, 8, 8), np.uint8), np.zeros((8, 8, 8, 3), np.uint8)]
ODD: list[Any] = [*INTEGERS, *REALS, *OTHERS, *ARRAYS, *PICTURES]


def arguments(env):
    """The names of an environment's arguments, those of the single form behind a vector form's too."""
    inner = [env, *getattr(env, "envs", [])[:1], getattr(env, "env", env)]
    found = {name for own in inner for name in inspect.signature(type(own).__init__).parameters}
    return sorted(found - {"self", "others", "num_envs", "kwargs", "settings"})


def names_one(error, given):
    """Whether a refusal names one of the arguments given; without a VAE, pictures may have a size that ours lacks."""
    return any(name in str(error) for name in (*given, "VAEConfig.size"))


@pytest.mark.parametrize("amount", AMOUNTS)
def test_odd_arguments_are_taken_and_work_or_are_refused_at_once_by_name(form, play, amount):
    env = form.make()
    names = arguments(env.unwrapped)
    env.close()
    assert len(names) >= 5
    rng, refused = np.random.default_rng(len(form.id)), 0
    for _ in range(amount):
        chosen = rng.choice(names, int(rng.integers(1, 3)), replace=False)
        given = {str(name): ODD[int(rng.integers(0, len(ODD)))] for name in chosen}
        given = {
            name: odd for name, odd in given.items() if not (name == "judge" and odd is None)
        }  # ours needs 32 pixels
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                env = form.build(**given)
        except (ValueError, TypeError) as error:
            refused += 1
            if not names_one(error, given):
                raise AssertionError(f"{given!r}: {error!r}") from error
        else:
            play(env, 1)
            env.close()
    assert refused
