"""A hostile action, seed or option is refused in one sentence, and the episode goes on as if it had not come."""

import copy
import functools
import operator
import re
from typing import Any

import numpy as np
import pytest
import torch

STATE_AMOUNTS = [40, pytest.param(300, marks=pytest.mark.long)]
GOOD = {
    "a tensor with gradients": lambda a: torch.tensor(a, requires_grad=True) * 1,
    "bfloat16": lambda a: torch.tensor(np.sign(a)).bfloat16(),
    "float64": lambda a: a.astype(np.float64),
    "whole numbers": lambda a: np.sign(a).astype(np.int8),
    "bool": lambda a: a > 0,
    "a list": lambda a: a.tolist(),
    "an inference tensor": lambda a: in_inference_mode(a),
    "read-only": lambda a: read_only(a),
}
BAD = {
    "text": (lambda a: a.astype(str), TypeError, "action must be an array of numbers, got <U"),
    "dates": (lambda a: a.astype("datetime64[s]"), TypeError, "action must be an array of numbers, got datetime64"),
    "a structure": (lambda a: a.astype([("x", "f4")]), TypeError, "action must be an array of numbers, got [('x'"),
    "complex": (lambda a: a + 0j, TypeError, "action must be an array of numbers, got complex"),
    "objects": (lambda a: a.astype(object), TypeError, "action must be an array of numbers, got object"),
    "nothing": (lambda a: None, TypeError, "action must be an array of numbers, got object"),
    "ragged": (lambda a: [[0.0], [0.0, 0.0]], TypeError, "action must be an array of numbers, got list"),
    "a sparse tensor": (lambda a: torch.zeros(a.shape).to_sparse(), TypeError, "action must be an array of numbers"),
    "another shape": (lambda a: a[..., :-1], ValueError, "action must have shape"),
    "NaN": (lambda a: np.full_like(a, np.nan), ValueError, "action must be finite and lie in [-1, 1], got"),
    "infinity": (lambda a: torch.full(a.shape, np.inf), ValueError, "action must be finite and lie in [-1, 1], got"),
    "the least int8": (lambda a: np.full(a.shape, -128, np.int8), ValueError, "action must be finite and lie in"),
    "the greatest uint64": (lambda a: np.full(a.shape, 2**64 - 1, np.uint64), ValueError, "action must be finite"),
}


def in_inference_mode(array):
    with torch.inference_mode():
        return torch.tensor(array)


def read_only(array):
    array.setflags(write=False)
    return array


def same(first, second):
    return all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def after(env, action):
    return env.step(action)[0:2]


@pytest.mark.parametrize("kind", GOOD)
def test_any_array_of_real_numbers_acts(form, kind):
    env, other = form.make(), form.make()
    env.reset(seed=0)
    other.reset(seed=0)
    action = np.random.default_rng(0).uniform(-1, 1, env.action_space.shape).astype(np.float32)
    given = GOOD[kind](action.copy())
    plain = np.asarray(given.detach().float() if isinstance(given, torch.Tensor) else given, np.float32)
    assert same(after(env.unwrapped, given), after(other.unwrapped, plain))


def test_what_is_no_action_changes_nothing(form):
    env, other = form.make(), form.make()
    env.reset(seed=0)
    other.reset(seed=0)
    action = np.full(env.action_space.shape, 0.5, np.float32)
    for make, kind, message in BAD.values():
        with pytest.raises(kind, match=re.escape(message)):
            env.unwrapped.step(make(action))
    assert same(after(env, action), after(other, action))


STATES = {
    "no dict": (7, TypeError, "options['state'] must be what state_dict() returned, got int"),
    "empty": ({}, ValueError, "with the same arguments returned, but it lacks '"),
    "unknown": ({"x": 1}, ValueError, "with the same arguments returned, but it lacks '"),
}


@pytest.mark.parametrize("kind", STATES)
def test_what_is_no_state_is_refused_and_the_episode_goes_on(form, kind, play):
    env, other = form.make(), form.make()
    env.reset(seed=0)
    other.reset(seed=0)
    state, error, message = STATES[kind]
    with pytest.raises(error, match=re.escape(message)):
        env.reset(options={"state": state})
    with pytest.raises(TypeError, match=r"options must be a dict or None, got list"):
        env.unwrapped.reset(options=[1])
    action = np.full(env.action_space.shape, 0.5, np.float32)
    assert same(after(env, action), after(other, action))


def places(state, path=()):
    """Yield the path of each value in a nested state."""
    items = state.items() if isinstance(state, dict) else enumerate(state) if isinstance(state, list | tuple) else ()
    for key, value in items:
        yield (*path, key)
        yield from places(value, (*path, key))


def changed(state, path, value):
    state = copy.deepcopy(state)
    inner = state
    for key in path[:-1]:
        inner = inner[key]
    if isinstance(inner, tuple):
        pytest.skip("a tuple cannot be changed in place")
    if value is REMOVED:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return state


REMOVED = object()


@pytest.mark.slow
def test_a_state_with_a_part_missing_or_of_another_kind_never_ends_in_another_error(form):
    """Where a part may be anything, as the number of averaged steps, the state may still be taken."""
    env = form.make()
    env.reset(seed=0)
    env.step(np.zeros(env.action_space.shape, np.float32))
    state, refused = env.unwrapped.state_dict(), 0
    paths = list(places(state))
    for path in paths:
        for value in (REMOVED, "text", None, [], np.zeros(3), -1, float("nan")):
            try:
                env.reset(options={"state": changed(state, path, value)})
            except (TypeError, ValueError) as error:
                assert "options['state'] must be what state_dict()" in str(error)  # noqa: PT017 - it may also be taken
                refused += 1
    assert refused > len(paths)


def test_a_state_that_is_wrong_only_in_its_last_part_is_refused_and_no_row_has_changed(form, play):
    env, other = form.make(), form.make()
    env.reset(seed=0)
    other.reset(seed=0)
    action = np.full(env.action_space.shape, 0.5, np.float32)
    state = env.unwrapped.state_dict()
    assert same(after(env, action), after(other, action))
    broken = changed(state, list(places(state))[-1], REMOVED)
    with pytest.raises(ValueError, match=r"options\['state'\] must be what state_dict\(\)"):
        env.reset(seed=7, options={"state": broken})
    assert same(after(env, action), after(other, action))
    assert same((env.reset()[0],), (other.reset()[0],))


def test_numpy_s_integers_are_seeds_and_others_are_refused(form, play):
    for given, plain in ((np.int64(3), 3), (np.uint8(3), 3)):
        assert same(play(form.make(), seed=given), play(form.make(), seed=plain))
    for seed in (1.5, -1, "1"):
        with pytest.raises((TypeError, ValueError), match="seed must be"):
            form.make().unwrapped.reset(seed=seed)


def odd_values(value):
    """What may stand in a state in place of a value, after some damage or a mistake."""
    if isinstance(value, torch.Tensor):
        plain = value.double()
        return [value[None], plain.flatten()[:0], plain * torch.nan, plain + torch.inf, plain * 1j, plain.numpy(), "?"]
    if isinstance(value, np.ndarray):
        odd: list[Any] = [value[None], value.flatten()[:0], value * np.nan, value * 1j, value.astype(object)]
        return [*odd, value.astype(str)]
    if isinstance(value, bool):
        return ["yes", None, 2]
    if isinstance(value, int | float):
        return [-5, 10**30, 1e308, 0.5, float("nan"), float("-inf"), str(value), None]
    if isinstance(value, str):
        return ["?", 3]
    if isinstance(value, list | tuple):
        return [[*value[:-1]], [*value, *value[-1:]], "?", {}]
    return [dict([*value.items()][1:]), [*value.items()]] if isinstance(value, dict) else [7]


def arrays(state):
    """A state in a form that `==` compares."""
    if isinstance(state, dict):
        return {name: arrays(value) for name, value in state.items()}
    if isinstance(state, list | tuple):
        return [arrays(value) for value in state]
    return (
        (str(state.dtype), np.asarray(state).tolist()) if isinstance(state, torch.Tensor | np.ndarray) else repr(state)
    )


@pytest.mark.slow
@pytest.mark.parametrize("amount", STATE_AMOUNTS)
def test_a_state_with_odd_values_is_refused_and_changes_nothing_or_can_be_acted_on(form, amount):
    rng, env, action = np.random.default_rng(6), form.make(), np.full(form.make().action_space.shape, 0.5, np.float32)
    env.reset(seed=0)
    env.step(action)
    whole, refused = copy.deepcopy(env.unwrapped.state_dict()), 0
    paths = [path for path in places(whole) if not inside_a_tuple(whole, path)]
    for _ in range(amount):
        path = paths[int(rng.integers(len(paths)))]
        odd = odd_values(functools.reduce(operator.getitem, path, whole))
        state = changed(whole, path, odd[int(rng.integers(len(odd)))])
        try:
            env.reset(seed=5, options={"state": state})
        except (TypeError, ValueError) as error:
            assert "options['state'] must be what state_dict()" in str(error)  # noqa: PT017 - it may also be taken
            refused += 1
            assert arrays(env.unwrapped.state_dict()) == arrays(whole)
        else:
            observation, reward, *_ = env.step(action) if can_step(state) else (0.0, 0.0)
            assert np.isfinite(observation).all()
            assert np.isfinite(reward).all()
            env.reset(options={"state": whole})
    assert refused > amount / 2


def inside_a_tuple(state, path):
    return any(isinstance(functools.reduce(operator.getitem, path[:n], state), tuple) for n in range(len(path)))


def can_step(state):
    """Whether a state is not that of an episode that has ended, which is one of the odd values."""
    return not state.get("ended")
