import os
import re

import pytest
import torch
from PIL import Image

from vae.images import SPLIT_SEED, load_hands11k, load_images, split_by_group
from vae.images.handinfo import read_handinfo


def load(root, cache, **choices):
    return load_hands11k(root, 16, cache_dir=cache, progress=False, **choices)


def edit_csv(root, old, new):
    path = root / "HandInfo.csv"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_download_loads_as_it_comes(download, cache):
    images = load(download, cache)
    assert images.pixels.shape == (40, 3, 16, 16)
    assert images.pixels.dtype == torch.uint8
    assert images.names[:2] == ("Hand_0000000.jpg", "Hand_0000001.jpg")
    assert images.groups[3:5] == ("0000000", "0000001")
    assert images.all_groups == tuple(f"{person:07d}" for person in range(10))
    assert (images.problems, images.notes, len(images)) == ((), (), 40)


def test_root_may_be_the_hands_folder_itself(download, cache):
    assert load(download / "Hands", cache).names == load(download, cache).names


@pytest.mark.parametrize(
    ("choice", "count", "first"),
    [
        ({"side": "dorsal"}, 20, 0),
        ({"side": "palmar"}, 20, 1),
        ({"hand": "left"}, 20, 2),
        ({"hand": "right"}, 20, 0),
        ({"side": "palmar", "hand": "left"}, 10, 3),
        ({"accessories": "exclude"}, 30, 1),
        ({"accessories": "only"}, 10, 0),
        ({"irregularities": "exclude"}, 39, 0),
        ({"irregularities": "only"}, 1, 1),
    ],
)
def test_choice_keeps_the_pictures_that_match(download, cache, choice, count, first):
    images = load(download, cache, **choice)
    assert len(images) == count
    assert images.names[0] == f"Hand_{first:07d}.jpg"
    assert len(images.all_groups) == 10


def test_unknown_choice_is_an_error_that_lists_the_known(download, cache):
    with pytest.raises(ValueError, match="side must be one of 'all', 'dorsal', 'palmar', got 'back'"):
        load(download, cache, side="back")


def test_choice_that_nothing_matches_is_one_clear_error(download, cache):
    with pytest.raises(ValueError, match=r"None of the 40 pictures in .* matches side='dorsal'.*'only'"):
        load(download, cache, side="dorsal", irregularities="only")


def test_smaller_number_of_images_is_part_of_a_larger_one_with_the_same_seed(download, cache):
    five, ten = load(download, cache, n_images=5), load(download, cache, n_images=10)
    assert len(five) == 5
    assert set(five.names) < set(ten.names)
    assert load(download, cache, n_images=5, seed=1).names != five.names


def test_more_images_than_there_are_is_an_error_that_says_how_many(download, cache):
    with pytest.raises(ValueError, match=r"images must lie in 1\.\.20, got 21\. There are 20 pictures "):
        load(download, cache, side="dorsal", n_images=21)


def test_rows_without_a_picture_are_counted_in_one_note(download, cache):
    for index in range(5):
        (download / "Hands" / f"Hand_{index:07d}.jpg").unlink()
    images = load(download, cache)
    assert len(images) == 35
    assert len(images.all_groups) == 10
    (note,) = images.notes
    assert note.startswith("5 of 40 rows of HandInfo.csv have no picture in ")


def test_pictures_without_a_row_are_counted_in_one_note_and_left_out(download, cache):
    Image.new("RGB", (20, 20)).save(download / "Hands" / "stray.jpg")
    images = load(download, cache)
    assert len(images) == 40
    (note,) = images.notes
    assert note.startswith("Pictures in ")
    assert "without a row in HandInfo.csv are left out: 1, such as 'stray.jpg'" in note


def test_person_stays_on_one_side_of_the_split_whatever_is_chosen(download, cache):
    sides: dict[str, str] = {}
    for choice in ({}, {"side": "palmar"}, {"n_images": 20, "seed": 3}):
        images = load(download, cache, **choice)
        split = split_by_group(images.groups, images.all_groups, seed=0)
        for side in ("train", "validation", "test"):
            for index in getattr(split, side).tolist():
                assert sides.setdefault(images.groups[index], side) == side
    assert set(sides.values()) == {"train", "validation", "test"}


def test_a_part_is_read_alone_and_holds_what_the_split_gives_it(download, cache):
    everyone = load(download, cache, irregularities="exclude")
    split = split_by_group(everyone.groups, everyone.all_groups, seed=SPLIT_SEED)
    for part in ("train", "validation", "test"):
        images, rows = load(download, cache, irregularities="exclude", part=part), getattr(split, part)
        assert torch.equal(images.pixels, everyone.pixels[rows])
        assert images.names == tuple(everyone.names[row] for row in rows.tolist())
        assert images.all_groups == everyone.all_groups
    with pytest.raises(ValueError, match="part must be one of 'train', 'validation', 'test', got 'tests'"):
        load(download, cache, part="tests")
    with pytest.raises(ValueError, match=r"None of the 40 pictures in .* matches .*'only', part='test'\. Use fewer"):
        load(download, cache, irregularities="only", part="test")


def test_bad_photograph_is_named_in_one_warning_and_kept_as_a_problem(download, cache):
    (download / "Hands" / "Hand_0000003.jpg").write_bytes(b"")
    with pytest.warns(UserWarning, match=r"(?s)1 of 40 pictures.*Hand_0000003.jpg is empty") as caught:
        images = load(download, cache)
    assert len(caught) == 1
    assert len(images) == len(images.groups) == 39
    assert [(problem.name, problem.reason) for problem in images.problems] == [
        ("Hand_0000003.jpg", "is empty (0 bytes)")
    ]


@pytest.mark.parametrize("root", [".", "Hands"])
def test_missing_table_is_a_clear_error(download, root):
    (download / "HandInfo.csv").unlink()
    with pytest.raises(FileNotFoundError, match=r"HandInfo.csv' is missing. It comes with the 11k Hands"):
        load_images(download / root, 16)


def test_missing_hands_folder_is_a_clear_error(download):
    (download / "Hands").rename(download / "Fingers")
    with pytest.raises(FileNotFoundError, match=r"Hands' is missing. Unpack Hands.zip from 11k Hands"):
        load_images(download, 16)


def test_download_without_any_picture_is_a_clear_error(download, cache):
    for file in (download / "Hands").iterdir():
        file.unlink()
    with pytest.raises(FileNotFoundError, match=r"None of the 40 pictures in HandInfo.csv is in "):
        load(download, cache)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("aspectOfHand", "aspect", r"line 1: the header must have .*; aspectOfHand is missing"),
        ('"Hand_0000001.jpg",1', '"Hand_0000001.jpg"', r"line 3: a row must have 9 values, got \["),
        ("palmar right", "palm", r"line 3: aspectOfHand must be one of dorsal left, .*, got 'palm'"),
        (
            '"Hand_0000001.jpg",1',
            '"Hand_0000001.jpg",yes',
            r"line 3: irregularities must be 0 or 1, got 'yes'",
        ),
        (
            "Hand_0000001.jpg",
            "../secret.jpg",
            r"line 3: imageName must be a file name .* got '../secret.jpg'",
        ),
        ("Hand_0000001.jpg", "Hand_0000000.jpg", r"line 3: imageName must be in one row only"),
        ('"0000000"', '""', r"line 2: id must be a person's number of up to 7 digits, got ''"),
        ('"0000000"', '"Anna"', r"line 2: id must be a person's number of up to 7 digits, got 'Anna'"),
        ('"0000000"', '"12345678"', r"line 2: id must be .*, got '12345678'"),
        ('"0000000"', '"1.5"', r"line 2: id must be .*, got '1.5'"),
        ('"0000000"', '"-1"', r"line 2: id must be .*, got '-1'"),
        ('"0000000"', '"\u0663"', r"line 2: id must be .*, got '\u0663'"),
        ('"Hand_0000001.jpg"', '"Hand_0000001.jpg', r"line \d: .*expected"),
    ],
)
def test_malformed_table_is_an_error_that_names_line_and_rule(download, cache, old, new, message):
    edit_csv(download, old, new)
    with pytest.raises(ValueError, match=message):
        load(download, cache)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "line 1: the header must have the columns id, "),
        (b"id,accessories,aspectOfHand,imageName,irregularities\n", "must have a row for each picture"),
        (b"\xff\xfe\x00", "must be a UTF-8 text file"),
    ],
)
def test_empty_or_unreadable_table_is_a_clear_error(tmp_path, content, message):
    path = tmp_path / "HandInfo.csv"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_handinfo(path)


def test_table_with_a_byte_order_mark_and_blank_lines_is_read(download):
    path = download / "HandInfo.csv"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n") + b"\r\n")
    assert len(read_handinfo(path)) == 40


@pytest.mark.parametrize("spoil", [lambda i: str(int(i)), lambda i: f"{int(i)}.0", lambda i: f'"{i} "'])
def test_ids_that_a_spreadsheet_or_a_space_changed_stay_the_same_people(download, spoil):
    path = download / "HandInfo.csv"
    before = read_handinfo(path)
    assert before[-1].person == "0000009"
    changed = re.sub(r'^"(\d{7})"', lambda found: spoil(found[1]), path.read_text(), flags=re.MULTILINE)
    assert changed != path.read_text()
    path.write_text(changed)
    assert read_handinfo(path) == before


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes")
def test_table_that_is_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "HandInfo.csv")
    with pytest.raises(ValueError, match=r"HandInfo.csv' must be a regular file"):
        read_handinfo(tmp_path / "HandInfo.csv")


def test_what_the_folder_of_pictures_leaves_out_is_counted(download, cache):
    (download / "Hands" / ".Hand_0000001.jpg").touch()
    (download / "Hands" / "readme.txt").touch()
    (download / "Hands" / "more").mkdir()
    (download / "Hands" / "Hand_0000002.jpg").rename(download / "Hands" / "more" / "Hand_0000002.jpg")
    hidden, other, absent, unknown = load(download, cache).notes
    assert ": '.Hand_0000001.jpg', which is hidden" in hidden
    assert ": 'readme.txt', which is not named like a picture" in other
    assert absent.startswith("1 of 40 rows")
    assert "such as 'more/Hand_0000002.jpg'" in unknown


def test_real_download_has_every_person_on_one_side(photographs, tmp_path):
    images = load_hands11k(photographs, 16, n_images=200, cache_dir=tmp_path, progress=False)
    assert len(images) == 200
    assert len(images.all_groups) == 189  # the table names one of them twice, as "1200000" and "1200000 "
    assert set(map(len, images.all_groups)) == {7}
    split = split_by_group(images.groups, images.all_groups, seed=0)
    people = [{images.groups[i] for i in part.tolist()} for part in (split.train, split.validation, split.test)]
    assert people[0].isdisjoint(people[1] | people[2])
    assert people[1].isdisjoint(people[2])


def test_a_part_of_a_copy_that_lacks_people_holds_no_one_from_another_part(download, cache):
    test = set(load(download, cache, part="test").names)
    for picture in (download / "Hands").iterdir():
        if picture.name not in test:
            picture.unlink()
    assert set(load(download, cache, part="test").names) == test
    with pytest.raises(ValueError, match=r"matches .*part='train'"):
        load(download, cache, part="train")
