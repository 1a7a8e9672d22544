import sys

import numpy as np
import pytest

from vae.distribution import coverage_and_density

RNG = np.random.default_rng(0)
MODES = np.array([[0.0, 0.0], [100.0, 0.0]])


def draw(n, modes=MODES):
    return modes[np.arange(n) % len(modes)] + RNG.normal(size=(n, 2))


def test_two_samples_of_one_distribution_cover_and_are_dense():
    coverage, density = coverage_and_density(draw(400), draw(100))
    assert coverage.value > 0.95
    assert density.value == pytest.approx(1, abs=0.25)
    assert coverage.low <= coverage.value <= coverage.high


def test_pictures_far_from_all_photographs_cover_nothing():
    coverage, density = coverage_and_density(draw(40) + 50, draw(40))
    assert coverage.value == density.value == 0


def test_the_photographs_themselves_cover_all():
    photographs = draw(40)
    assert coverage_and_density(photographs, photographs)[0].value == 1


def test_a_dropped_mode_halves_coverage_and_leaves_density():
    photographs = draw(200)
    whole, dropped = (coverage_and_density(draw(400, modes), photographs) for modes in (MODES, MODES[:1]))
    assert dropped[0].value == pytest.approx(whole[0].value / 2, abs=0.03)
    assert dropped[1].value == pytest.approx(whole[1].value, abs=0.15)


def test_coverage_and_density_of_points_on_a_line_are_what_was_worked_out_by_hand(capsys):
    photographs = np.array([[0.0], [1.0], [3.0], [10.0]])  # with k = 1 the balls reach 1, 1, 2, 7
    pictures = np.array([[0.5], [0.5], [2.5], [4.0]] * 2)  # in the balls of 0 and 1; the same; of 3; of 3 and 10
    coverage, density = coverage_and_density(pictures, photographs, k=1)
    assert (coverage.value, density.value) == (1.0, 7 / 4)
    assert capsys.readouterr().out == ""


def test_too_few_photographs_are_refused():
    with pytest.raises(ValueError, match="got k=5, 6 photographs and 20 pictures"):
        coverage_and_density(draw(20), draw(6))
    with pytest.raises(ValueError, match="got k=5, 20 photographs and 13 pictures"):
        coverage_and_density(draw(13), draw(20))


def test_a_missing_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "prdc", None)
    with pytest.raises(ImportError, match=r'Install it in the checkout with: pip install -e "\.\[compare\]"'):
        coverage_and_density(draw(20), draw(20))
