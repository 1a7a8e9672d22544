"""Blind sheets: they can be repeated, show both kinds alike, and are scored against the key."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from drawn_hands import write_download

from agents.cli import main
from agents.commands.blind import BlindScoreArgs, BlindSheetsArgs, blind_score, blind_sheets
from agents.commands.blind.score import compare_with_judge, read_numbers, score_answers
from agents.commands.blind.sheet_layout import lay_out, read_sheets
from agents.commands.blind.sheets import held_out_photographs, write_sheets
from vae.files import load_hashed_json, save_json
from vae.images import load_images, split_by_group
from vae.images.overview import is_overview


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_download(tmp_path_factory.mktemp("photographs"))


@pytest.fixture(scope="module")
def sheets(narrow_run, data, tmp_path_factory):
    return blind_sheets(BlindSheetsArgs(narrow_run, data=data, n=4, seed=3, out=tmp_path_factory.mktemp("made") / "a"))


def noise(n, size=32):
    return torch.randint(0, 256, (n, 3, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(n))


def test_the_same_seed_gives_the_same_sheets_and_another_seed_others(sheets, narrow_run, data, tmp_path):
    for seed, alike in ((3, True), (4, False)):
        again = blind_sheets(BlindSheetsArgs(narrow_run, data=data, n=4, seed=seed, out=tmp_path / str(seed)))
        assert ((again / "sheet-01.png").read_bytes() == (sheets / "sheet-01.png").read_bytes()) is alike
    assert sorted(path.name for path in sheets.iterdir()) == ["key.json", "sheet-01.png"]


def test_a_photograph_leaves_the_same_bytes_whether_it_is_called_drawn_or_not(sheets, data, narrow_run, monkeypatch):
    key = load_hashed_json(sheets / "key.json")
    images = load_images(data, 32)
    places = [int(number) - 1 for number in key["photographs"]]
    shown = read_sheets(sheets, 8, 32)[places]
    photographs = images.pixels[[images.names.index(name) for name in key["photographs"].values()]]
    assert torch.equal(shown, photographs)
    real = write_sheets.__globals__["draw_as_asked"]

    def photographs_as_drawn(args, run):
        hands = real(args, run)
        return type(hands)(held_out_photographs(data, 32, 0, 4, args.seed)[0], hands.latents, hands.record)

    monkeypatch.setitem(write_sheets.__globals__, "draw_as_asked", photographs_as_drawn)
    both = blind_sheets(BlindSheetsArgs(narrow_run, data=data, n=4, seed=3, out=sheets.parent / "both"))
    key, cells = load_hashed_json(both / "key.json"), read_sheets(both, 8, 32)
    named = {number: int(row) for number, row in key["drawn"].items()}
    for number, row in named.items():
        twin = list(key["photographs"].values()).index(held_out_photographs(data, 32, 0, 4, 3)[1][row])
        assert torch.equal(cells[int(number) - 1], cells[int(list(key["photographs"])[twin]) - 1])


def test_drawn_hands_are_those_of_the_seed_and_every_number_has_one_answer(sheets, narrow_run):
    from agents import draw_hands, load_run

    key = load_hashed_json(sheets / "key.json")
    drawn = draw_hands(4, seed=3, run=load_run(narrow_run)).images
    for number, row in key["drawn"].items():
        assert torch.equal(read_sheets(sheets, 8, 32)[int(number) - 1], drawn[row])
    assert sorted(map(int, [*key["drawn"], *key["photographs"]])) == list(range(1, 9))
    assert key["how_drawn"]["seed"] == 3


def test_sheets_say_nothing_but_the_pictures_and_no_command_takes_them_for_hands(tmp_path):
    write_sheets(tmp_path, noise(53))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["sheet-01.png", "sheet-02.png"]
    assert all(is_overview(path) for path in tmp_path.iterdir())
    assert torch.equal(read_sheets(tmp_path, 53, 32), noise(53))
    assert lay_out(noise(10, 128), 1).shape[1] == 10 * (256 + 6) + 6  # twice as large
    assert not np.array_equal(lay_out(noise(10), 1), lay_out(noise(10), 11))  # the numbers


def test_photographs_are_of_test_people_in_turn_and_then_of_validation_people(data):
    images = load_images(data, 32)
    split = split_by_group(images.groups, images.all_groups, seed=0)
    person = dict(zip(images.names, images.groups, strict=True))
    test, more = ({images.groups[row] for row in rows.tolist()} for rows in (split.test, split.validation))
    assert {person[name] for name in held_out_photographs(data, 32, 0, len(split.test), 1)[1]} == test
    few = [person[name] for name in held_out_photographs(data, 32, 0, len(split.test) + 2, 1)[1]]
    assert set(few) == test | more
    assert max(map(few.count, few)) == 3  # of two people, six photographs
    with pytest.raises(ValueError, match="--n must be at most 8, the number of photographs held out, got 9"):
        held_out_photographs(data, 32, 0, 9, 1)


def test_answers_are_counted():
    found = score_answers({1, 2, 3}, {3, 4, 5, 6}, 8)  # 1, 2, 7, 8 are photographs
    counts = {name: (rate["count"], rate["of"]) for name, rate in found.items()}
    assert counts == {
        "drawn_taken_for_photographs": (1, 4),
        "photographs_taken_for_such": (2, 4),
        "accuracy": (5, 8),
    }


def test_verdicts_by_eye_stand_beside_the_judges():
    found = compare_with_judge({1, 2, 9}, {1: False, 2: True, 3: False, 4: True})
    assert (found["wrong_by_both"], found["wrong_by_eye_alone"], found["wrong_by_judge_alone"]) == ([1], [2], [3])
    assert (found["right_by_eye"]["count"], found["alike"]["count"], found["kappa"]) == (2, 2, 0)
    assert compare_with_judge(set(), {1: True, 2: True})["kappa"] is None


def test_the_command_writes_and_prints_the_score(sheets, tmp_path, capsys):
    photographs = load_hashed_json(sheets / "key.json")["photographs"]
    (tmp_path / "answers").write_text("\n".join(photographs))
    (tmp_path / "wrong").write_text("00000000")
    words = ["--answers", str(tmp_path / "answers"), "--wrong", str(tmp_path / "wrong")]
    assert main(["blind", "score", str(sheets), *words]) == 0
    assert "100.0 %" in capsys.readouterr().out
    score = json.loads((sheets / "blind.json").read_text())
    assert (score["accuracy"]["count"], score["right_by_eye"]["count"]) == (8, 4)
    assert score["right_by_judge"]["of"] == 4


def test_answers_on_one_question_leave_those_on_the_other(sheets, tmp_path):
    copy = Path(shutil.copytree(sheets, tmp_path / "copy"))
    (tmp_path / "none").write_text("00000000")
    blind_score(BlindScoreArgs(copy, answers=tmp_path / "none"))
    blind_score(BlindScoreArgs(copy, wrong=tmp_path / "none"))
    assert {"n", "accuracy", "right_by_eye"} <= json.loads((copy / "blind.json").read_text()).keys()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("drawn", None, "drawn must be an object, and it is missing"),
        ("n", None, "n must be an integer in .*, and it is missing"),
        ("size", 33, "size must be one of 32, 64, 128, 256, got 33"),
        ("drawn", {"1": 0, "2": 1, "3": 2, "x": 3}, r"drawn must name 4 numbers in 1\.\.8"),
    ],
)
def test_a_key_that_was_edited_is_one_sentence(sheets, tmp_path, name, value, message):
    key = {**load_hashed_json(sheets / "key.json"), name: value}
    save_json(tmp_path / "key.json", {name: value for name, value in key.items() if value is not None})
    (tmp_path / "none").write_text("00000000")
    with pytest.raises(ValueError, match=rf"key.json' is damaged: {message}.*\. Make new sheets with `blind sheets`"):
        blind_score(BlindScoreArgs(tmp_path, answers=tmp_path / "none"))


@pytest.mark.parametrize(("text", "numbers"), [("1, 3\n8", {1, 3, 8}), ("10100001", {1, 3, 8}), ("00000000", set())])
def test_numbers_are_read_in_both_forms(text, numbers, tmp_path):
    (tmp_path / "file").write_text(text)
    assert read_numbers(tmp_path / "file", "--answers", 8) == numbers


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (" \n", "must name at least one number, got none. For none, write 8 zeros"),
        ("1 9", "must hold numbers in 1..8, or 8 digits 0 and 1, got '9'"),
        ("0 1", "got '0'"),
        ("one", "got 'one'"),
        ("1010", "got '1010'"),
        ("3 3", "must name each number once, got 3 twice"),
    ],
)
def test_wrong_answers_are_refused(text, message, tmp_path):
    (tmp_path / "file").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_numbers(tmp_path / "file", "--answers", 8)


def test_files_that_are_missing_are_named_with_their_flags(sheets, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"--answers '.*absent' must be a text file of numbers, and there is "):
        read_numbers(tmp_path / "absent", "--answers", 6)
    with pytest.raises(FileNotFoundError, match=r"--wrong '.*' must be a text file of numbers, and there is a folder"):
        read_numbers(tmp_path, "--wrong", 6)
    with pytest.raises(FileNotFoundError, match=r"' has no key\.json\. Name the folder that `blind sheets` wrote\."):
        blind_score(BlindScoreArgs(tmp_path, answers=tmp_path / "absent"))


def test_missing_words_are_refused(sheets, narrow_run):
    with pytest.raises(ValueError, match="--answers or --wrong must name a file of numbers, got neither"):
        blind_score(BlindScoreArgs(sheets))
    with pytest.raises(ValueError, match="--data must name the folder of the photographs to mix in, got none"):
        blind_sheets(BlindSheetsArgs(narrow_run, out=Path("never")))


def test_a_damaged_sheet_is_named(tmp_path):
    (tmp_path / "sheet-01.png").write_bytes(b"none")
    with pytest.raises(ValueError, match=r"sheet-01\.png' is not .*\. Make the sheets again\."):
        read_sheets(tmp_path, 8, 32)
