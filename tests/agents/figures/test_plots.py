"""Plots beside the tables."""

import numpy as np
import pytest
from PIL import Image

from agents.figures.plots import Panel, binned, save_curves, save_intervals
from vae.distribution.half_samples import Estimate
from vae.images.overview import is_overview

ROWS = [
    {"step": 1, "loss": 3.0, "held_out": 4.0, "odd": float("nan")},
    {"step": 2, "loss": 1.0},
    {"step": 3, "loss": 2.0},
]
LOSS, ODD, ABSENT = (
    Panel("loss", {"loss": "training", "held_out": "others"}),
    Panel("odd", {"odd": "odd"}),
    Panel("-", {"x": "x"}),
)


def size(path):
    with Image.open(path) as picture:
        return picture.size


def test_curves_get_a_panel_each_if_they_have_a_point(tmp_path):
    paths = [tmp_path / f"{number}.png" for number in range(3)]
    save_curves(paths[0], ROWS, "step", [LOSS])
    save_curves(paths[1], ROWS, "step", [LOSS, ODD, ABSENT])  # neither NaN nor an absent key is a point
    save_curves(paths[2], ROWS, "step", [LOSS, Panel("again", {"loss": "training"})])
    assert size(paths[0]) == size(paths[1])
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert size(paths[2])[0] > 1.8 * size(paths[0])[0]
    assert is_overview(paths[0])  # nothing that reads pictures of hands takes it for one


def test_curves_without_a_point_leave_no_file(tmp_path):
    save_curves(tmp_path / "curves.png", ROWS, "step", [ODD, ABSENT])
    save_curves(tmp_path / "curves.png", [], "step", [LOSS])
    assert list(tmp_path.iterdir()) == []


def pixels(path):
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB")).astype(int)


def test_a_curve_has_a_band_where_its_ends_are_known_and_the_legend_says_what_it_is(tmp_path):
    ends = [{**row, "loss_low": row["loss"] - 1, "loss_high": row["loss"] + 1} for row in ROWS]
    plain, banded = Panel("loss", {"loss": "training"}), Panel("loss", {"loss": "training"}, "95 % interval")
    shown = []
    for number, (rows, panel) in enumerate(((ROWS, plain), (ends, plain), (ends, banded), (ROWS, banded))):
        save_curves(tmp_path / f"{number}.png", rows, "step", [panel])
        shown.append(pixels(tmp_path / f"{number}.png"))
    without, with_band, with_legend, legend_of_curve = shown
    shaded = np.abs(with_band - (0.25 * np.array([31, 119, 180]) + 0.75 * 255)).max(2) <= 2  # a quarter of its colour
    assert shaded.mean() > 0.1
    assert (np.abs(without - with_band).max(2) > 0).mean() > 0.1
    assert not np.array_equal(with_legend, with_band)
    assert not np.array_equal(with_legend, legend_of_curve)  # which speaks of no band, since there is none


def test_entries_that_are_too_many_are_averaged_and_keep_their_range():
    rows = [{"step": 10 * n, "loss": float(n), **({"late": 1.0} if n > 8 else {})} for n in range(10)]
    assert binned(rows, "step", 6) == [
        {"step": 10, "loss": 0.5, "loss_low": 0.0, "loss_high": 1.0},
        {"step": 30, "loss": 2.5, "loss_low": 2.0, "loss_high": 3.0},
        {"step": 50, "loss": 4.5, "loss_low": 4.0, "loss_high": 5.0},
        {"step": 70, "loss": 6.5, "loss_low": 6.0, "loss_high": 7.0},
        {"step": 90, "loss": 8.5, "loss_low": 8.0, "loss_high": 9.0, "late": 1.0, "late_low": 1.0, "late_high": 1.0},
    ]
    assert [row["step"] for row in binned(rows, "step", 9)] == [10, 30, 50, 70, 90]
    assert binned(rows, "step", 10) is rows
    assert binned([], "step", 10) == []


@pytest.mark.parametrize("other", [Estimate(0.5, 0.2, 0.9), Estimate(0.6, 0.4, 0.6)])
def test_intervals_show_the_number_and_both_ends(other, tmp_path):
    pictures = []
    for found in (Estimate(0.5, 0.4, 0.6), other):
        rows = {"first": {"share": Estimate(0.1, 0.0, 1.0)}, "second": {"share": found}, "third": {}}
        save_intervals(tmp_path / "plot.png", rows, {"share": "share"})
        with Image.open(tmp_path / "plot.png") as picture:
            pictures.append(np.asarray(picture))
    assert pictures[0].shape == pictures[1].shape
    assert not np.array_equal(*pictures)


def test_more_rows_and_more_figures_make_a_larger_plot(tmp_path):
    found = {"share": Estimate(0.5, 0.4, 0.6), "mean": Estimate(5.0, 4.0, 6.0)}
    sizes = []
    for rows, titles in ((2, ["share"]), (12, ["share"]), (2, ["share", "mean"])):
        save_intervals(tmp_path / "plot.png", {f"row {n}": found for n in range(rows)}, dict.fromkeys(titles, "title"))
        sizes.append(size(tmp_path / "plot.png"))
    assert sizes[1][1] > sizes[0][1]
    assert sizes[2][0] > 1.5 * sizes[0][0]
