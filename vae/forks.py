"""Compute in forked processes: torch's threads do not survive a fork, and a child that waits for them never ends."""

import os

import torch


def compute_on_one_thread() -> None:
    """Let torch use no other threads in this process."""
    torch.set_num_threads(1)


if hasattr(os, "register_at_fork"):  # Windows does not fork
    os.register_at_fork(after_in_child=compute_on_one_thread)
