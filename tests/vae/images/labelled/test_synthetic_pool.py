import multiprocessing
import os
import signal
import sys
import threading
import types
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.process import BaseProcess
from typing import Any

import pytest
import torch

from vae.images.labelled import synthetic_pool
from vae.images.labelled.synthetic_pool import RightHands, SyntheticPool, render_hands, render_right_hands
from vae.images.labelled.vocabulary import (
    ABSENT,
    EXTRA,
    EXTRA_FINGER,
    EXTRA_GHOST,
    EXTRA_THUMB,
    FUSED,
    GHOST,
    SEGMENT_ADDED,
    SEGMENT_MISSING,
    TOO_LONG,
    TOO_SHORT,
)
from vae.images.synthetic import DEFECTS
from vae.progress import show_progress

OF_DIGITS = {
    "missing_digit": {ABSENT},
    "fused_digits": {FUSED},
    "missing_segment": {SEGMENT_MISSING},
    "extra_segment": {SEGMENT_ADDED},
    "length_out_of_range": {TOO_LONG, TOO_SHORT},
    "ghost_digit": {GHOST},
}
OF_EXTRA = {"extra_digit": EXTRA_FINGER, "second_thumb": EXTRA_THUMB}


def test_correct_hands_are_labelled_normal():
    hands = render_hands(1, 0, 6, "none", 32)
    assert bool((hands.states == 0).all())
    assert bool((hands.extra == 0).all())
    assert bool((hands.whole == 1).all())
    assert not bool((hands.regions == EXTRA).any())
    assert bool(((hands.joints > 0) & (hands.joints < 1)).all())


@pytest.mark.parametrize("defect", DEFECTS)
def test_each_defect_is_labelled_as_what_it_is(defect):
    hands = render_hands(1, 0, 10, defect, 32)
    assert bool((hands.whole == 0).all())
    for states, extra in zip(hands.states.tolist(), hands.extra.tolist(), strict=True):
        named = {state for state in states if state}
        if defect in OF_EXTRA:
            assert named == set()
            assert extra == OF_EXTRA[defect]
        elif defect == "ghost_digit":
            assert (named, extra) in (({GHOST}, 0), (set(), EXTRA_GHOST))
        else:
            assert named
            assert named <= OF_DIGITS[defect]
            assert extra == 0
        assert states.count(FUSED) in (0, 2)


@pytest.mark.parametrize(("workers", "started"), [(None, 2), (3, 3), (9, 4)])
def test_as_many_processes_draw_as_there_are_cores_or_tasks(monkeypatch, capsys, workers, started):
    class Inline:
        def __init__(self, workers, context, initializer):
            assert workers == started
            assert initializer is synthetic_pool._prepare
            assert sys.warnoptions[-1] == "ignore::UserWarning:multiprocessing.resource_tracker"

        def submit(self, work, *args):
            done: Future[Any] = Future()
            done.set_result(work(*args))
            return done

        def shutdown(self, cancel_futures):
            pass

    monkeypatch.setattr(synthetic_pool, "ProcessPoolExecutor", Inline)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 5}, raising=False)
    monkeypatch.setattr(synthetic_pool, "CHUNK", 2)
    with show_progress(between_lines=0):
        hands = render_right_hands(8, 3, workers)
    assert torch.equal(hands.images[2:4], render_hands(3, 2, 2, "none").images)
    assert "Rendering hands: 100 %, 8 of 8 hands" in capsys.readouterr().err


def test_hands_that_are_drawn_meanwhile_are_the_same():
    with RightHands(64, 3, 1) as hands:
        hands.start()
        assert len(multiprocessing.active_children()) == 1
        drawn = hands.collect()
    with RightHands(64, 3, 0) as hands:
        hands.start()
        assert hands._pool is None
        expected = hands.collect()
    for name, tensor in vars(expected).items():
        assert torch.equal(getattr(drawn, name), tensor), name


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt])
def test_no_process_draws_on_after_an_error_meanwhile(error):
    def fail():
        with RightHands(32_000, 3, 1) as hands:
            hands.start()
            processes.extend(multiprocessing.active_children())
            raise error

    processes = list[BaseProcess]()
    with pytest.raises(error):
        fail()
    assert len(processes) == 1
    assert not processes[0].is_alive()


def test_a_process_that_dies_ends_the_others_and_is_told_of():
    with RightHands(32_000, 3, 2) as hands:
        hands.start()
        processes = multiprocessing.active_children()
        processes[0].kill()
        processes[1].join()
        with pytest.raises(BrokenProcessPool):
            hands.collect()
    assert len(processes) == 2
    assert not any(process.is_alive() for process in processes)


def test_a_process_that_draws_waits_for_the_end_of_the_one_that_started_it_and_ends(monkeypatch):
    """`tests/faults/test_workers.py` kills one that has such a process."""
    events: list[object] = []
    threads: list[threading.Thread] = []
    parent = types.SimpleNamespace(join=lambda: events.append("joined"))
    monkeypatch.setattr(multiprocessing, "parent_process", lambda: parent)
    monkeypatch.setattr(os, "_exit", events.append)
    monkeypatch.setattr(threading.Thread, "start", lambda thread: threads.append(thread))
    before = signal.getsignal(signal.SIGINT)
    try:
        synthetic_pool._prepare()
        assert signal.getsignal(signal.SIGINT) == signal.SIG_DFL  # ends at Ctrl-C without a traceback
    finally:
        signal.signal(signal.SIGINT, before)
    assert events == []
    (waits,) = threads
    assert waits.daemon
    waits.run()
    assert events == ["joined", 1]


def test_the_pool_overwrites_the_oldest_when_full():
    pool = SyntheticPool(40, 3, "cpu", 0)
    assert pool.collect() == 32
    first = pool.draw(torch.arange(32)).images
    assert pool.collect() == 40
    assert not torch.equal(pool.draw(torch.arange(24)).images, first[:24])
    assert torch.equal(pool.draw(torch.arange(24, 32)).images, first[24:])
    pool.close()
