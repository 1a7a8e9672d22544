import pytest

from agents.commands.compare.figures import COLUMNS
from agents.commands.compare.methods import Cost
from agents.commands.compare.store import MethodRecord
from agents.commands.compare.table import make_rows, write_table
from vae.distribution import Estimate

FIGURES = dict.fromkeys(COLUMNS, Estimate(0.5, 0.25, 0.75))


def record(run, agent="none", cost=None, figures=FIGURES, missing=""):
    return MethodRecord(run, run, run, "mixture", agent, cost or Cost(), figures, missing)


def test_a_row_holds_the_mean_over_runs_and_says_which_interval():
    other = {name: Estimate(0.7, 0, 1) for name in FIGURES}
    rows = make_rows([record("a"), record("b", figures=other)])
    assert (rows[0].runs, round(rows[0].figures["correct"].value, 3)) == (2, 0.6)
    text = write_table(rows, [record("a"), record("b")], "above")
    assert "Student's t over runs" in text
    assert "Wilson" not in text


def test_what_an_agent_adds_is_compared_run_by_run():
    def with_rate(run, agent, rate):
        return record(run, agent, figures={"correct": Estimate(rate, 0, 1)})

    pairs = [("a", 0.2, 0.5), ("b", 0.6, 0.9), ("c", 0.1, 0.4)]
    records = [with_rate(run, "none", low) for run, low, _ in pairs]
    records += [with_rate(run, "random", high) for run, _, high in pairs]
    without, adding = make_rows(records)
    assert "gain" not in without.figures
    assert (adding.figures["gain"].low, adding.figures["gain"].high) == pytest.approx((0.3, 0.3))
    assert adding.figures["correct"].high - adding.figures["correct"].low > 0.5
    assert "gain" not in make_rows([records[0], records[3]])[1].figures  # of one run there are no pairs to vary


def test_one_run_has_the_interval_over_its_pictures():
    records = [record("a", cost=Cost(21, 21, 20))]
    text = write_table(make_rows(records), records, "above")
    assert text.startswith("above\n\nRight hands, by the reporting judge\n\n| sampler | agent")
    assert "| 50.0 (25.0 to 75.0) |" in text
    assert "| 21 + 21 + 20 " in text
    assert "Wilson" in text
    assert "Student" not in text


def test_what_is_missing_is_a_row_of_dashes_and_a_line_below():
    lacking = [record(run, "sac-refine", figures={}, missing="no agent 'sac-refine'") for run in ("a", "b")]
    records = [record("a"), record("b"), *lacking]
    text = write_table(make_rows(records), records, "above")
    assert text.count("| mixture | sac-refine | 0    | -") == 3
    assert "Left out: no agent 'sac-refine' in a, b." in text


def test_a_cell_of_some_runs_counts_those_alone():
    records = [record("a"), record("b", figures={}, missing="no agent 'none'")]
    (row,) = make_rows(records)
    assert row.runs == 1
    assert row.figures == FIGURES


def test_every_line_of_a_part_is_as_long_as_its_head():
    records = [record("a"), record("a", "gradient-20", Cost(21, 21, 20))]
    for part in write_table(make_rows(records), records, "above").split("\n\n"):
        assert len({len(line) for line in part.splitlines() if line.startswith("|")}) <= 1
