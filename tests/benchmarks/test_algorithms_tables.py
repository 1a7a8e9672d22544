import pytest

from agents.figures.intervals import interquartile

ENDS = [0.1, 0.5, 0.2, 0.4, 0.3]


@pytest.fixture
def script(benchmark):
    return benchmark("algorithms_tables")


def record(algorithm, seed, *right, environment="HandRefine-v0"):
    curve = [
        {"samples": 100 * place, "correct": share, "score": share / 2, "score_by_parser": 0.0}
        for place, share in enumerate(right)
    ]
    return {"environment": environment, "algorithm": algorithm, "seed": seed, "seconds": 1.0, "points": curve}


@pytest.fixture
def records():
    """Five seeds of SAC from 10 %, one of PPO, and no agent, on one environment; PPO alone on another."""
    found = [record("sac", seed, 0.1, end / 2, end) for seed, end in enumerate(ENDS)]
    found += [record("ppo", 0, 0.1, 0.15, 0.125), record("none", 0, 0.05)]
    return [*found, record("ppo", 0, 0.0, 1.0, environment="HandSchedule-v0")]


def cells(table):
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines() if line[:1] == "|"]


def test_the_table_has_start_middle_and_end_with_intervals_over_seeds(script, records):
    refine, schedule = script.tables(records).split("HandSchedule-v0:")
    assert refine.startswith("HandRefine-v0:\n")
    head, _, nothing, sac, ppo = cells(refine)
    assert head == ["algorithm", "seeds", "correct % at 0", "correct % at 100", "correct % at 200", "mean score"]
    assert nothing == ["no agent", "1", "5.0", "", "", "0.025"]
    assert ppo == ["PPO", "1", "10.0", "15.0", "12.5", "0.062"]
    end = interquartile(ENDS)
    assert sac[:3] == ["SAC", "5", "10.0 (10.0 to 10.0)"]
    assert sac[4] == f"30.0 ({100 * end.low:.1f} to {100 * end.high:.1f})"
    assert sac[5] == f"0.150 ({end.low / 2:.3f} to {end.high / 2:.3f})"
    assert cells(schedule)[2] == ["PPO", "1", "0.0", "100.0", "0.500"]


def test_seeds_that_were_measured_at_different_samples_are_refused(script):
    with pytest.raises(ValueError, match=r"Seed 1 of sac was measured at \[0\] samples, and seed 0 at \[0, 100\]"):
        script.tables([record("sac", 0, 0.1, 0.2), record("sac", 1, 0.1)])


def test_the_plot_has_a_curve_and_a_band_for_each_algorithm_and_a_line_for_no_agent(script, records, tmp_path):
    figure = script.plot(records)
    refine, schedule = figure.axes
    assert (refine.get_title(), schedule.get_title()) == ("HandRefine-v0", "HandSchedule-v0")
    lines = {line.get_label(): line.get_xydata().tolist() for line in refine.lines}
    assert list(lines) == ["no agent", "SAC", "PPO"]
    assert lines["SAC"] == [[0, pytest.approx(10)], [100, pytest.approx(15)], [200, pytest.approx(30)]]
    assert {y for _, y in lines["no agent"]} == {5.0}
    assert len(refine.collections) == 2
    top = refine.collections[0].get_paths()[0].vertices[:, 1].max()
    assert top == pytest.approx(100 * interquartile(ENDS).high)
    figure.savefig(tmp_path / "curves.png")
    assert (tmp_path / "curves.png").stat().st_size > 1000
