import os

import numpy as np
import pytest
from PIL import Image

from vae.images.listing import list_pictures
from vae.images.overview import is_overview, save_overview


def draw(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (20, 20)).save(path)


def left_out(root):
    return {problem.name: problem.reason for problem in list_pictures(root).left_out}


@pytest.fixture
def album(tmp_path):
    for name in ("a.png", "more/b.png"):
        draw(tmp_path / "album" / name)
    return tmp_path / "album"


def test_link_to_a_folder_is_followed(album, tmp_path):
    draw(tmp_path / "elsewhere" / "c.png")
    (album / "linked").symlink_to(tmp_path / "elsewhere")
    assert list_pictures(album).names == ("a.png", "linked/c.png", "more/b.png")
    assert left_out(album) == {}


@pytest.mark.parametrize("target", [".", "..", "more", "/"])
def test_link_to_a_folder_that_is_read_anyway_or_lies_around_it_is_left_out(album, target):
    (album / "again").symlink_to(target)
    (album / "more" / "up").symlink_to("..")
    assert list_pictures(album).names == ("a.png", "more/b.png")
    reason = "is a link to a folder that is read anyway or lies around it"
    assert left_out(album) == {"again": reason, "more/up": reason}


def test_two_links_to_one_folder_give_its_pictures_once(album, tmp_path):
    draw(tmp_path / "elsewhere" / "c.png")
    (tmp_path / "elsewhere" / "back").symlink_to(album)
    for name in ("one", "two"):
        (album / name).symlink_to(tmp_path / "elsewhere")
    assert list_pictures(album).names == ("a.png", "more/b.png", "one/c.png")
    assert sorted(left_out(album)) == ["one/back", "two"]


def test_folder_may_be_given_by_a_link(album, tmp_path):
    (tmp_path / "link").symlink_to(album)
    assert list_pictures(tmp_path / "link").names == ("a.png", "more/b.png")


def test_link_that_leads_nowhere_is_left_out_and_one_named_like_a_picture_is_listed(album):
    (album / "disk").symlink_to("/no/such/disk")
    (album / "gone.png").symlink_to("gone")
    (album / "circle.png").symlink_to("circle.png")
    assert list_pictures(album).names == ("a.png", "circle.png", "gone.png", "more/b.png")  # reading them says why not
    assert left_out(album) == {"disk": "is a link that leads nowhere"}


def test_hidden_pictures_and_folders_are_left_out_and_other_hidden_files_are_nothing(album):
    draw(album / ".hidden" / "d.png")
    draw(album / "more" / ".e.png")
    (album / ".DS_Store").touch()
    assert left_out(album) == {".hidden": "is hidden", "more/.e.png": "is hidden"}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes")
def test_pipe_is_listed_unopened(album):
    os.mkfifo(album / "pipe.png")
    assert "pipe.png" in list_pictures(album).names


def test_overview_is_left_out_wherever_it_was_moved(album):
    save_overview(album / "grid.png", np.zeros((20, 20, 3), np.uint8))
    (album / "grid.png").rename(album / "more" / "mine.jpg")
    assert list_pictures(album).names == ("a.png", "more/b.png")
    assert left_out(album) == {"more/mine.jpg": "is an overview that handlatent drew"}


@pytest.mark.parametrize(
    ("name", "beside"), [("grid.png", "generated.json"), ("grid.png", "config.json"), ("refine.png", "refine.json")]
)
def test_overview_of_an_earlier_version_is_known_by_the_file_beside_it(album, name, beside):
    draw(album / name)
    assert not is_overview(album / name)
    (album / beside).touch()
    assert is_overview(album / name)
    assert name in left_out(album)


def test_overview_is_a_picture_like_any_other_to_a_viewer(tmp_path):
    picture = np.random.default_rng(0).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    save_overview(tmp_path / "grid.png", picture)
    with Image.open(tmp_path / "grid.png") as image:
        assert np.array_equal(np.asarray(image), picture)


def test_what_is_no_file_is_no_overview(tmp_path):
    assert not is_overview(tmp_path)
    assert not is_overview(tmp_path / "gone.png")


def test_link_to_a_picture_that_is_read_anyway_is_left_out(album):
    for name, target in (("again.png", "a.png"), ("b/up.png", "../a.png")):
        (album / name).parent.mkdir(exist_ok=True)
        (album / name).symlink_to(target)
    listing = list_pictures(album)
    assert "a.png" in listing.names
    assert not {"again.png", "b/up.png"} & set(listing.names)
    assert [problem.reason for problem in listing.left_out if problem.name in ("again.png", "b/up.png")] == [
        "is a link to a picture that is read anyway"
    ] * 2


def test_two_links_to_a_picture_elsewhere_give_it_once(album, tmp_path):
    draw(tmp_path / "elsewhere.png")
    for name in ("x.png", "y.png"):
        (album / name).symlink_to(tmp_path / "elsewhere.png")
    assert [name for name in list_pictures(album).names if name in ("x.png", "y.png")] == ["x.png"]
