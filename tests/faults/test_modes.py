"""The environments compute the same in whatever modes of torch they are called, and leave the modes as they are."""

import contextlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from vae.torch_modes import usual_modes


@contextlib.contextmanager
def default(dtype):
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


@contextlib.contextmanager
def default_device(name):
    torch.set_default_device(name)
    try:
        yield
    finally:
        torch.set_default_device(None)


MODES: dict[str, Callable[[], contextlib.AbstractContextManager[Any]]] = {
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
    "float64": lambda: default(torch.float64),
    "bfloat16": lambda: default(torch.bfloat16),
    "device": lambda: default_device("meta"),  # stands for a GPU: nothing can be computed there
    "with device": lambda: torch.device("meta"),
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
}


def modes():
    here = torch.zeros(1)
    return (
        here.dtype,
        here.device,
        torch.is_grad_enabled(),
        torch.is_inference_mode_enabled(),
        torch.is_autocast_enabled("cpu"),
    )


def same(first, second):
    return all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("mode", MODES)
def test_an_environment_is_built_and_played_in_any_mode(form, mode, play):
    expected = play(form.make(render_mode="rgb_array"))
    with MODES[mode]():
        before = modes()
        env = form.make(render_mode="rgb_array")
        seen = play(env)
        env.render()
        env.unwrapped.state_dict()
        assert modes() == before
    assert same(seen, expected)
    assert same(play(env), expected)  # what was built in the mode also serves outside


@pytest.mark.parametrize("mode", MODES)
def test_an_error_leaves_the_modes_as_they_are(mode):
    @usual_modes()
    def fails():
        assert modes() == usual
        raise ValueError("wrong")

    usual = modes()
    with MODES[mode]():
        before = modes()
        with pytest.raises(ValueError, match="wrong"):
            fails()
        assert modes() == before


def test_it_can_be_called_as_trainers_of_skrl_call_it(form):
    """They keep float32 tensors and no gradients: `with torch.no_grad(): env.step(actions)`."""
    env = form.make()
    env.reset(seed=0)
    policy = torch.nn.Linear(env.observation_space.shape[-1], env.action_space.shape[-1])
    observation = torch.as_tensor(env.reset(seed=0)[0])
    for _ in range(2):
        with torch.no_grad():
            actions = torch.tanh(policy(observation))
            observation, reward, *_ = env.unwrapped.step(actions)
            observation = torch.as_tensor(observation)
        assert np.isfinite(reward).all()


def test_it_can_be_called_as_collectors_of_torchrl_call_it(form):
    """They step under `inference_mode`, with actions that have been made there, turned into arrays."""
    env = form.make()
    with torch.inference_mode():
        observation = torch.as_tensor(env.reset(seed=0)[0])
        for _ in range(2):
            actions = torch.zeros(env.action_space.shape) + observation.mean() * 0
            observation, reward, *_ = env.unwrapped.step(actions.numpy())
            observation = torch.as_tensor(observation)
            assert np.isfinite(reward).all()


def test_the_packaged_judge_differentiates_even_if_it_was_first_asked_for_in_inference_mode():
    from hand_env.anatomy.judge import default_judge

    default_judge.cache_clear()
    with torch.inference_mode():
        judge = default_judge("parser")
    picture = torch.rand(1, 3, 32, 32, requires_grad=True)
    assert torch.autograd.grad(judge.find(picture).score.sum(), picture)[0].isfinite().all()
