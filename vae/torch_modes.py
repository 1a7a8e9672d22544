"""Compute in torch's usual modes, whatever modes the caller has set, and in forked processes on one thread."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch


@contextmanager
def usual_modes() -> Iterator[None]:
    """Compute with gradients, in float32, and on the CPU where no device is named; also a decorator.

    A caller may be inside `torch.no_grad()`, `torch.inference_mode()` or `torch.autocast`, or may have set another
    default dtype or device for its own networks. Libraries of reinforcement learning do so around `env.step`.
    """
    dtype, device = torch.get_default_dtype(), torch.get_default_device()
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        for kind in ("cpu", "cuda"):
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        if dtype != torch.float32:
            torch.set_default_dtype(torch.float32)
            stack.callback(torch.set_default_dtype, dtype)
        if device.type != "cpu":  # entered only where needed: it slows down each call of torch
            stack.enter_context(torch.device("cpu"))
        yield


def compute_on_one_thread() -> None:
    """Let torch use no other threads in this process: they do not survive a fork, and a child would wait for them."""
    torch.set_num_threads(1)


if hasattr(os, "register_at_fork"):  # Windows does not fork
    os.register_at_fork(after_in_child=compute_on_one_thread)
