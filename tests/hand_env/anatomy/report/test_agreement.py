import math
from types import SimpleNamespace

import pytest

from hand_env.anatomy.report import measure_agreement


def verdicts(*words):
    return [SimpleNamespace(anatomical=word == "y", score=0.5) for word in "".join(words)]


def test_agreement_counts_both_judges_verdicts():
    found = measure_agreement(verdicts("yyyyynnnnn"), verdicts("yyyynnnnny"))
    assert found.first.share == 0.5
    assert found.second.share == 0.5
    assert found.alike.count == 8
    assert found.kappa == pytest.approx(0.6)  # (0.8 - 0.5) / (1 - 0.5)
    assert found.scores == (0.5, 0.5)


def test_kappa_is_zero_where_they_agree_as_often_as_chance_has_it():
    assert measure_agreement(verdicts("yynn"), verdicts("ynyn")).kappa == pytest.approx(0.0)


def test_kappa_is_no_number_where_both_judges_always_say_the_same_word():
    assert math.isnan(measure_agreement(verdicts("yyy"), verdicts("yyy")).kappa)
