"""Train one model in several processes that torchrun starts, one for each GPU. Each takes its rows of every minibatch.

All processes run the same program on the same random numbers. So the training is that of one process, except for the
order in which sums are taken. Outside `process_group`, and with one process, each function returns what it was given.
"""

import gc
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from vae.device import resolve_device

ENDED = "A process of this job has ended, so all of them end."
STOPPED = (
    "This job was stopped, or a process of it has ended. Continue from the last checkpoint: train with --resume, "
    "recipe with the same command."
)
GRACE = 2.0  # seconds after SIGTERM, in which a process says itself what is wrong
_PATIENCE = timedelta(days=7)  # a process that ended is noticed at once; one may draw or measure for long

Made = TypeVar("Made")


class AlreadySaid(Exception):
    """Another process of the group has said why all of them end."""


@dataclass(frozen=True)
class _Group:
    rank: int
    size: int


_group: _Group | None = None  # of this process, inside `process_group`


@contextmanager
def process_group(device: str) -> Iterator[None]:
    """Join the processes that torchrun started with this one, and wait for them at the end.

    Args:
        device: "auto", "cpu" or "cuda"; on CUDA, "cuda" is this process's own GPU from now on.

    Raises:
        AlreadySaid: In place of an error, if another process raised one before.
        ConnectionError: If another process ended without a word.
        ValueError: If there are fewer GPUs than processes.
    """
    global _group
    if _group is not None or launched() == 1:
        yield
        return
    store, rank, size = next(dist.rendezvous("env://"))
    try:
        dist.init_process_group(_backend(device), store=store, rank=rank, world_size=size, timeout=_PATIENCE)
        _group = _Group(rank, size)
        with _watched(store):
            yield
            with _talking():
                dist.all_reduce(torch.zeros(1))  # none leaves before all are done
        gc.collect()  # NCCL waits for the CUDA graphs that hold its messages
        dist.destroy_process_group()
    except AlreadySaid:
        raise
    except Exception as error:
        if not _is_first(store):
            raise AlreadySaid from error
        raise
    finally:
        _group = None


@contextmanager
def alone() -> Iterator[None]:
    """Work as one process outside the group, while the others wait for this one or for the end."""
    global _group
    group, _group = _group, None
    try:
        yield
    finally:
        _group = group


def launched() -> int:
    """Return how many processes torchrun started; 1 without it."""
    return int(os.environ["WORLD_SIZE"]) if dist.is_available() and dist.is_torchelastic_launched() else 1


def world_size() -> int:
    """Return the number of processes in the group."""
    return 1 if _group is None else _group.size


def is_main() -> bool:
    """Whether this process is the one that reads, writes and prints."""
    return _group is None or _group.rank == 0


def local_rows(batch_size: int) -> slice:
    """Return which rows of a minibatch this process takes.

    Raises:
        ValueError: If the processes do not divide the batch.
    """
    if batch_size % world_size():
        raise ValueError(
            f"batch_size must be a multiple of the number of processes, {world_size()}, got {batch_size!r}. It counts "
            "the pictures of all processes together."
        )
    own = batch_size // world_size()
    first = 0 if _group is None else _group.rank * own
    return slice(first, first + own)


def local_parts(rows: Tensor, parts: int) -> Tensor:
    """Take this process's rows of each part of a minibatch that consists of parts of the same length.

    Args:
        rows: (batch, ...), the same in each process; all of it, if there is one.
        parts: Number of parts; the processes divide their length.

    Returns:
        (own, ...), a share of each part, one after another.
    """
    if _group is None:
        return rows
    return rows.reshape(parts, _group.size, -1, *rows.shape[1:])[:, _group.rank].flatten(0, 1)


def all_gather(rows: Tensor) -> Tensor:
    """Join the rows of all processes.

    Args:
        rows: (own, ...), those of this process; as many in each.

    Returns:
        (batch, ...), the same in each process.
    """
    if _group is None:
        return rows
    joined = rows.new_empty((_group.size * len(rows), *rows.shape[1:]))
    with _talking():
        dist.all_gather(list(torch.split(joined, len(rows))), rows.contiguous())
    return joined


def all_reduce_mean(tensors: Iterable[Tensor]) -> None:
    """Replace each tensor, in place, by its mean over the processes; all of them at once, in one message."""
    if _group is None:
        return
    with _talking():
        _Message(tensors).wait()


@contextmanager
def averaged_gradients(groups: Iterable[Iterable[nn.Parameter]], also: Iterable[Tensor] = ()) -> Iterator[None]:
    """Average the gradients of a backward pass over the processes, while the pass still runs.

    Args:
        groups: Parameters whose gradients are empty before. As soon as a group has all of its gradients, they leave in
            one message. Groups should come in the order in which the pass reaches them, the same in each process.
        also: Other tensors to average, in place; they are known before the pass.
    """
    if _group is None:
        yield
        return
    messages: list[_Message] = []
    first = list(also)
    missing = [{id(own): own for own in group if own.requires_grad} for group in groups]
    known = [list(group.values()) for group in missing]

    def send(place: int) -> None:
        tensors = [*(own.grad for own in known[place] if own.grad is not None), *first]
        if tensors:
            messages.append(_Message(tensors))
        known[place].clear()
        first.clear()

    def arrived(place: int, parameter: Tensor) -> None:
        del missing[place][id(parameter)]
        if not missing[place]:
            send(place)

    hooks = [
        own.register_post_accumulate_grad_hook(partial(arrived, place))
        for place, group in enumerate(known)
        for own in group
    ]
    try:
        with _talking():
            yield
            for place in range(len(known)):  # those with a parameter that the pass did not reach
                send(place)
            for message in messages:
                message.wait()
    finally:
        for hook in hooks:
            hook.remove()


class _Message:
    """Tensors on their way to their means over the processes."""

    @torch.no_grad()
    def __init__(self, tensors: Iterable[Tensor]) -> None:
        self._laid = [_in_memory_order(tensor) for tensor in tensors]
        self._flat = torch.cat([tensor.reshape(-1) for tensor in self._laid])
        self._work = dist.all_reduce(self._flat, async_op=True)

    @torch.no_grad()
    def wait(self) -> None:
        """Put the means in the tensors' places."""
        self._work.wait()
        assert _group is not None, "there is no message without a group"
        parts = torch.split(self._flat.div_(_group.size), [tensor.numel() for tensor in self._laid])
        torch._foreach_copy_(self._laid, [part.view(own.shape) for part, own in zip(parts, self._laid, strict=True)])


def _in_memory_order(tensor: Tensor) -> Tensor:
    """View a tensor in the channels-last format as a contiguous one: a GPU then copies many of them at once."""
    is_channels_last = tensor.ndim == 4 and tensor.is_contiguous(memory_format=torch.channels_last)
    return tensor.permute(0, 2, 3, 1) if is_channels_last else tensor


@torch.no_grad()
def broadcast(tensor: Tensor) -> Tensor:
    """Return the main process's tensor; those of the others have its shape and type."""
    if _group is None:
        return tensor
    sent = tensor.clone(memory_format=torch.contiguous_format)
    with _talking():
        dist.broadcast(sent, src=0)
    return sent


@torch.no_grad()
def take_weights_of_main(module: nn.Module) -> None:
    """Copy the main process's parameters and buffers to all: another machine may round random numbers differently."""
    if _group is not None:
        for tensor in (*module.parameters(), *module.buffers()):
            tensor.copy_(broadcast(tensor))


def flag_of_main(flag: bool) -> bool:
    """Return the main process's flag."""
    return flag if _group is None else bool(broadcast(torch.tensor(flag)))


def from_main(make: Callable[[], Made]) -> Made:
    """Return what a function returns in the main process, the only one that calls it.

    Raises:
        AlreadySaid: In the others, if it raises in the main process.
    """
    if _group is None:
        return make()
    made: list[Any] = [None]
    try:
        if is_main():
            made = [(make(),)]
    finally:
        with _talking():
            dist.broadcast_object_list(made, src=0, device=torch.device("cpu"))
    if made[0] is None:
        raise AlreadySaid
    value: Made = made[0][0]
    return value


def capture_mode() -> str:
    """Return how strict the capture of a CUDA graph may be about what else the process asks the GPU to do."""
    # NCCL has a thread that asks the GPU how far it is, which would break a capture in the other mode
    return "thread_local" if dist.is_available() and dist.is_initialized() else "global"


def _backend(device: str) -> str:
    """Choose what carries messages, and this process's GPU."""
    if torch.device(resolve_device(device)).type == "cpu":
        return "gloo"
    local, gpus = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
    if local >= gpus:
        raise ValueError(
            f"torchrun --nproc-per-node must be at most the number of CUDA devices of the machine, {gpus}, got "
            f"{os.environ['LOCAL_WORLD_SIZE']}. Lower it, or use --device cpu."
        )
    torch.cuda.set_device(local)
    return "cpu:gloo,cuda:nccl"


@contextmanager
def _talking() -> Iterator[None]:
    """Say in one sentence that another process has ended, where the libraries say much."""
    try:
        yield
    except RuntimeError as error:
        if torch.cuda.is_available() and torch.cuda.is_current_stream_capturing():
            raise  # whoever captures it takes the step without a graph
        raise ConnectionError(ENDED) from error


@contextmanager
def _watched(store: Any) -> Iterator[None]:
    """End on SIGTERM even where the main thread waits for a GPU for ever, because another process has ended.

    After an error this still works, until the process has said what is wrong and ends.
    """
    reader, writer = socket.socketpair()  # Python writes the number of each signal to it, whatever the main thread does
    writer.setblocking(False)
    handler, descriptor = signal.signal(signal.SIGTERM, lambda *_: None), signal.set_wakeup_fd(writer.fileno())
    threading.Thread(target=_end_on_sigterm, args=(reader, writer, store), daemon=True).start()
    yield
    signal.signal(signal.SIGTERM, handler)
    signal.set_wakeup_fd(descriptor)
    writer.close()


def _end_on_sigterm(reader: socket.socket, writer: socket.socket, store: Any) -> None:
    """Wait for SIGTERM, or until the other end of the pair, kept open here, is closed."""
    while (number := reader.recv(1)) != bytes([signal.SIGTERM]):
        if not number:
            return
    time.sleep(GRACE)
    if _is_first(store):
        print(STOPPED, file=sys.stderr, flush=True)
    os._exit(1)


def _is_first(store: Any) -> bool:
    """Whether no process has asked this before; also if nobody is left to ask."""
    try:
        return bool(store.add("said", 1) == 1)
    except RuntimeError:
        return True
