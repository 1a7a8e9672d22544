import numpy as np
import pytest

from agents.figures.intervals import share
from agents.runs.log_intervals import ends_of_mean, ends_of_share


def test_the_ends_of_a_mean_are_196_standard_errors_from_it():
    values = np.array([3.0, 5.0, 4.0, 8.0])
    ends = ends_of_mean("loss", values.sum(), np.square(values).sum(), 4)
    assert list(ends) == ["loss_low", "loss_high"]
    half_width = 1.959964 * values.std(ddof=1) / 2
    assert list(ends.values()) == pytest.approx([5 - half_width, 5 + half_width])
    alike = ends_of_mean("loss", 3 * 0.1, 3 * 0.1**2, 3)  # the variance is 0 but for rounding
    assert list(alike.values()) == pytest.approx([0.1, 0.1])


@pytest.mark.parametrize(
    ("total", "squares", "n"), [(3.0, 9.0, 1), (np.nan, np.nan, 4), (8.0, 10.0, 4), (8.0, np.inf, 4)]
)
def test_a_mean_has_no_ends_where_they_are_not_known(total, squares, n):
    """One value, a value that is not finite, or squares that were not summed from the start."""
    assert ends_of_mean("loss", total, squares, n) == {}


def test_the_ends_of_a_share_are_wilson_s():
    found = share([True] * 3 + [False] * 13)
    assert ends_of_share("raised", 3 / 16, 16) == {"raised_low": found.low, "raised_high": found.high}
    assert ends_of_share("raised", np.nan, 16) == {}
