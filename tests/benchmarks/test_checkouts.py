import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def checkouts(benchmark):
    return benchmark("checkouts")


def test_two_checkouts_take_turns(checkouts, capsys, monkeypatch):
    taken = []

    class Told:
        def __init__(self, checkout, size, batch):
            self.name = checkout.name

        def block(self, way):
            taken.append(self.name)
            return {"first": 2.0, "second": 3.0}[self.name]

        def end(self):
            taken.append("end")

    monkeypatch.setattr(checkouts, "Worker", Told)
    checkouts.main(["first", "second", "--starts", "2", "--blocks", "2", "--batch", "4"])
    turns = ["first", "second", "second", "first"]
    assert taken == [*turns, *turns, "end", "end", *turns[2:], *turns[:2], *turns[2:], *turns[:2], "end", "end"]
    said = capsys.readouterr().out
    assert "start 0, bare: 20.0 and 13.3 images/s, 1.500" in said
    assert said.endswith("environment: time of the second over the first 1.500 (1.500 to 1.500)\n")


def test_a_checkout_trains_with_its_own_code(checkouts, capsys):
    checkouts.main([str(ROOT), str(ROOT), "--starts", "2", "--blocks", "1", "--size", "32", "--batch", "2"])
    assert len(re.findall(r"start \d, (?:bare|environment): [\d.]+ and [\d.]+ images/s", capsys.readouterr().out)) == 4


def test_a_folder_without_the_project_and_a_single_start_are_refused(checkouts, tmp_path, capsys):
    with pytest.raises(ValueError, match="must be a checkout of this project"):
        checkouts.Worker(tmp_path, 32, 2)
    with pytest.raises(SystemExit):
        checkouts.main([".", ".", "--starts", "1"])
    assert "--starts must be at least 2 and --blocks at least 1, got 1 and 12." in capsys.readouterr().err
