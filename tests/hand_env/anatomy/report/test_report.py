import numpy as np
import pytest

from hand_env.anatomy.report import count_cases, measure, report_cases, write_table
from hand_env.anatomy.report.cases import _spoilt
from hand_env.anatomy.report.edits import EDITS, edited
from hand_env.anatomy.report.outline import find_outline
from hand_env.anatomy.report.table import area_under_curve
from vae.images.synthetic import generate_hands


@pytest.fixture(scope="module")
def spread_hand():
    """A synthetic hand whose fingers are spread, and its outline."""
    drawn = generate_hands(12, 256, seed=5)
    for picture in drawn.images[drawn.spread.argsort(descending=True)].permute(0, 2, 3, 1).numpy():
        outline = find_outline(picture)
        if outline is not None:
            return picture, outline
    raise AssertionError("no synthetic hand has a clear outline")


def test_an_outline_shows_five_digits_in_order(spread_hand):
    _, outline = spread_hand
    assert len(outline.digits) == 5
    assert outline.thumb in (0, 4)
    angles = [digit.angle for digit in outline.digits]
    assert angles == sorted(angles)


def test_no_outline_is_found_on_empty_ground():
    assert find_outline(np.full((64, 64, 3), 240, np.uint8)) is None


@pytest.mark.parametrize("kind", EDITS)
def test_an_edit_changes_the_picture(spread_hand, kind):
    picture, outline = spread_hand
    rng = np.random.default_rng(0)
    plain = edited(picture, outline, "none", rng, 64).astype(int)
    changed = edited(picture, outline, kind, rng, 64)
    assert changed.shape == (64, 64, 3)
    assert np.abs(changed - plain).max() > 40


def test_spoiling_spoils_every_picture(spread_hand):
    picture = spread_hand[0][::4, ::4].copy()
    other = picture[:, ::-1].copy()
    spoilt = _spoilt([picture, other], np.random.default_rng(0))
    assert len(spoilt) == 7
    for pictures in spoilt.values():
        assert np.abs(pictures[0].astype(int) - picture).mean() > 2


def test_area_under_curve_counts_pairs():
    assert area_under_curve([0.9, 0.8], [0.1, 0.8]) == pytest.approx(3.5 / 4)


def test_the_table_has_a_line_for_each_synthetic_case(judge):
    rows = [row for _, row in measure(judge, report_cases(64, None, 2))]
    assert rows[0].name == "synthetic correct"
    assert len(rows) == count_cases(64, None) == 9
    table = write_table(rows)
    assert "four fingers and a thumb counted" in table
    assert "synthetic, ghost digit" in table
