import numpy as np
import pytest

from vae.distribution import estimate_over_halves, halves


def test_halves_are_always_the_same_and_hold_half_of_the_rows_once():
    parts = halves(11)
    assert all(len(set(part)) == len(part) == 5 for part in parts)
    assert all(np.array_equal(a, b) for a, b in zip(parts, halves(11), strict=True))


def test_the_interval_of_a_mean_is_as_wide_as_its_standard_error_says():
    values = np.random.default_rng(1).normal(size=400)
    found = estimate_over_halves(values.mean(), [values[half].mean() for half in halves(400)])
    assert (found.high - found.low) / 2 == pytest.approx(1.96 * values.std(ddof=1) / 20, rel=0.25)
    assert found.value == pytest.approx((found.high + found.low) / 2)


def test_too_few_rows_are_refused():
    with pytest.raises(ValueError, match="n must be at least 4 for an interval over halves, got 3"):
        halves(3)
