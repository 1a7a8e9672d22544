"""A run whose pictures have moved resumes with `--data`, on the same pictures only."""

import json

import pytest
from drawn_hands import write_download

from agents.cli import main
from agents.commands.train.training import TrainingRun

TRAIN = ["train", "--size", "32", "--epochs", "2", "--batch-size", "4", "--latent-dim", "5", "--agent", "none"]
TRAIN += ["--device", "cpu"]


class Killed(BaseException):
    pass


def killed(training):
    training._save_checkpoint()
    raise Killed


def download(folder, people):
    folder.mkdir()
    return write_download(folder, people=people, views=1)


def draw(folder, seed):
    assert main(["synth", "--n", "12", "--size", "32", "--seed", seed, "--out", str(folder)]) == 0
    return folder


def said(capsys):
    return capsys.readouterr().err.splitlines()[-1]


def test_a_run_whose_pictures_have_moved_resumes_on_the_same_pictures_only(capsys, tmp_path, monkeypatch):
    here, other, out = draw(tmp_path / "here", "0"), draw(tmp_path / "other", "1"), tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(TrainingRun, "between_steps", killed)
        with pytest.raises(Killed):
            main([*TRAIN, "--data", str(here), "--out", str(out)])
    moved = here.rename(tmp_path / "moved")
    resume = ["train", "--resume", str(out)]
    assert main(resume) == 2
    assert str(here) in said(capsys)
    before = (out / "config.json").read_text()
    assert main([*resume, "--data", str(other)]) == 2
    words = said(capsys)
    assert f"The pictures in '{other}' are not those that '{out}' was trained on" in words
    assert words.endswith("Put them back, or name their folder with --data.")
    assert (out / "config.json").read_text() == before
    with monkeypatch.context() as patch:
        patch.chdir(tmp_path)
        assert main([*resume, "--data", "moved"]) == 0
    assert json.loads((out / "config.json").read_text())["settings"]["data"] == str(moved)
    assert main([*resume, "--epochs", "3"]) == 2
    assert said(capsys).endswith("--data from the run, whose --epochs is 2, got 3; leave --epochs out.")


def test_a_recipe_whose_photographs_have_moved_resumes_on_the_same_photographs_only(capsys, tmp_path, monkeypatch):
    stages = list[str]()
    monkeypatch.setattr("agents.commands.recipe.command._draw_and_sample", lambda args, *_: stages.append(args.data))
    here, other, out = download(tmp_path / "here", 12), download(tmp_path / "other", 13), tmp_path / "run"
    recipe = ["recipe", "--latent-samples", "0", "--refine-samples", "0", "--device", "cpu", "--out", str(out)]
    recipe += ["--workers", "0"]
    assert main([*recipe, "--data", str(here)]) == 0
    moved = here.rename(tmp_path / "moved")
    before = (out / "config.json").read_text()
    assert main([*recipe, "--data", str(other)]) == 2
    words = said(capsys)
    assert f"The photographs in '{other}' are not those that '{out}' was started with" in words
    assert words.endswith("Put them back, or name their folder with --data.")
    assert main(recipe) == 2
    assert f"was started with --data '{here}'" in said(capsys)
    assert (out / "config.json").read_text() == before
    assert main([*recipe, "--data", str(moved)]) == 0
    assert json.loads((out / "config.json").read_text())["settings"]["data"] == str(moved)
    assert main([*recipe, "--data", str(moved)]) == 0
    assert stages == [str(here), str(moved), str(moved)]
