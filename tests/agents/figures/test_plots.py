"""Plots beside the tables."""

import numpy as np
import pytest
from PIL import Image

from agents.figures.plots import Panel, save_curves, save_intervals
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
