from dataclasses import replace

import pytest

from hand_env.anatomy import summarise, wilson
from vae.images.labelled.vocabulary import REASONS


@pytest.mark.parametrize(
    ("count", "of", "low", "high"), [(19, 20, 0.764, 0.991), (0, 10, 0.0, 0.278), (10, 10, 0.722, 1)]
)
def test_wilson_interval_is_as_published(count, of, low, high):
    rate = wilson(count, of)
    assert rate.low == pytest.approx(low, abs=1e-3)
    assert rate.high == pytest.approx(high, abs=1e-3)


def test_wilson_refuses_an_impossible_count():
    with pytest.raises(ValueError, match="count must lie in"):
        wilson(3, 2)


def test_summary_counts_rates_failures_and_batches(judge, hands):
    right = replace(judge.judge(hands[:1])[0], anatomical=True, correct=True, failures=(), score=1.0)
    wrong = replace(right, anatomical=False, correct=False, failures=("fingers", "whole"), score=0.0)
    summary = summarise([right] * 15 + [wrong] * 5 + [right] * 14 + [wrong] * 6 + [right])
    assert (summary.correct.count, summary.correct.of) == (30, 41)
    assert (summary.batches, summary.good_batches) == (2, 1)
    assert summary.failures["fingers"] == 11
    assert summary.failures["skin"] == 0
    assert summary.score == pytest.approx(30 / 41)


def test_summary_counts_what_is_trusted_and_what_is_right_among_it(judge, hands):
    fine = {"anatomical": True, "correct": True, "trusted": True, "failures": (), "doubts": ()}
    right = replace(judge.judge(hands[:1])[0], **fine)
    blurred = replace(right, correct=False, failures=("sharpness",))
    wrong = replace(right, anatomical=False, correct=False, failures=("fingers",))
    unsure = replace(right, correct=False, trusted=False, doubts=REASONS[:1])
    summary = summarise([right] * 4 + [blurred] * 2 + [wrong] + [unsure] * 3)
    rates = summary.anatomical, summary.correct, summary.trusted, summary.anatomical_trusted, summary.correct_trusted
    assert [(rate.count, rate.of) for rate in rates] == [(9, 10), (4, 10), (7, 10), (6, 7), (4, 7)]
    assert summary.doubts == {**dict.fromkeys(REASONS, 0), REASONS[0]: 3}
    assert summarise([unsure]).correct_trusted is None


def test_summary_of_nothing_is_refused():
    with pytest.raises(ValueError, match="at least one"):
        summarise([])
