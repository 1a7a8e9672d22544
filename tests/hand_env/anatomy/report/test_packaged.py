"""What is claimed of the judges that come with the package."""

import pytest

from hand_env.anatomy import Judge
from hand_env.anatomy.network import ARCHITECTURES
from hand_env.anatomy.report import count_cases, measure, measure_novelty, report_cases
from hand_env.anatomy.report.edits import EDITS
from hand_env.anatomy.report.table import AREA_WANTED, COUNT_WANTED
from hand_env.anatomy.weights import packaged_weights


def missed(rows):
    return [
        row.name
        for row in rows
        if row.value < row.wanted or row.area < AREA_WANTED or (row.count and row.count.share < COUNT_WANTED)
    ]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_weights_take_at_most_ten_megabytes(architecture):
    assert packaged_weights(architecture).stat().st_size <= 10_000_000


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_it_tells_right_drawn_hands_from_wrong_ones(architecture):
    rows = [row for _, row in measure(Judge.load(architecture=architecture), report_cases(64, None, 12))]
    assert len(rows) == 9
    assert sum(row.verdicts.count for row in rows) >= sum(row.verdicts.of for row in rows) - 2


@pytest.mark.slow(seconds=50)
@pytest.mark.parametrize(
    ("size", "n", "first"), [(64, 2, 0), (128, 12, 3)]
)  # of 64, more synthetic hands are judged above
def test_the_rewarding_judge_reaches_all_that_is_asked_but_in_two_rows(size, n, first, photographs):
    some = slice(first, None, 4)  # of the test people's photographs a quarter, another one at each size
    rows = [row for _, row in measure(Judge.load(), report_cases(size, photographs.parent, n, some))]
    assert len(rows) == count_cases(size, photographs.parent) == (25 if size == 64 else 24)
    assert {"upside down", *(f"photographs, {kind}" for kind in EDITS)} <= {row.name for row in rows}
    assert set(missed(rows)) <= {"judged hands (balanced accuracy)", "photographs, in a new frame"}  # see docs/judge.md


@pytest.mark.slow(seconds=60)
def test_copies_of_training_photographs_are_found_and_strangers_are_new(photographs, tmp_path):
    (tmp_path / "Hands").mkdir()
    (tmp_path / "HandInfo.csv").symlink_to(photographs / "HandInfo.csv")
    for picture in sorted((photographs / "Hands").iterdir())[::3]:  # no others are decoded
        (tmp_path / "Hands" / picture.name).symlink_to(picture)
    found, new = measure_novelty(Judge.load(), tmp_path, 64)
    assert (found.of, new.of >= 45) == (200, True)
    assert found.share >= 0.95
    assert new.share >= 0.9


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_at_least_ninety_percent_of_the_first_vae_s_hands_are_judged_as_by_eye(architecture, photographs, tmp_path):
    (tmp_path / "judged-hands").symlink_to(photographs.parent / "judged-hands")  # without the photographs: seconds
    *_, (_, row) = measure(Judge.load(architecture=architecture), report_cases(64, tmp_path, 1))
    assert row.name == "judged hands (balanced accuracy)"
    assert row.value >= row.wanted
