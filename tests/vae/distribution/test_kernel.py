import numpy as np
import pytest

from vae.distribution import kernel_distance


def test_the_distance_of_zeros_and_ones_is_what_was_worked_out_by_hand():
    zeros, ones = np.zeros((4, 1)), np.ones((3, 1))
    assert kernel_distance(zeros, ones).value == 1 + 8 - 2 * 1  # k(0, 0) = 1, k(1, 1) = 2^3, k(0, 1) = 1


def test_rows_are_not_paired_with_themselves_and_sizes_may_differ():
    x, y = np.array([[0.0], [1.0], [2.0], [3.0]]), np.array([[1.0], [-1.0]])

    def k(a, b):
        return (a * b + 1) ** 3

    xs, ys = x[:, 0], y[:, 0]
    among = np.mean([k(a, b) for i, a in enumerate(xs) for j, b in enumerate(xs) if i != j])
    expected = among + k(1, -1) - 2 * np.mean([k(a, b) for a in xs for b in ys])
    assert kernel_distance(x, y).value == pytest.approx(expected)


def test_samples_of_one_distribution_are_at_about_zero_whatever_their_number():
    rng = np.random.default_rng(0)
    for n in (40, 400):
        found = [kernel_distance(rng.normal(size=(n, 8)), rng.normal(size=(60, 8))).value for _ in range(20)]
        assert abs(np.mean(found)) < 3 * np.std(found) / 20**0.5
    assert kernel_distance(rng.normal(size=(400, 8)), 1 + rng.normal(size=(60, 8))).low > 1


def test_too_few_pictures_or_photographs_are_refused():
    with pytest.raises(ValueError, match="photographs must be at least 2, got 1"):
        kernel_distance(np.zeros((9, 2)), np.zeros((1, 2)))
    with pytest.raises(ValueError, match="n must be at least 4"):
        kernel_distance(np.zeros((3, 2)), np.zeros((9, 2)))
