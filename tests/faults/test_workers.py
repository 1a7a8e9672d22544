"""Processes that draw hands end with the process that started them, and say nothing when it is stopped.

`tests/vae/images/labelled/test_synthetic_pool.py` has the short form.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DRAWS = """
import multiprocessing
from vae.images.labelled import synthetic_pool

if __name__ == "__main__":
    started, start = [], synthetic_pool._processes

    def told(n):
        pool = start(n)
        print(*(child.pid for child in multiprocessing.active_children()), flush=True)
        return pool

    synthetic_pool._processes = told
"""
AT_ONCE = """
    synthetic_pool.render_right_hands(3200, 0, 1)
"""
MEANWHILE = """
    import time
    with synthetic_pool.RightHands(3200, 0, 1) as hands:
        hands.start()
        time.sleep(600)  # stands for reading photographs
"""


def runs(pid):
    state = Path(f"/proc/{pid}/stat")
    return state.is_file() and state.read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"


@pytest.mark.long
@pytest.mark.skipif(not Path("/proc/self/stat").is_file(), reason="this system does not say what runs")
@pytest.mark.parametrize("seconds", [0, 4])  # while the processes start, and while they draw
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("waits", [AT_ONCE, MEANWHILE], ids=["at once", "meanwhile"])
def test_a_process_that_draws_ends_with_the_one_that_started_it(tmp_path, number, seconds, waits):
    (tmp_path / "script.py").write_text(DRAWS + waits)
    with subprocess.Popen(
        [sys.executable, tmp_path / "script.py"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as process:
        workers = [int(word) for word in process.stdout.readline().split()]
        time.sleep(seconds)
        if number == signal.SIGINT:  # a terminal sends it to all
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)
        said = process.communicate()[1]  # ends when nobody can write there any more
    assert len(workers) == 1
    while any(map(runs, workers)):  # for a moment; a worker that stays would have kept the pipe open
        time.sleep(0.1)
    lines = [line for line in said.splitlines() if line and "hands/s]" not in line]
    assert lines[-1:] == (["KeyboardInterrupt"] if number == signal.SIGINT else [])
    assert said.count("Traceback") == (number == signal.SIGINT)
