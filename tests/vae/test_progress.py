import re
import sys
from threading import RLock, Thread

import pytest
import torch
from terminal import terminal

from vae import progress
from vae.progress import in_chunks, progress_bar, say, show_progress

AT_ONCE = {"between_frames": 0.0, "unseen": 0.0}


class Clock:
    """A clock that a test moves."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def ticking(clock, items, seconds=1.0):
    for item in items:
        clock.now += seconds
        yield item


def test_nothing_is_said_unless_somebody_shows_it(capsys):
    with terminal() as shown:
        assert list(progress_bar(range(3), "Counting")) == [0, 1, 2]
        say("a line")
        print("-", file=sys.stderr)
    assert shown == ["-\r\n"]
    clock = Clock()
    with show_progress(between_lines=1, clock=clock):
        pass
    assert list(progress_bar(ticking(clock, range(99)), "Counting", total=99)) == list(range(99))
    assert capsys.readouterr().err == ""


def test_without_a_terminal_there_is_a_line_after_ten_seconds_and_a_last_one(capsys):
    clock = Clock()
    with show_progress(clock=clock):
        for _ in progress_bar(ticking(clock, range(25)), "Counting", total=25, unit="sheep"):
            pass
    assert capsys.readouterr().err == (
        "Counting: 40 %, 10 of 25 sheep, 00:10 so far, 00:15 left\n"
        "Counting: 80 %, 20 of 25 sheep, 00:20 so far, 00:05 left\n"
        "Counting: 100 %, 25 of 25 sheep, 00:25 so far, 00:00 left\n"
    )


def test_what_is_quick_writes_no_line_and_many_quick_jobs_write_one_now_and_then(capsys):
    clock = Clock()
    with show_progress(clock=clock):
        for _ in range(3):
            for _ in progress_bar(ticking(clock, range(4)), "Counting", total=4):
                pass
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition(" %")[0] for line in lines] == ["Counting: 50", "Counting: 100"]  # after 10 and 12 seconds
    with show_progress(clock=clock):
        for _ in progress_bar(ticking(clock, range(9)), "Counting", total=9):
            pass
    assert capsys.readouterr().err == ""


def test_a_line_says_what_the_outer_job_does_and_a_third_one_is_left_out(capsys):
    clock = Clock()
    with (
        show_progress(between_lines=5, clock=clock),
        progress_bar(title="Runs", unit="runs", total=2, initial=1) as outer,
    ):
        outer.set_postfix(loss=3, refresh=False)
        for _ in progress_bar(range(3), "Steps"):
            for _ in progress_bar(ticking(clock, range(2)), "Rows", total=2):
                pass
        outer.update()
    assert capsys.readouterr().err == (
        "Runs: 50 %, 1 of 2 runs, 00:06 so far, ? left, loss 3; Steps: 100 %, 3 of 3 steps, 00:06 so far, 00:00 left\n"
        "Runs: 100 %, 2 of 2 runs, 00:06 so far, 00:00 left, loss 3\n"
    )


def test_the_time_left_counts_what_was_done_here_alone(capsys):
    clock = Clock()
    with show_progress(clock=clock), progress_bar(title="Training", total=100, initial=80) as bar:
        clock.now = 10.0
        bar.update(10)
    assert "90 %, 90 of 100 steps, 00:10 so far, 00:10 left" in capsys.readouterr().err


def test_a_bar_that_an_error_ends_does_not_stand_before_later_ones(capsys):
    clock = Clock()
    with show_progress(between_lines=5, clock=clock):
        with pytest.raises(KeyError), progress_bar(title="Broken", total=2):
            raise KeyError
        for _ in progress_bar(ticking(clock, range(5)), "Counting", total=5):
            break
        for _ in progress_bar(ticking(clock, range(5)), "Counting", total=5):
            pass
    assert re.fullmatch(r"Counting: 80 %.*\nCounting: 100 %.*\n", capsys.readouterr().err)


def test_who_asks_for_a_bar_sees_it_anyway():
    with terminal() as shown:
        list(progress_bar(range(2), "Counting", leave=True, asked=True))
    assert "Counting:  " in shown[0]


def test_a_terminal_shows_the_time_left_above_which_lines_are_printed_whole():
    with terminal() as shown, show_progress(**AT_ONCE), progress_bar(title="Runs", total=4, leave=True) as bar:
        bar.update()
        bar.update()
        say("a line")
        for _ in progress_bar(range(2), "Steps"):
            pass
    assert re.search(r"Runs:  50%\|.* 2/4 steps \[00:00 so far, 00:00 left\]", shown[0])
    assert re.search(r"\ra line\r\n", shown[0])
    assert "Steps: " in shown[0]
    assert shown[0].endswith("left]\r\n")  # the command's own bar stays, the other one is gone


def test_a_terminal_that_says_it_has_no_size_gets_bars_of_80_columns():
    with terminal(0, 0) as shown, show_progress(**AT_ONCE):
        list(progress_bar(range(2), "Steps", leave=True))
    assert {len(part) for part in re.split(r"[\r\n]+", shown[0]) if "Steps" in part} == {80}


def test_what_is_done_within_a_second_is_not_seen_on_a_terminal():
    with terminal() as shown, show_progress(unseen=60.0):
        list(progress_bar(range(2), "Steps"))
        print("-", file=sys.stderr)
    assert shown == ["-\r\n"]


def test_another_thread_is_not_shown(capsys):
    with show_progress(between_lines=0):
        thread = Thread(target=lambda: list(progress_bar(range(2), "Counting")))
        thread.start()
        thread.join()
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("size", [1, 3, 10, 99])
def test_chunks_are_those_of_torch_split_and_their_rows_are_counted(size, capsys):
    rows = torch.arange(10)
    with show_progress(between_lines=0):
        chunks = list(in_chunks(rows, size, "Cutting", "rows"))
    assert all(map(torch.equal, chunks, torch.split(rows, size)))
    assert len(chunks) == len(torch.split(rows, size))
    said = capsys.readouterr().err
    assert ("Cutting: 100 %, 10 of 10 rows" in said) == (size < 10)


def test_bars_are_locked_among_threads_alone():
    """A lock among processes is a semaphore, which a process that is killed leaves to the system."""
    assert isinstance(progress._Bar.get_lock(), type(RLock()))
