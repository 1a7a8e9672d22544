import itertools

import numpy as np
import pytest

from agents.figures.intervals import interquartile
from vae.distribution.half_samples import Estimate

RUNS = [0.1, 0.9, 0.2, 0.4, 0.3]


def test_the_interquartile_mean_leaves_out_the_lowest_and_the_highest_of_five_runs():
    assert interquartile(RUNS).value == pytest.approx((0.2 + 0.3 + 0.4) / 3)


def test_the_bootstrap_interval_is_that_of_all_resamples_of_five_runs():
    every = [np.mean(sorted(rows)[1:-1]) for rows in itertools.product(RUNS, repeat=5)]
    found = interquartile(RUNS)
    assert (found.low, found.high) == pytest.approx(np.quantile(every, [0.025, 0.975]), abs=0.02)
    assert found == interquartile(RUNS)


def test_runs_that_agree_have_an_interval_of_no_width():
    assert interquartile([0.25] * 5) == Estimate(0.25, 0.25, 0.25)


def test_a_lone_run_has_no_interval():
    assert interquartile([0.3]) == Estimate(0.3, 0.3, 0.3)
