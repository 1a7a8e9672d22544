import sys
from threading import RLock

from vae.progress import SECONDS_BETWEEN_LINES, progress_bar


class Terminal:
    def isatty(self):
        return True

    def write(self, text):
        pass

    def flush(self):
        pass


def test_a_bar_writes_seldom_where_stderr_is_no_terminal(capsys):
    for _ in progress_bar(range(20_000), "Counting"):
        pass
    assert len(capsys.readouterr().err.split("\r")) <= 4  # the first and the last, whatever the machine's speed
    assert progress_bar(total=3).mininterval == SECONDS_BETWEEN_LINES


def test_a_bar_is_tqdm_s_own_on_a_terminal(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    assert progress_bar(total=3, file=Terminal()).mininterval < 1


def test_bars_are_locked_among_threads_alone():
    """A lock among processes is a semaphore, which a process that is killed leaves to the system."""
    assert isinstance(progress_bar(total=3).get_lock(), type(RLock()))
