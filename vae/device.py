"""Choose the device to compute on, and how precisely a GPU computes."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TypeVar, cast

import torch
from torch import Tensor, nn

Module = TypeVar("Module", bound=nn.Module)
Function = TypeVar("Function", bound=Callable[..., object])


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


def channels_last(module: Module, device: str | torch.device | None = None) -> Module:
    """Move a network to a device, and its convolutions to the channels-last format, which is faster on CPUs too.

    Args:
        module: It is changed itself.
        device: The device; None: where it is.

    Returns:
        The same network.
    """

    def moved(tensor: Tensor) -> Tensor:  # module.to refuses tensors of five dimensions
        layout = torch.channels_last if tensor.ndim == 4 else torch.preserve_format
        return tensor.to(device, memory_format=layout)

    return module._apply(moved)  # type: ignore[no-untyped-call, no-any-return]  # torch's


def host_memory(shape: tuple[int, ...], device: str | torch.device, dtype: torch.dtype = torch.float32) -> Tensor:
    """Return memory on the CPU, not yet filled; for a GPU it is page-locked, so that copies need not block the CPU."""
    return torch.empty(shape, dtype=dtype, pin_memory=torch.device(device).type == "cuda")


def to_host(tensor: Tensor) -> Callable[[], Tensor]:
    """Begin to copy a tensor to the CPU, and return a function that waits for it; one on the CPU is not copied."""
    if tensor.device.type == "cpu":
        return lambda: tensor
    copy = host_memory(tuple(tensor.shape), tensor.device, tensor.dtype).copy_(tensor, non_blocking=True)
    is_done = torch.cuda.current_stream(tensor.device).record_event()

    def wait() -> Tensor:
        is_done.synchronize()
        return copy

    return wait


def reduced_precision(device: torch.device) -> torch.autocast:
    """Return a context in which a GPU computes in bfloat16 where that is safe; nothing changes on the CPU."""
    return torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda")


def compiled(function: Function, device: torch.device, wanted: bool = True) -> Function:
    """Let torch.compile join the small kernels of a function on a GPU, where it can: it needs Triton and a C compiler.

    Args:
        function: A module, or a function of tensors whose shapes seldom change: each new shape takes seconds.
        device: Device that it computes on; on a CPU, nothing is compiled.
        wanted: Whether to compile it.

    Returns:
        What computes the same up to rounding; the function itself where it is not compiled.
    """
    compilers = ("cc", "gcc", "clang", os.environ.get("CC", "cc"))
    can = device.type == "cuda" and find_spec("triton") is not None and any(map(shutil.which, compilers))
    return cast(Function, torch.compile(function, dynamic=False)) if wanted and can else function


@contextmanager
def fastest_convolutions() -> Iterator[None]:
    """Let a GPU try its kernels on each new shape of a convolution, and keep the fastest: for steps to be captured."""
    before = torch.backends.cudnn.benchmark  # torch.backends.cudnn.flags would set other flags, too
    torch.backends.cudnn.benchmark = True
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = before


@contextmanager
def tensor_float_32() -> Iterator[None]:
    """Let a GPU round the factors of float32 matrix products to 10 bits, in training; nothing changes on the CPU."""
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = True
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before
