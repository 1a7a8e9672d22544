"""Render synthetic hands with training labels, in worker processes that run during training."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from itertools import count
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vae.images.labelled.hands import CANVAS, Hands, correct_hands, join
from vae.images.labelled.vocabulary import (
    ABSENT,
    EXTRA,
    EXTRA_FINGER,
    EXTRA_GHOST,
    EXTRA_THUMB,
    FIRST_DIGIT,
    FUSED,
    GHOST,
    PALM,
    SEGMENT_ADDED,
    SEGMENT_MISSING,
    TOO_LONG,
    TOO_SHORT,
)
from vae.images.synthetic.labels import joints as joints_of
from vae.images.synthetic.render import render
from vae.images.synthetic.scene import Scene, draw_scene
from vae.images.synthetic.skeleton import SIXTH
from vae.progress import progress_bar

CHUNK = 32  # pictures per task
SHARE_CORRECT = 0.5  # of the pictures in a task
NICE = 10  # how far worker processes step back for other work, such as training
# When this process is killed, another one that Python starts with these options removes a pool's semaphores, and warns.
_QUIETLY = "ignore::UserWarning:multiprocessing.resource_tracker"

Arrays = dict[str, NDArray[Any]]


def render_hands(seed: int, first: int, n: int, defect: str, size: int = CANVAS) -> Hands:
    """Render synthetic hands, some with rings and sleeves.

    Args:
        seed: >= 0.
        first: Index of the first picture in the seed's sequence.
        n: Number of hands.
        defect: As for `vae.images.synthetic.generate_hands`.
        size: Pixels a side.

    Returns:
        Labelled hands, images uint8, on the CPU.
    """
    indices = range(first, first + n)
    scene = draw_scene(indices, size, seed, defect, True, True)
    as_right = draw_scene(indices, 16, seed, "none", True, True)
    images, digits, palm = render(scene, size, "cpu")
    hands = correct_hands(images, _regions(digits, palm, scene), joints_of(scene.skeleton, scene.camera) / size)
    _label(hands, scene, as_right)
    return hands


def _regions(digits: Tensor, palm: Tensor, scene: Scene) -> Tensor:
    regions = palm.to(torch.uint8) * PALM
    for slot in range(6):
        number = torch.full((len(palm),), FIRST_DIGIT + slot if slot < SIXTH else EXTRA)
        number[scene.skeleton.fused[:, slot]] = EXTRA
        regions = torch.where(digits[:, slot], number.to(torch.uint8).view(-1, 1, 1), regions)
    return regions


def _label(hands: Hands, scene: Scene, as_right: Scene) -> None:
    bones, usual = scene.skeleton.bones[:, :5], as_right.skeleton.bones[:, :5]
    factor = (bones.sum(-1) / usual.sum(-1).clamp(min=1e-6)).float()
    kinds = np.array(scene.kinds)
    rows = {kind: torch.from_numpy(kinds == kind).unsqueeze(1) for kind in set(scene.kinds)}
    none = torch.zeros(len(kinds), 1, dtype=torch.bool)

    def of(kind: str, where: Tensor, state: int) -> None:
        hands.states[rows.get(kind, none) & where] = state

    of("missing_digit", ~scene.skeleton.present[:, :5], ABSENT)
    of("fused_digits", scene.skeleton.fused[:, :5], FUSED)
    fingers = torch.tensor([False, True, True, True, True])
    of("missing_segment", fingers & (bones[..., 2] == 0), SEGMENT_MISSING)
    of("extra_segment", bones[..., 3] > 0, SEGMENT_ADDED)
    of("length_out_of_range", factor > 1.1, TOO_LONG)
    of("length_out_of_range", factor < 0.9, TOO_SHORT)
    of("ghost_digit", scene.ghost.unsqueeze(1) == torch.arange(5), GHOST)
    hands.extra[rows.get("extra_digit", none)[:, 0]] = EXTRA_FINGER
    hands.extra[rows.get("second_thumb", none)[:, 0]] = EXTRA_THUMB
    hands.extra[rows.get("ghost_digit", none)[:, 0] & (scene.ghost == SIXTH)] = EXTRA_GHOST
    hands.whole[torch.from_numpy(kinds != "none")] = 0.0


class SyntheticPool:
    """Hold synthetic hands on a device, and collect those that worker processes render."""

    def __init__(self, capacity: int, seed: int, device: str, workers: int | None = None) -> None:
        """Start to render.

        Args:
            capacity: Largest number of hands held; new hands then overwrite the oldest.
            seed: Seed of the hands.
            device: Device that holds the hands.
            workers: Number of worker processes; with 0, `collect` renders in this process. None: one for each core.
        """
        workers = one_per_core(workers)
        self.capacity, self.device = capacity, device
        self.held, self.taken = 0, 0
        self._hands: Hands | None = None
        self._tasks = _tasks(seed)
        self._waiting: list[Future[Arrays]] = []
        self._workers = _processes(workers) if workers else None
        self._ahead = 8 * workers
        self._order()

    def collect(self) -> int:
        """Add the pictures rendered since the last call; return how many are held."""
        if self._workers is None:
            self._take_in(_drawn(*next(self._tasks)))
            return self.held
        done = [future for future in self._waiting if future.done()]
        self._waiting = [future for future in self._waiting if not future.done()]
        for future in done:
            self._take_in(future.result())
        self._order()
        return self.held

    def wait_for(self, n: int, seconds: float) -> int:
        """Collect until n pictures are held, or until the time is up and at least one is; return how many are held."""
        end = time.monotonic() + seconds
        with progress_bar(title="Waiting for synthetic hands", unit="hands", total=n, initial=min(n, self.held)) as bar:
            while self.collect() < n and (time.monotonic() < end or not self.held):
                bar.update(self.held - bar.n)
                time.sleep(0.0 if self._workers is None else 0.05)
        return self.held

    def draw(self, rows: Tensor) -> Hands:
        """Copy the hands of some rows, (n,) int64 in 0..held - 1."""
        assert self._hands is not None, "collect first"
        return self._hands.take(rows)

    def close(self) -> None:
        """Stop the worker processes."""
        if self._workers is not None:
            self._workers.shutdown(wait=False, cancel_futures=True)

    def _order(self) -> None:
        while self._workers is not None and len(self._waiting) < self._ahead:
            self._waiting.append(self._workers.submit(_drawn, *next(self._tasks)))

    def _take_in(self, arrays: Arrays) -> None:
        new = _as_hands(arrays).to(self.device)
        if self._hands is None:
            self._hands = _room(new, self.capacity)
        places = (self.taken + torch.arange(len(new), device=self.device)) % self.capacity
        self._hands.put(places, new)
        self.taken += len(new)
        self.held = min(self.taken, self.capacity)


def _tasks(seed: int) -> Iterator[tuple[int, int, int]]:
    return ((seed, number * CHUNK, CHUNK) for number in count())


def _drawn(seed: int, first: int, n: int) -> Arrays:
    right = round(SHARE_CORRECT * n)
    hands = join([render_hands(seed, first, right, "none"), render_hands(seed, first + right, n - right, "any")])
    return _as_arrays(hands)


class RightHands:
    """Synthetic hands without defects, which worker processes render while this process does something else.

    Use it in `with`, whose end stops the processes, whatever ends it.
    """

    def __init__(self, n: int, seed: int, workers: int | None = None) -> None:
        """Take the arguments of `render_right_hands`, and render nothing yet."""
        self._seed, self._firsts = seed, range(0, n, CHUNK)
        self._most = min(one_per_core(workers), len(self._firsts))
        self._pool: ProcessPoolExecutor | None = None
        self._waiting: list[Future[Arrays]] = []

    def processes(self) -> ProcessPoolExecutor | None:
        """Start the worker processes, which can do something else until they render; None without workers."""
        if self._most and self._pool is None:
            self._pool = _processes(self._most)
        return self._pool

    def start(self) -> None:
        """Let worker processes start to render, and do not wait for them; without workers, do nothing."""
        pool = self.processes()
        if pool is not None and not self._waiting:
            self._waiting = [pool.submit(_draw_right, self._seed, first) for first in self._firsts][::-1]

    def collect(self) -> Hands:
        """Wait for the hands, start to render if nobody has, and stop the processes.

        Returns:
            Labelled hands on the CPU, 128 pixels a side, images uint8.
        """
        self.start()
        room: Hands | None = None
        rows = len(self._firsts) * CHUNK
        with progress_bar(title="Rendering hands", unit="hands", total=rows) as bar:
            for first in self._firsts:
                new = _as_hands(self._next(first))
                room = _room(new, rows) if room is None else room
                room.put(torch.arange(first, first + CHUNK), new)
                bar.update(CHUNK)
        self.close()
        assert room is not None, "the caller wants at least one"
        return room

    def close(self) -> None:
        """Stop the processes as soon as they have rendered the few hands at hand, and drop what they have rendered."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)  # and wait: a pool that nobody holds would render all
            self._pool, self._waiting = None, []

    def __enter__(self) -> RightHands:
        """Return this."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the processes."""
        self.close()

    def _next(self, first: int) -> Arrays:
        return (
            self._waiting.pop().result() if self._waiting else _draw_right(self._seed, first)
        )  # and keep it no longer


def render_right_hands(n: int, seed: int, workers: int | None = None) -> Hands:
    """Render synthetic hands without defects, some with rings and sleeves.

    Args:
        n: Number of hands, rounded up to a multiple of 32.
        seed: Seed of the hands; the number of workers does not change the hands.
        workers: Most worker processes; with 0, this process renders. None: one for each core.

    Returns:
        Labelled hands on the CPU, 128 pixels a side, images uint8.
    """
    with RightHands(n, seed, workers) as hands:
        return hands.collect()


def one_per_core(workers: int | None) -> int:
    """Return a number of worker processes: the given one, or that of the cores that this process may use."""
    if workers is not None:
        return workers
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _processes(n: int) -> ProcessPoolExecutor:
    """Start n processes that render. They end with this one, however it ends, and without a word at Ctrl-C."""
    sys.warnoptions.append(_QUIETLY)
    try:
        pool = ProcessPoolExecutor(n, multiprocessing.get_context("spawn"), _prepare)
    finally:
        sys.warnoptions.remove(_QUIETLY)
    with _ctrl_c_waits():
        for _ in range(n):
            pool.submit(int)  # starts a process
    return pool


@contextmanager
def _ctrl_c_waits() -> Iterator[None]:
    """Let Ctrl-C wait here, and in processes that are started here for as long as they import; not on Windows."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _prepare() -> None:
    torch.set_num_threads(1)
    if hasattr(os, "nice"):  # not on Windows
        os.nice(NICE)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # no traceback
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None, "this is a process of a pool"
    parent.join()
    os._exit(1)  # or it would wait for tasks for ever


def _draw_right(seed: int, first: int) -> Arrays:
    return _as_arrays(render_hands(seed, first, CHUNK, "none", CANVAS))


def _as_arrays(hands: Hands) -> Arrays:
    """Give what another process can send without a file for each tensor."""
    return {name: tensor.numpy() for name, tensor in vars(hands).items()}


def _as_hands(arrays: Arrays) -> Hands:
    return Hands(**{name: torch.from_numpy(array) for name, array in arrays.items()})


def _room(hands: Hands, n: int) -> Hands:
    """Make room for n hands like these."""
    return Hands(**{name: tensor.new_empty(n, *tensor.shape[1:]) for name, tensor in vars(hands).items()})
