import os
import warnings

import numpy as np
import pytest
from PIL import Image

from vae.images import load_folder, load_images, split_by_group
from vae.images.folder import pad_to_square


def load(root, cache, **choices):
    return load_folder(root, 16, cache_dir=cache, progress=False, **choices)


@pytest.fixture
def album(tmp_path):
    root = tmp_path / "album"
    (root / "more").mkdir(parents=True)
    (root / ".hidden").mkdir()
    for index, name in enumerate(("b.PNG", "a.jpg", "more/c.JPEG", ".hidden/d.png", "more/.e.png")):
        Image.new("RGB", (20, 20), (40 * index, 0, 0)).save(root / name)
    return root


def test_folder_is_read_with_its_subfolders_and_without_what_is_hidden(album, cache):
    images = load(album, cache)
    assert images.names == images.groups == images.all_groups == ("a.jpg", "b.PNG", "more/c.JPEG")
    assert images.pixels[1, 0].unique().tolist() == [0]
    (note,) = images.notes
    assert note.startswith("2 files under ")
    assert note.endswith(" are left out, such as '.hidden', which is hidden.")


def test_files_not_named_like_pictures_are_counted_in_one_note(album, cache):
    (album / "notes.txt").write_text("x")
    _, note = load(album, cache).notes
    assert note == f"Left out under '{album}': 'notes.txt', which is not named like a picture."


def test_every_bad_picture_is_named_in_the_one_warning_and_counted(album, cache):
    (album / "empty.jpg").touch()
    (album / "text.png").write_text("x")
    Image.new("RGB", (1, 1)).save(album / "dot.png")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        images = load(album, cache)
    assert [problem.name for problem in images.problems] == ["dot.png", "empty.jpg", "text.png"]
    assert len(images) == 3
    assert len(images.all_groups) == 6
    (warning,) = caught
    assert str(warning.message).startswith("3 of 6 pictures cannot be used and are left out:")
    assert all(f"{problem.name} {problem.reason}" in str(warning.message) for problem in images.problems)
    assert warning.filename == __file__


def test_picture_with_a_damaged_camera_mark_is_read_without_a_word(tmp_path, cache):
    exif = b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\x01"
    Image.new("RGB", (20, 20), (200, 0, 0)).save(tmp_path / "a.jpg", exif=exif)
    images = load(tmp_path, cache)
    assert images.problems == ()
    assert images.pixels[0, 0].float().mean() > 190


def test_no_usable_picture_left_is_an_error_that_names_them(tmp_path, cache):
    (tmp_path / "empty.jpg").touch()
    with pytest.raises(ValueError, match=r"(?s)None of the 1 pictures can be used.*empty.jpg is empty"):
        load(tmp_path, cache)


def test_folder_without_pictures_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"No pictures under .* \(looked for \*.jpg, "):
        load_folder(tmp_path, 16)


def test_subfolder_that_cannot_be_read_is_an_error_and_not_passed_over(album, cache, monkeypatch):
    def scandir(path):
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    real = os.scandir
    (album / "closed").mkdir()
    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(OSError, match=r"The folder '.*closed' cannot be read: Permission denied"):
        load_folder(album, 32, cache_dir=cache)


def test_missing_folder_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="must be a folder of pictures"):
        load_images(tmp_path / "gone", 16)


@pytest.mark.parametrize("n", [0, -1, 4])
def test_number_of_images_out_of_range_is_an_error_that_says_how_many(album, cache, n):
    with pytest.raises(ValueError, match=rf"images must lie in 1\.\.3, got {n}\. There are 3 pictures "):
        load(album, cache, n_images=n)


def test_numpy_s_integers_are_as_good_as_python_s(album, cache):
    images = load_folder(album, np.uint8(16), n_images=np.uint8(2), cache_dir=cache / "of numpy", progress=False)
    assert images.pixels.equal(load(album, cache, n_images=2).pixels)


@pytest.mark.parametrize("size", [7, 1025])
def test_size_out_of_range_is_an_error(album, size):
    with pytest.raises(ValueError, match=rf"size must lie in 8\.\.1024, got {size}\. Use 64, 128 or 256"):
        load_folder(album, size)


def test_choice_of_a_hand_is_an_error_for_a_plain_folder(album):
    with pytest.raises(ValueError, match="hand can be chosen for 11k Hands only, got 'left'"):
        load_images(album, 16, hand="left")


def test_load_images_tells_the_download_from_a_plain_folder(album, download, cache):
    options = {"cache_dir": cache, "progress": False}
    assert len(load_images(album, 16, **options)) == 3
    assert len(load_images(download, 16, side="dorsal", **options)) == 20
    assert len(load_images(download / "Hands", 16, side="dorsal", **options)) == 20


@pytest.mark.parametrize("names", [(), ("Hand_1.jpg", "Hand_00000012.jpg", "Hand_0000001.jpg.png")])
def test_folder_called_hands_is_a_plain_folder_unless_its_pictures_are_named_as_in_the_download(album, cache, names):
    root = album.rename(album.parent / "Hands")
    for name in names:
        Image.new("RGB", (20, 20)).save(root / name)
    assert len(load_images(root, 16, cache_dir=cache, progress=False)) == 3 + len(names)
    assert len(load_images(root.parent, 16, cache_dir=cache, progress=False)) == 3 + len(names)


def test_folder_around_the_download_is_refused_because_it_does_not_say_who_is_who(download, cache):
    with pytest.raises(ValueError, match=r"but is the folder around it, .* Use '.*11k-hands'\."):
        load_images(download.parent, 16, cache_dir=cache)


def test_picture_whose_name_is_no_text_is_read_split_and_named(album, cache):
    names = [os.fsdecode(b"g\xfcnther.png"), os.fsdecode(b"\xff.png"), "line\nbreak.png"]
    for name in names:
        Image.new("RGB", (20, 20)).save(album / name)
    (album / os.fsdecode(b"\xfe.png")).touch()
    with pytest.warns(UserWarning, match=r"\n  '\\udcfe\.png' is empty"):
        images = load(album, cache)
    assert set(names) < set(images.names)
    sides = split_by_group(images.groups, images.all_groups, seed=0)
    assert len(sides.train) + len(sides.validation) + len(sides.test) == 6


@pytest.mark.parametrize("shape", [(10, 30, 3), (30, 10, 3), (30, 11, 3)])
def test_padding_keeps_the_whole_picture_in_the_middle_of_its_border_colour(shape):
    picture = np.full(shape, 200, dtype=np.uint8)
    picture[2:-2, 2:-2] = 10
    square = pad_to_square(picture)
    assert square.shape == (30, 30, 3)
    assert (square == 10).sum() == (picture == 10).sum()
    rows, columns = np.nonzero(square[..., 0] == 10)
    assert abs(rows.mean() - 14.5) <= 0.5
    assert abs(columns.mean() - 14.5) <= 0.5
