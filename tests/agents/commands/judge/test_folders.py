"""Folders that the judge's commands read beside the pictures, and those that they draw into."""

import pytest
from PIL import Image

from agents.cli import main
from vae.images.overview import is_overview
from vae.images.synthetic import generate_hands


@pytest.fixture
def known(tmp_path):
    """A folder with a training picture, in another one with a copy of it and two other pictures."""
    folder = tmp_path / "all" / "known"
    folder.mkdir(parents=True)
    for number, path in enumerate((folder / "0.png", folder.parent / "1.png", folder.parent / "2.png")):
        Image.fromarray(generate_hands(1, 64, seed=20 + number).images[0].permute(1, 2, 0).numpy()).save(path)
    return folder


def test_held_out_pictures_that_are_training_pictures_are_refused_before_any_is_judged(
    pictures, weights, known, capsys, monkeypatch
):
    monkeypatch.setattr("agents.commands.judge.command._judge_all", lambda *_: pytest.fail("judged"))
    words = ["judge", str(known / "0.png"), "--weights", str(weights), "--training", str(known)]
    for held_out, both in ((known, "1 of the 1"), (known.parent, "1 of the 3")):
        assert main([*words, "--held-out", str(held_out)]) == 2
        said = f"people who are not in '{known}', and {both} pictures in '{held_out}' are there too. Name another"
        assert said in capsys.readouterr().err


def test_drawings_stay_if_the_next_call_ends_before_it_draws(pictures, weights, known, capsys, tmp_path, monkeypatch):
    words = ["judge", str(pictures / "hand-0.png"), "--weights", str(weights), "--overlay", str(tmp_path / "seen")]
    assert main(words) == 0
    assert main([*words, "--training", str(known)]) == 2

    def stopped(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("agents.commands.judge.command._judge_all", stopped)
    assert main(words) == 130
    assert [path.name for path in (tmp_path / "seen").iterdir()] == ["0000-hand-0.png"]


def test_wrong_verdicts_are_drawn_among_nothing_but_drawings(pictures, weights, capsys):
    assert main(["judge", str(pictures), "--weights", str(weights), "--overlay", str(pictures / "seen")]) == 0
    (pictures / "seen" / "0000-hand-0.png").rename(pictures / "drawing.png")
    assert main(["judge-report", "--n", "1", "--weights", str(weights), "--wrong", str(pictures)]) == 2
    said = f"--wrong '{pictures}' must hold nothing but drawings, but it holds 'hand-0.png'. Choose another --wrong."
    assert said in capsys.readouterr().err


def test_overlays_inside_the_judged_folder_are_not_judged_the_second_time(pictures, weights, capsys):
    words = ["judge", str(pictures), "--overlay", str(pictures / "seen"), "--weights", str(weights)]
    for notes in (0, 1):
        assert main(words) == 0
        out = capsys.readouterr().out
        assert "of 3;" in out
        assert out.count("which is an overview that handlatent drew") == notes
    assert len(list((pictures / "seen").iterdir())) == 3


def test_overlays_are_not_written_among_the_files_of_somebody_else(pictures, weights, capsys):
    before = sorted(pictures.iterdir())
    assert main(["judge", str(pictures), "--overlay", str(pictures), "--weights", str(weights)]) == 2
    assert "--overlay" in (err := capsys.readouterr().err)
    assert "it holds 'hand-0.png', which is in the way" in err
    assert sorted(pictures.iterdir()) == before


def test_drawings_of_an_earlier_call_are_removed_and_nothing_else_is_replaced(pictures, weights, capsys, tmp_path):
    seen = tmp_path / "seen"
    judge = ["judge", "--weights", str(weights), "--overlay", str(seen)]
    assert main([*judge, str(pictures)]) == 0
    assert main([*judge, str(pictures / "hand-2.png")]) == 0
    assert [drawing.name for drawing in seen.iterdir() if drawing.name[0] != "."] == ["0000-hand-2.png"]
    for mine in ("0000-hand-2.png", "mine.png"):
        Image.open(pictures / "hand-0.png").save(seen / mine)
        before = (seen / mine).read_bytes()
        assert main([*judge, str(pictures / "hand-2.png")]) == 2
        assert repr(mine) in capsys.readouterr().err
        assert (seen / mine).read_bytes() == before
        (seen / mine).unlink()


def test_long_names_are_drawn_under_shorter_ones(pictures, weights, tmp_path):
    (pictures / "hand-0.png").rename(pictures / f"{'ü' * 120}.png")
    assert main(["judge", str(pictures), "--weights", str(weights), "--overlay", str(tmp_path / "seen")]) == 0
    assert sum(is_overview(drawing) for drawing in (tmp_path / "seen").iterdir()) == 3
