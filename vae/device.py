"""Choose the device to compute on, and how precisely a GPU computes."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


def resolve_device(name: str | torch.device) -> str:
    """Turn "auto" into an available device, and reject a device that is not available.

    Args:
        name: "auto" (CUDA if available, else the CPU), "cpu", "cuda" or "cuda:N", or the device itself.

    Returns:
        "cpu", "cuda" or "cuda:N".

    Raises:
        TypeError: If it is no name.
        ValueError: If the name is none of these, or this machine has no such device.
    """
    if not isinstance(name, str | torch.device):
        raise TypeError(f"device must be 'auto', 'cpu', 'cuda' or 'cuda:N', got {name!r}.")
    name, count = str(name), torch.cuda.device_count()
    if name == "auto":
        return "cuda" if count else "cpu"
    kind, _, number = name.partition(":")
    if kind not in ("cpu", "cuda") or (number and not number.isdigit()) or (kind == "cpu" and number):
        raise ValueError(f"device must be 'auto', 'cpu', 'cuda' or 'cuda:N', got {name!r}.")
    if kind == "cuda" and int(number or 0) >= count:
        raise ValueError(f"device {name!r} is not on this machine, which has {count} CUDA devices. Use 'cpu'.")
    return name


def reduced_precision(device: torch.device) -> torch.autocast:
    """Return a context in which a GPU computes in bfloat16 where that is safe; nothing changes on the CPU."""
    return torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda")


@contextmanager
def tensor_float_32() -> Iterator[None]:
    """Let a GPU round the factors of float32 matrix products to 10 bits, in training; nothing changes on the CPU."""
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = True
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before
