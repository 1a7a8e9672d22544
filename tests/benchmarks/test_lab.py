import json

import pytest


@pytest.fixture
def lab(benchmark):
    return benchmark("lab")


def cell(images, epochs, batch_size, measuring):
    seconds = {"training": 1e6, "measuring normal": measuring, "fitting normal": 1.0}  # training was on other GPUs
    return {"images": images, "epochs": epochs, "batch_size": batch_size, "seconds": seconds}


def test_a_run_costs_its_epochs_its_updates_and_what_was_recorded(lab):
    assert lab.seconds_of(cell(800, 100, 64, 4.0), {800: 1000.0}, float("inf")) == 80 + 4 + 1
    assert lab.seconds_of(cell(800, 100, 64, 4.0), {800: 1000.0}, 12.0) == 80 + 100 + 4 + 1


def test_the_last_run_ends_when_the_longest_are_started_first(lab):
    assert lab.makespan([1, 2, 3, 4, 5, 9], 2) == 12
    assert lab.makespan([1, 2, 3], 8) == 3


def test_runs_side_by_side_cost_less_by_what_they_do_together(lab):
    text = lab.table({"it": [cell(8, 900, 4, 0.0)] * 16}, {8: 2.0}, 1.0, {1: 10.0, 2: 16.0})
    rows = [[word.strip() for word in line.split("|")[1:-1]] for line in text.splitlines()[2:]]
    assert rows[0] == ["it", "16", "1", "16", "16", "2", "1"]
    assert rows[1] == ["it", "16", "2", "10", "10", "1.25", "1.25"]
    assert [row[0] for row in rows[2:]] == ["it, with SAC"] * 2
    assert float(rows[2][3]) == pytest.approx(16 * (3601 + 1800) / 3600, rel=1e-2)


def test_the_recorded_curricula_have_the_sizes_that_are_measured(lab):
    for path in lab.CURRICULA.values():
        assert {each["images"] for each in json.loads(path.read_text())["cells"]} <= set(lab.FULL.n)
