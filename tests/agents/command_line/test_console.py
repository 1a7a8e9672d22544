import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from agents.command_line.console import lasting_streams

ROOT = Path(__file__).parents[2]
PRINTS = """
import sys
from agents import cli
from agents.draw.settings import GenerateArgs

def many(args):
    for number in range(10_000):
        print(number, "a line that somebody may read")
    print("a note", file=sys.stderr)
    open({done!r}, "w").write("whole")
    return "the end"

cli.COMMANDS["generate"] = (GenerateArgs, many)
sys.exit(cli.main(["generate"]))
"""


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_leaves_stops_no_command_and_is_no_error(tmp_path, unbuffered):
    reading, writing = os.pipe()
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", PRINTS.format(done=str(tmp_path / "done"))],
        stdout=writing,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": unbuffered, "PYTHONPATH": str(ROOT)},
    ) as process:
        os.close(writing)
        first = os.read(reading, 1)
        os.close(reading)
        errors = process.communicate()[1]
    assert first == b"0"
    assert (process.returncode, errors) == (0, b"a note\n")
    assert (tmp_path / "done").read_text() == "whole"


def test_the_streams_are_the_process_s_own_again_afterwards(monkeypatch):
    own = io.StringIO()
    monkeypatch.setattr(sys, "stdout", own)
    with lasting_streams():
        assert sys.stdout is not own
        print("said")
        assert not sys.stdout.isatty()
    assert sys.stdout is own
    assert own.getvalue() == "said\n"
