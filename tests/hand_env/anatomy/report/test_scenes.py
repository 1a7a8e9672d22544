from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from hand_env.anatomy.report import clutter, cluttered_grounds, compose_scenes, judge_scenes, scene_table, why_rejected
from hand_env.anatomy.report.clutter import SEEN, THINGS, TOPS, plain, tabletop
from hand_env.anatomy.report.cut_outs import FADED, clean_outline, cut_out
from hand_env.anatomy.report.edits import EDITS
from hand_env.anatomy.report.outline import find_outline
from hand_env.anatomy.report.scenes import CONDITIONS, RIGHT, WRONG, Scene, cleanest_photographs, compose
from vae.images.backgrounds.collection import KEPT_APART, SHIPPED
from vae.images.synthetic import generate_hands

RED, BLUE = (200, 0, 0), (0, 0, 200)


@pytest.fixture(scope="module")
def photograph():
    """A synthetic hand with spread fingers in place of a photograph, (3, 256, 256) uint8."""
    drawn = generate_hands(12, 256, seed=5)
    for image in drawn.images[drawn.spread.argsort(descending=True)]:
        if clean_outline(image.permute(1, 2, 0).numpy()) is not None:
            return image
    raise AssertionError("no synthetic hand has a clean outline")


@pytest.fixture(scope="module")
def hand(photograph):
    picture = photograph.permute(1, 2, 0).numpy()
    return picture, clean_outline(picture)


def flat(colour):
    return lambda size, rng: np.full((size, size, 3), colour, np.uint8)


@pytest.fixture(scope="module")
def made(photograph):
    grounds = {"red": flat(RED), "blue": flat(BLUE)}
    return list(compose_scenes(photograph.unsqueeze(0), 64, grounds, right=2, wrong=1))


def test_every_condition_has_right_hands_and_each_edit(made):
    for condition in CONDITIONS:
        some = [scene for scene in made if scene.condition == condition.name]
        assert sorted(scene.edit for scene in some) == sorted(["none", "none", *EDITS])
        assert {scene.ground for scene in some} == ({"red", "blue"} if condition.cluttered else {"plain"})
    assert all(scene.image.shape == (3, 64, 64) and scene.image.dtype == torch.uint8 for scene in made)


def test_scenes_are_the_same_each_time(made, photograph):
    again = compose_scenes(photograph.unsqueeze(0), 64, {"red": flat(RED), "blue": flat(BLUE)}, right=2, wrong=1)
    assert all(torch.equal(one.image, other.image) for one, other in zip(made, again, strict=True))


def covered(scene):
    """Where a scene on a flat red or blue background shows something else, (S, S) bool."""
    none = [1, 2] if scene.ground == "red" else [0, 1]  # channels that the background lacks
    return scene.image[none].int().sum(0).numpy() > 8


def test_no_hand_floats_and_small_ones_are_small(made):
    share = {}
    for condition in CONDITIONS:
        some = [covered(scene) for scene in made if scene.condition == condition.name and scene.ground != "plain"]
        assert all(mask[-1].any() or mask[:, 0].any() or mask[:, -1].any() for mask in some)
        if some:
            share[condition.name] = np.mean([mask.mean() for mask in some])
    assert share["large, cluttered ground"] > 1.5 * share["small, cluttered ground"]


def test_nothing_of_the_old_background_is_cut_out(hand):
    picture, outline = hand
    old = np.full_like(picture, (0, 255, 0))
    green = np.where(outline.mask[..., None], picture, old)
    colours, cover = cut_out(green, outline, "none", np.random.default_rng(0))
    photographed = slice(0, round(1.45 * len(picture)))
    seen = colours[photographed][cover[photographed] > 0]
    assert not (np.abs(seen - (0, 255, 0)).max(-1) < 60).any()


def test_white_nails_belong_to_the_hand_and_pale_ground_between_fingers_does_not(hand):
    picture, outline = hand
    finger = outline.digits[2]
    axis = (finger.tip - finger.base) / finger.length
    place = finger.tip + finger.breadth * (0.25 * axis[::-1] * (-1, 1) - 0.5 * axis)  # it opens to one side
    y, x = np.mgrid[0 : len(picture), 0 : len(picture)] + 0.5
    nail = (np.hypot(x - place[0], y - place[1]) < 0.3 * finger.breadth) & outline.mask
    painted = np.where(nail[..., None], np.uint8(250), picture)
    found = clean_outline(painted)
    assert find_outline(painted).mask[nail].mean() < 0.2
    assert found.mask[nail].mean() > 0.8
    between = (outline.digits[1].tip + outline.digits[2].tip) / 2
    assert not found.mask[tuple(between.astype(int)[::-1])]


@pytest.mark.parametrize("kind", EDITS)
def test_an_edit_changes_what_is_cut_out(hand, kind):
    before = cut_out(hand[0], hand[1], "none", np.random.default_rng(1))
    after = cut_out(hand[0], hand[1], kind, np.random.default_rng(1))
    size = len(hand[0])
    seen = [(colours * cover[..., None])[: round(1.3 * size)] for colours, cover in (before, after)]
    assert np.count_nonzero(np.abs(seen[0] - seen[1]).max(-1) > 40) > 0.001 * size**2


def test_a_faded_digit_shows_the_new_background(hand):
    colours, cover = cut_out(hand[0], hand[1], FADED, np.random.default_rng(3))
    half = (cover > 0.4) & (cover < 0.6)
    assert half.sum() > 200
    condition = replace(CONDITIONS[0], turn=0)
    on = [compose(colours, cover, flat(c)(384, None), condition, np.random.default_rng(0)) for c in (RED, BLUE)]
    red, blue = (picture.astype(int) for picture in on)
    through = (np.abs(red - blue).max(-1) > 40) & (red.min(-1) > 20)  # neither hand nor background alone
    assert through.sum() > 200


def test_a_faded_digit_that_nobody_could_see_is_not_used(hand):
    colours, cover = cut_out(hand[0], hand[1], FADED, np.random.default_rng(3))
    skin = np.median(colours[cover > 0.9], axis=0)
    assert compose(colours, cover, flat(skin)(384, None), CONDITIONS[0], np.random.default_rng(0)) is None
    whole = np.where(cover > 0.3, 1.0, 0.0)
    assert compose(colours, whole, flat(skin)(384, None), CONDITIONS[0], np.random.default_rng(0)) is not None


def test_a_hand_that_the_border_cuts_off_is_left_out(hand):
    picture, outline = hand
    assert clean_outline(picture) is not None
    column = int(np.flatnonzero(outline.mask.any(0))[0])
    assert clean_outline(np.pad(picture[:, column + 4 :], ((0, 0), (0, column + 4), (0, 0)), mode="edge")) is None


def test_the_backgrounds_are_those_of_no_training():
    used = {(package, path) for package, paths in SHIPPED.items() for path in paths.split()}
    for names in (TOPS, THINGS):
        assert not used & {(package, path) for package, paths in names.items() for path in paths.split()}
    assert set(SEEN) <= set(KEPT_APART)


def test_missing_packages_are_named(monkeypatch):
    monkeypatch.setattr(clutter, "find_spec", lambda package: None)
    with pytest.raises(FileNotFoundError, match='pip install -e "'):
        cluttered_grounds()


def test_a_tabletop_is_cluttered_and_a_wall_is_not():
    top, thing = Image.new("RGB", (300, 200), (120, 90, 60)), Image.effect_noise((200, 300), 80).convert("RGB")
    table = tabletop(96, np.random.default_rng(0), [top], [thing])
    wall = plain(96, np.random.default_rng(0))
    assert table.shape == wall.shape == (96, 96, 3)
    steps = [np.abs(np.diff(picture.astype(int), axis=1)).max() for picture in (table, wall)]
    assert steps[0] > 60 > 8 > steps[1]
    assert np.array_equal(table, tabletop(96, np.random.default_rng(0), [top], [thing]))


def test_the_table_counts_right_hands_and_edits(made, judge):
    said = judge_scenes(judge, made)
    sure = [replace(one, anatomical=True, trusted=True, failures=(), doubts=()) for one in said]
    right = [number for number, scene in enumerate(made) if scene.edit == "none"]
    lost = replace(sure[0], anatomical=False, trusted=False, failures=("whole",), doubts=("too cluttered",))
    judged = list(zip(made, [lost if number == right[0] else one for number, one in enumerate(sure)], strict=True))
    rows = {row.name: row for row in scene_table(judged)}
    assert (rows["all"].accepted.count, rows["all"].accepted.of) == (5, 6)
    assert (rows["all"].rejected.count, rows["all"].rejected.of) == (0, 18)
    assert rows["trusted"].accepted.of == 5
    assert rows["cluttered ground, large or small"].accepted.of == 4
    assert rows["  red"].accepted.of + rows["  blue"].accepted.of == 4
    assert rows["  finger erased"].accepted is None
    assert rows["  finger erased"].rejected.of == 3
    assert why_rejected(judged).splitlines() == [
        "right hands rejected: 1, trusted: 0",
        "  failed: whole 1",
        "  doubts: too cluttered 1",
    ]
    assert "  failed: none" in why_rejected([(Scene("a", "plain", "none", made[0].image), sure[0])])


def test_the_page_says_how_many_photographs_are_cut_out(photographs):
    found = cleanest_photographs(photographs)
    clear = [one for one in found if clean_outline(one.permute(1, 2, 0).numpy()) is not None]
    page = " ".join((Path(__file__).parents[4] / "docs" / "judge.md").read_text(encoding="utf-8").split())
    assert f"The {len(clear)} photographs, of 10 people, are those with a clear outline" in page
    n = len(CONDITIONS) * len(clear) * (RIGHT + WRONG * len(EDITS))
    assert f"makes {n:,} scenes" in page
