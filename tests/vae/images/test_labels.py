import os

import pytest

from hand_env.anatomy.report import outside_pictures
from vae.images.labels import read_labels


def read(path, text):
    path.write_text(text)
    return read_labels(path, ("image", "label"))


def test_rows_keep_columns_that_nobody_asked_for(tmp_path):
    assert read(tmp_path / "labels.csv", "image,label,more\na.png,1,x\n") == [
        {"image": "a.png", "label": "1", "more": "x"}
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "must have the columns image, label; image is missing"),
        ("image,source\na.png,b\n", "must have the columns image, label; label is missing"),
        ("image,label\na.png\n", "row 1: a row must have 2 values"),
        ("image,label\na.png,1\n../../secret.png,1\n", r"row 2: image must be a file name, got '\.\./\.\./secret"),
        ("image,label\n/etc/passwd,1\n", "row 1: image must be a file name, got '/etc/passwd'"),
        ("image,label\n..,1\n", r"row 1: image must be a file name, got '\.\.'"),
        ('image,label\n"a.png,1\n', "must be a table of comma-separated values in UTF-8, but unexpected end"),
    ],
)
def test_malformed_table_is_one_sentence(tmp_path, text, message):
    with pytest.raises(ValueError, match=rf"labels\.csv'.* {message}|labels\.csv', {message}"):
        read(tmp_path / "labels.csv", text)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes")
def test_table_that_is_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "labels.csv")
    with pytest.raises(ValueError, match=r"labels\.csv' must be a regular file"):
        read_labels(tmp_path / "labels.csv", ("image",))


def test_pictures_from_elsewhere_are_looked_for_in_their_folder_only(tmp_path):
    (tmp_path / "labels.csv").write_text("image,source,label\n../labels.csv,a,1\n")
    with pytest.raises(ValueError, match=r"image must be a file name, got '\.\./labels\.csv'"):
        outside_pictures(tmp_path)


def test_table_with_a_byte_order_mark_is_read(tmp_path):
    (tmp_path / "labels.csv").write_bytes(b"\xef\xbb\xbfimage,correct\na.png,1\n")
    assert read_labels(tmp_path / "labels.csv", ("image", "correct")) == [{"image": "a.png", "correct": "1"}]


def test_row_with_too_many_values_is_one_sentence(tmp_path):
    with pytest.raises(ValueError, match="row 1: a row must have 2 values"):
        read(tmp_path / "labels.csv", "image,label\na.png,1,0\n")
