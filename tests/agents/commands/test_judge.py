import json
import sys

import numpy as np
import pytest
from PIL import Image

from agents.cli import main
from hand_env.anatomy.network import build_network
from hand_env.anatomy.weights import Calibration, save_network
from vae.images.synthetic import generate_hands

LIMITS = {"whole": -5.0, "hand": -5.0, "states": -9.0, "extra": -9.0}


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "parser.safetensors"
    return save_network(path, build_network("parser", 0), Calibration("parser", LIMITS))


@pytest.fixture
def pictures(tmp_path):
    for number, size in enumerate((64, 64, 96)):
        image = generate_hands(1, size, seed=number).images[0].permute(1, 2, 0).numpy()
        Image.fromarray(image).save(tmp_path / f"hand-{number}.png")
    return tmp_path


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


@pytest.mark.parametrize(("flag", "value"), [("--size", "48"), ("--n", "0")])
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
    assert main(["judge", copy, *words, "--held-out", str(tmp_path / "others")]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[0])["new"] is False
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
    assert main(["judge-attack", str(tmp_path / "run"), "--rate", "0", *judges]) == 2
    assert "--rate" in capsys.readouterr().err


def test_judge_report_names_a_data_folder_without_the_download(weights, capsys, tmp_path):
    assert main(["judge-report", "--data", str(tmp_path), "--weights", str(weights)]) == 2
    err = capsys.readouterr().err
    assert f"--data must be the folder that holds 11k-hands, got '{tmp_path}', which does not." in err


def test_judge_train_says_that_mediapipe_is_missing_before_it_reads_anything(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "mediapipe", None)
    assert main(["judge-train", "--data", str(tmp_path / "nothing"), "--out", str(tmp_path)]) == 2
    assert 'pip install -e ".[landmarks]"' in capsys.readouterr().err
