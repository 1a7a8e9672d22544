import json
import os
import re
import struct
import sys
import zlib
from functools import partial

import numpy as np
import pytest
import torch
from drawn_hands import write_download
from PIL import Image

from agents.cli import main
from hand_env.anatomy.report import compose_scenes
from hand_env.anatomy.report.clutter import plain
from hand_env.anatomy.report.cut_outs import clean_outline
from vae.files import save_tensors
from vae.images import load_folder
from vae.images.overview import is_overview
from vae.images.synthetic import generate_hands


@pytest.fixture
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


def test_judge_prints_a_summary(pictures, weights, capsys):
    assert main(["judge", str(pictures), "--weights", str(weights)]) == 0
    out = capsys.readouterr().out
    assert "anatomical" in out
    assert "of 3" in out


def test_judge_prints_one_json_object_a_line_and_draws_overlays(pictures, weights, capsys, tmp_path):
    words = ["judge", str(pictures), "--json", "--weights", str(weights), "--overlay", str(tmp_path / "seen")]
    assert main(words) == 0
    *rows, last = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert last["summary"]["n"] == 3
    assert [row["image"][-10:] for row in rows] == ["hand-0.png", "hand-1.png", "hand-2.png"]
    assert all({"anatomical", "correct", "digits", "score"} <= set(row) for row in rows)
    assert len(list((tmp_path / "seen").glob("*.png"))) == 3


def test_each_hand_of_a_picture_is_listed_drawn_and_counted(tmp_path, capsys):
    hands = [hand.permute(1, 2, 0).numpy() for hand in generate_hands(2, 128, seed=1).images]
    file = tmp_path / "two.png"
    Image.fromarray(np.concatenate(hands, 1)).save(file)
    assert main(["judge", str(file), "--json", "--overlay", str(tmp_path / "seen")]) == 0
    *rows, last = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["image"] for row in rows] == [f"{file}#1", f"{file}#2"]
    assert rows[0]["box"][0] < 128 < rows[1]["box"][0]
    assert (last["summary"]["n"], last["summary"]["pictures"]) == (2, 1)
    assert [seen.name for seen in sorted((tmp_path / "seen").iterdir())] == ["0000-two#1.png", "0000-two#2.png"]
    assert main(["judge", str(file)]) == 0
    out = capsys.readouterr().out
    assert "pictures    1\nhands       2" in out
    assert main(["judge", str(file), "--no-crop"]) == 0
    assert "hands       " not in capsys.readouterr().out


def test_of_a_folder_that_generate_made_the_hands_are_judged_and_the_grid_of_them_is_not(pictures, weights, capsys):
    Image.open(pictures / "hand-0.png").save(pictures / "grid.png")
    assert main(["judge", str(pictures), "--weights", str(weights)]) == 0
    assert "of 4;" in capsys.readouterr().out  # nobody says that it is a grid
    (pictures / "generated.json").write_text("{}")
    assert main(["judge", str(pictures), "--weights", str(weights)]) == 0
    assert "of 3;" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["nothing-here", "empty"])
def test_judge_says_in_one_sentence_that_there_are_no_pictures(name, tmp_path, weights, capsys):
    (tmp_path / "empty").mkdir()
    assert main(["judge", str(tmp_path / name), "--weights", str(weights)]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_judge_names_a_file_that_is_no_picture(tmp_path, weights, capsys):
    (tmp_path / "note.png").write_text("no picture")
    assert main(["judge", str(tmp_path / "note.png"), "--weights", str(weights)]) == 2
    assert "note.png" in capsys.readouterr().err


def test_an_odd_picture_is_named_and_the_others_are_judged(pictures, weights, capsys):
    (pictures / "broken.png").write_text("no picture")
    Image.new("RGB", (400, 64)).save(pictures / "wide.png")
    assert main(["judge", str(pictures), "--weights", str(weights)]) == 0
    out = capsys.readouterr().out
    assert "of 3;" in out
    assert "broken.png" in out
    assert "wide.png" in out
    assert main(["judge", str(pictures), "--weights", str(weights), "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert sum("error" in row for row in rows) == 2
    assert rows[-1]["summary"]["n"] == 3


def test_a_bad_picture_that_was_named_itself_is_an_error(pictures, weights, capsys):
    (pictures / "broken.png").write_text("no picture")
    words = ["judge", str(pictures / "hand-0.png"), str(pictures / "broken.png"), "--weights", str(weights)]
    assert main(words) == 2
    err = capsys.readouterr().err
    assert f"'{pictures / 'broken.png'}' is not a picture in a format that is read" in err
    assert len(err.splitlines()) == 1


def test_what_a_folder_leaves_out_is_named_and_counted_as_the_reader_of_data_does(pictures, weights, capsys, cache):
    os.mkfifo(pictures / "pipe.png")
    (pictures / "circle.png").symlink_to("circle.png")
    (pictures / "bomb.png").write_bytes(bomb())
    (pictures / "program.jpg").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 20 20\n")
    Image.new("RGB", (64, 64)).save(pictures / "dds.png", "DDS")
    Image.new("RGB", (64, 64)).save(pictures / ".hidden.png")
    (pictures / "disk").symlink_to("/no/such/disk")
    assert main(["judge", str(pictures), "--json", "--weights", str(weights)]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    odd = {row["image"].rpartition("/")[2]: row["error"] for row in rows if "error" in row}
    assert odd.keys() == {"pipe.png", "circle.png", "bomb.png", "program.jpg", "dds.png"}
    assert odd["pipe.png"] == "is not a regular file"
    assert odd["bomb.png"].startswith("is too large to be decoded safely")
    assert rows[-1]["summary"]["n"] == 3
    with pytest.warns(UserWarning, match="5 of 8 pictures cannot be used"):
        read = load_folder(pictures, 32, cache_dir=cache, progress=False)
    assert {problem.name: problem.reason for problem in read.problems} == odd
    assert tuple(rows[-1]["summary"]["notes"]) == read.notes
    assert len(read.notes) == 2
    assert main(["judge", str(pictures), "--weights", str(weights)]) == 0
    out = capsys.readouterr().out.splitlines()
    assert sum(line.startswith("left out: ") for line in out) == 5
    assert out[-2:] == list(read.notes)


def bomb():
    """A PNG whose header says 60,000 x 60,000 pixels."""
    chunks = b"IHDR" + struct.pack(">2I5B", 60_000, 60_000, 1, 0, 0, 0, 0), b"IDAT"
    parts = (struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) for chunk in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def test_the_summary_has_the_share_that_is_trusted(pictures, weights, capsys):
    assert main(["judge", str(pictures), "--weights", str(weights), "--no-crop"]) == 0
    out = capsys.readouterr().out
    assert "trusted     100.0% (3 of 3" in out  # weights without doubts
    assert "correct among the trusted" in out


def test_judge_report_measures_pictures_from_elsewhere(pictures, weights, capsys, tmp_path):
    (tmp_path / "pictures").mkdir()
    for number in range(3):
        (tmp_path / f"hand-{number}.png").rename(tmp_path / "pictures" / f"hand-{number}.png")
    rows = ["image,source,label", "hand-0.png,a,1", "hand-1.png,a,0", "hand-2.png,b,d"]
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    assert main(["judge-report", "--outside", str(tmp_path), "--weights", str(weights)]) == 0
    out = capsys.readouterr().out
    assert "right accepted" in out
    assert "of 2;" in out  # the doubtful one is left out
    assert main(["judge-report", "--outside", str(tmp_path / "pictures"), "--weights", str(weights)]) == 2
    assert "labels.csv" in capsys.readouterr().err


def test_judge_report_prints_the_table(weights, capsys, tmp_path):
    assert main(["judge-report", "--n", "1", "--weights", str(weights), "--wrong", str(tmp_path / "wrong")]) == 0
    assert "synthetic correct" in capsys.readouterr().out


def test_judge_report_puts_hands_into_scenes(weights, capsys, tmp_path, monkeypatch):
    (tmp_path / "11k-hands").mkdir()
    write_download(tmp_path / "11k-hands", people=2, views=1)
    found = [torch.zeros(1, 3, 256, 256, dtype=torch.uint8)]
    module = "agents.commands.judge.report"
    monkeypatch.setattr(f"{module}.cleanest_photographs", lambda folder: found.pop())
    monkeypatch.setattr(f"{module}.cluttered_grounds", lambda: {"walls": plain})
    monkeypatch.setattr(f"{module}.compose_scenes", partial(compose_scenes, right=1, wrong=1))
    words = ["judge-report", "--data", str(tmp_path), "--scenes", "--weights", str(weights)]
    assert main(words) == 2
    assert "--data must hold a test person's photograph with a clear outline, got" in capsys.readouterr().err
    drawn = generate_hands(12, 256, seed=5).images
    found += [hand.unsqueeze(0) for hand in drawn if clean_outline(hand.permute(1, 2, 0).numpy()) is not None][:1]
    assert main([*words, "--wrong", str(tmp_path / "wrong")]) == 0
    out = capsys.readouterr().out
    assert out.startswith("parser, 64 pixels, in scenes\n")
    wrong = sum(int(count) for count in re.findall(r"^all .*?\((\d+) of 3;.*?\((\d+) of 18;", out, re.M)[0])
    assert len(list((tmp_path / "wrong").glob("*.png"))) == 21 - wrong > 0
    assert "  walls" in out
    assert "right hands rejected: " in out


def test_scenes_need_the_photographs_alone(weights, capsys, tmp_path):
    for others in ([], ["--data", str(tmp_path), "--outside", str(tmp_path)]):
        assert main(["judge-report", "--scenes", *others, "--weights", str(weights)]) == 2
        assert (
            "--scenes needs --data, the folder that holds 11k-hands, and excludes --outside." in capsys.readouterr().err
        )


@pytest.mark.parametrize(("flag", "value"), [("--size", "48"), ("--size", "256"), ("--n", "0")])
def test_judge_report_refuses_a_wrong_setting(flag, value, weights, capsys):
    assert main(["judge-report", flag, value, "--weights", str(weights)]) == 2
    assert flag in capsys.readouterr().err


def test_judge_train_asks_for_data(tmp_path, capsys):
    assert main(["judge-train", "--out", str(tmp_path)]) == 2
    because = f"because the pack '{tmp_path / 'pack.npz'}' does not exist yet."
    assert f"--data must be the 11k Hands download, {because}" in capsys.readouterr().err


def test_judge_counts_copies(pictures, weights, capsys, tmp_path):
    for number in range(6):
        folder = tmp_path / ("known" if number < 3 else "others")
        folder.mkdir(exist_ok=True)
        image = generate_hands(1, 64, seed=10 + number).images[0].permute(1, 2, 0).numpy()
        Image.fromarray(image).save(folder / f"{number}.png")
    words = ["--weights", str(weights), "--training", str(tmp_path / "known"), "--json"]
    copy = str(tmp_path / "known" / "0.png")
    for folder in ("known", "others"):
        (tmp_path / folder / f"{folder}.txt").touch()
    assert main(["judge", copy, *words, "--held-out", str(tmp_path / "others")]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out.splitlines()[0])["new"] is False
    assert ": 'known.txt', which is not named like a picture." in said.err
    assert ": 'others.txt', which is not named like a picture." in said.err
    assert main(["judge", copy, *words]) == 2
    known = f"people who are not in '{tmp_path / 'known'}'."
    assert f"--held-out must be a folder with pictures of {known}" in capsys.readouterr().err


def test_judge_attack_compares_both_judges_before_and_after(weights, capsys, tmp_path):
    words = ["train", "--data", "synthetic", "--images", "20", "--size", "32", "--epochs", "1", "--agent", "none"]
    assert main([*words, "--device", "cpu", "--out", str(tmp_path / "run")]) == 0
    judges = ["--parser", str(weights), "--reporter", str(weights)]
    grid = tmp_path / "attack.png"
    assert main(["judge-attack", str(tmp_path / "run"), "--n", "3", "--steps", "1", *judges, "--grid", str(grid)]) == 0
    out = capsys.readouterr().out
    assert "samples" in out
    assert "after 1 steps uphill" in out
    with Image.open(grid) as picture:
        assert picture.height > picture.width / 3
    assert is_overview(grid)
    mine = tmp_path / "mine.png"
    Image.new("RGB", (20, 20)).save(mine)
    before = mine.read_bytes()
    assert main(["judge-attack", str(tmp_path / "run"), "--grid", str(mine), *judges]) == 2
    assert f"--grid '{mine}' is there already" in capsys.readouterr().err
    assert mine.read_bytes() == before
    assert main(["judge-attack", str(tmp_path / "run"), "--rate", "0", *judges]) == 2
    assert "--rate" in capsys.readouterr().err


def test_judge_report_names_a_data_folder_without_the_download(weights, capsys, tmp_path):
    assert main(["judge-report", "--data", str(tmp_path), "--weights", str(weights)]) == 2
    err = capsys.readouterr().err
    assert f"--data must be the folder that holds 11k-hands, got '{tmp_path}', which does not." in err


def test_judge_report_and_judge_train_say_how_many_pictures_are_left_out(weights, capsys, tmp_path, monkeypatch):
    (tmp_path / "11k-hands").mkdir()
    hands = write_download(tmp_path / "11k-hands", people=2, views=1) / "Hands"
    (hands / "strange.jpg").write_bytes((hands / "Hand_0000000.jpg").read_bytes())
    (hands / "note.txt").touch()
    monkeypatch.setattr("agents.commands.judge.report.report_cases", lambda *_: iter(()))
    monkeypatch.setattr("agents.commands.judge.report.measure_novelty", lambda *_: ("", ""))
    monkeypatch.setattr("agents.commands.judge.train.write_landmarks", lambda *_: None)
    monkeypatch.setattr("agents.commands.judge.train.write_pack", stop)
    assert main(["judge-report", "--data", str(tmp_path), "--weights", str(weights)]) == 0
    reported = capsys.readouterr().err
    assert main(["judge-train", "--data", str(tmp_path / "11k-hands"), "--out", str(tmp_path / "out")]) == 2
    trained = capsys.readouterr().err
    for said in (reported, trained):
        assert f"Left out under '{hands}': 'note.txt', which is not named like a picture." in said
        assert f"Pictures in '{hands}' without a row in HandInfo.csv are left out: 1, such as 'strange.jpg'." in said


def stop(*_):
    raise ValueError("far enough")


def test_judge_train_says_that_mediapipe_is_missing_before_it_reads_anything(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "mediapipe", None)
    assert main(["judge-train", "--data", str(tmp_path / "nothing"), "--out", str(tmp_path)]) == 2
    assert 'pip install -e ".[landmarks]"' in capsys.readouterr().err


def test_places_in_json_are_pixels_of_the_file(tmp_path, capsys):
    hand = generate_hands(1, 64, seed=1).images[0].permute(1, 2, 0).numpy()
    Image.fromarray(hand).resize((300, 300)).save(tmp_path / "a.png")
    wide = Image.new("RGB", (500, 300), "white")
    wide.paste(Image.open(tmp_path / "a.png"), (150, 0))
    wide.save(tmp_path / "b.png")
    wide.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "c.png", exif=turned(6))
    assert main(["judge", str(tmp_path), "--json", "--no-crop"]) == 0
    alone, beside, rotated, _ = map(json.loads, capsys.readouterr().out.splitlines())
    assert 0 <= min(alone["wrist"]) <= max(alone["wrist"]) <= 300
    assert alone["box"] == [150, 150, 300]
    assert beside["box"] == rotated["box"] == [250, 150, 500]
    for one, other in zip(alone["digits"], beside["digits"], strict=True):
        for (x, y), (across, down) in zip(one["joints"], other["joints"], strict=True):
            assert (x + 150, y) == pytest.approx((across, down), abs=25)  # the hand is smaller in a larger square
    assert rotated["wrist"] == pytest.approx(beside["wrist"], abs=3)


def turned(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def test_a_picture_that_is_named_twice_is_judged_once(pictures, weights, capsys):
    (pictures / "link.png").symlink_to("hand-0.png")
    words = ["judge", str(pictures), str(pictures), str(pictures / "hand-1.png"), str(pictures / "link.png")]
    assert main([*words, "--weights", str(weights)]) == 0
    out = capsys.readouterr().out
    assert "pictures    3" in out
    assert "Named more than once and judged once: 5" in out


def test_json_has_what_the_summary_has(pictures, weights, capsys, tmp_path):
    (pictures / "broken.png").write_bytes(b"no picture")
    assert main(["judge", str(pictures), "--json", "--weights", str(weights)]) == 0
    *_, odd, last = map(json.loads, capsys.readouterr().out.splitlines())
    assert set(odd) == {"image", "error"}
    assert (last["summary"]["pictures"], last["summary"]["left_out"]) == (3, 1)
    assert "anatomical_trusted" in last["summary"]


def test_weights_of_the_other_architecture_are_refused(pictures, weights, capsys):
    for command in (["judge", str(pictures)], ["judge-report", "--n", "1"]):
        assert main([*command, "--architecture", "reporter", "--weights", str(weights)]) == 2
        assert "must hold a judge of the --architecture 'reporter', and holds a 'parser'" in capsys.readouterr().err


def test_a_file_without_a_judge_is_one_sentence(pictures, tmp_path, capsys):
    save_tensors(tmp_path / "x.safetensors", {"a": torch.zeros(1)})
    assert main(["judge", str(pictures), "--weights", str(tmp_path / "x.safetensors")]) == 2
    assert "but it lacks 'calibration'" in capsys.readouterr().err


@pytest.mark.parametrize("grid", ["nowhere/a.png", "a.txt"])
def test_a_grid_that_cannot_be_written_is_refused_first(grid, tmp_path, capsys):
    assert main(["judge-attack", str(tmp_path / "no-run"), "--grid", str(tmp_path / grid)]) == 2
    assert "--grid must be a .png in a folder that exists" in capsys.readouterr().err


def test_a_bad_picture_that_was_named_itself_is_an_error_behind_its_folder_too(pictures, weights, capsys):
    (pictures / "broken.png").write_bytes(b"no picture")
    (pictures.parent / "link.png").symlink_to(pictures / "broken.png")
    words = ["judge", str(pictures), str(pictures), str(pictures.parent / "link.png"), "--weights", str(weights)]
    assert main(words) == 2
    assert "cannot be judged" in capsys.readouterr().err
    (pictures.parent / "link.png").unlink()


def test_judge_report_draws_wrong_verdicts_on_pictures_from_elsewhere(pictures, weights, tmp_path):
    root = tmp_path / "elsewhere"
    (root / "pictures").mkdir(parents=True)
    for name in ("a.png", "a.bmp"):
        Image.open(pictures / "hand-0.png").save(root / "pictures" / name)
    (root / "labels.csv").write_text("image,source,label\na.png,own,0\na.bmp,own,0\na.png,own,1\na.bmp,own,1\n")
    wrong = tmp_path / "wrong"
    assert main(["judge-report", "--outside", str(root), "--weights", str(weights), "--wrong", str(wrong)]) == 0
    assert sum(map(is_overview, wrong.iterdir())) == 2  # either both as right hands, or both as wrong ones
