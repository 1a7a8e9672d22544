from types import SimpleNamespace

import pytest

from agents.commands.compare.figures import COLUMNS, over_runs, rates
from agents.figures.intervals import student
from hand_env.anatomy import CRITERIA
from vae.distribution import Estimate


def judged(correct):
    failures = () if correct else ("thumb", "sharpness")
    return SimpleNamespace(correct=correct, anatomical=correct, failures=failures)


def test_rates_count_pictures_criteria_and_whole_batches():
    judgements = [judged(True)] * 19 + [judged(False)] + [judged(True)] * 15 + [judged(False)] * 5 + [judged(True)] * 7
    found = rates(judgements)
    assert found["correct"].value == pytest.approx(41 / 47)
    assert (found["batches_15"].value, found["batches_19"].value) == (1.0, 0.5)
    assert {name for name in CRITERIA if found[f"fails_{name}"].value} == {"thumb", "sharpness"}
    assert found["fails_thumb"].value == pytest.approx(6 / 47)
    assert found["correct"].low < 41 / 47 < found["correct"].high


def test_the_mean_over_runs_has_student_s_interval():
    found = student([1.0, 2.0, 3.0])
    half_width = 4.302653 * 1 / 3**0.5  # t for 2 degrees of freedom, from a printed table
    assert (found.value, found.high - found.value) == pytest.approx((2.0, half_width), rel=1e-6)


def test_one_run_keeps_its_own_interval_and_shares_stay_shares():
    one = {"correct": Estimate(0.9, 0.8, 0.95)}
    assert over_runs([one]) == one
    several = over_runs([{"correct": Estimate(value, 0, 1)} for value in (0.9, 1.0)])
    assert several["correct"].value == pytest.approx(0.95)
    assert (several["correct"].low, several["correct"].high) == pytest.approx((0.3147, 1.0), abs=1e-3)


def test_the_kernel_distance_may_be_below_zero():
    several = over_runs([{"kernel_distance": Estimate(value, 0, 1)} for value in (-0.001, 0.001)])
    assert several["kernel_distance"].low < 0


def test_every_criterion_has_a_column():
    assert [name for name in COLUMNS if name.startswith("fails_")] == [f"fails_{name}" for name in CRITERIA]
