import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from hand_env.anatomy import Judge, judge_hands
from hand_env.anatomy.multiple_hands import _each_once, separate_hands
from vae.images import to_float
from vae.images.labelled.vocabulary import FIRST_DIGIT, PALM
from vae.images.synthetic import generate_hands


@pytest.fixture(scope="module")
def packaged():
    return Judge.load()


def side_by_side(hands):
    """(1, 3, 256, 256): two hands on a wide picture that was padded to a square."""
    left, right = hands
    picture = left[:, :1, :1].repeat(1, 256, 256)
    picture[:, 64:192, :128], picture[:, 64:192, 128:] = left, right
    return picture.unsqueeze(0)


def region_map(*parts):
    """(1, 8, 24, 24) logits with rectangles of regions: (region, top, bottom, left, right)."""
    regions = torch.zeros(1, 8, 24, 24)
    regions[:, 0] = 0.5
    for region, top, bottom, left, right in parts:
        regions[:, region, top:bottom, left:right] = 1.0
    return regions


def test_two_hands_on_a_wide_picture_are_each_judged_with_a_box_of_their_own(packaged):
    picture = side_by_side(to_float(generate_hands(2, 128, seed=1).images))
    left, right = judge_hands(packaged, picture)[0]
    assert left.anatomical
    assert right.anatomical
    assert left.box[0] < 128 < right.box[0]
    for judgement, low, high in ((left, 0, 128), (right, 128, 256)):
        assert low < judgement.wrist[0] < high
        assert all(low < x < high and 64 < y < 192 for digit in judgement.digits for x, y in digit.joints)


def test_the_wrong_hand_of_two_is_named(packaged):
    right = generate_hands(1, 128, seed=1).images
    wrong = generate_hands(1, 128, seed=2, defect="missing_digit").images
    judged = judge_hands(packaged, side_by_side(to_float(torch.cat([right, wrong]))))[0]
    assert [hand.anatomical for hand in judged] == [True, False]


def test_pictures_of_one_hand_are_judged_as_by_the_judge_alone_bit_for_bit(packaged, hands):
    small = torch.full((4, 3, 128, 128), 0.9)
    small[:, :, 60:124, 8:72] = hands
    for pictures in (hands, small):
        assert judge_hands(packaged, pictures) == [[one] for one in packaged.judge(pictures, crop=True)]


def test_where_the_squares_hold_no_two_hands_the_picture_is_judged_as_one(judge, hands, monkeypatch):
    module = sys.modules[judge_hands.__module__]
    cells = separate_hands(region_map((PALM, 2, 9, 2, 9), (PALM, 2, 9, 14, 21)))
    monkeypatch.setattr(module, "separate_hands", lambda regions: cells)
    none = Judge(judge.network, replace(judge.calibration, limits={**judge.calibration.limits, "hand": 99.0}))
    assert len(judge_hands(judge, hands[:1])[0]) == 2
    assert judge_hands(none, hands[:1]) == [none.judge(hands[:1], crop=True)]


def test_a_hand_has_a_palm_and_at_least_a_quarter_of_the_largest():
    left, right = (PALM, 10, 16, 1, 7), (PALM, 10, 16, 15, 21)
    finger = (FIRST_DIGIT, 2, 10, 15, 17)  # touches the right palm
    apart, speck = (FIRST_DIGIT, 0, 8, 10, 13), (PALM, 20, 22, 2, 4)
    (cells,) = separate_hands(region_map(right, finger, left, apart, speck))
    assert [int(hand.sum()) for hand in cells] == [36, 36 + 16]
    assert separate_hands(region_map(left, apart, speck)) == [[]]
    assert separate_hands(region_map()) == [[]]


def test_a_hand_that_was_found_twice_counts_once():
    def at(x, y, side):
        return SimpleNamespace(box=(x, y, side))

    assert _each_once([at(45, 60, 90), at(62, 60, 100), at(83, 60, 80)]) == [at(62, 60, 100)]
    apart = [at(45, 60, 100), at(100, 60, 100), at(101, 130, 60)]
    assert _each_once(apart[::-1]) == apart
