"""A folder that is removed while a command writes into it: one sentence, and no part of a run under its name."""

import shutil

import pytest

from agents.cli import main
from agents.commands.train.training import TrainingRun
from agents.runs.checkpointing import Checkpointer

TRAIN = ["train", "--images", "24", "--size", "32", "--epochs", "2", "--batch-size", "4", "--latent-dim", "5"]
TRAIN += ["--device", "cpu", "--checkpoint-seconds", "0"]


@pytest.mark.parametrize("step", [0, 5])
def test_a_folder_that_is_removed_while_a_run_trains_is_one_sentence(capsys, tmp_path, monkeypatch, step):
    out, between_steps = tmp_path / "run", TrainingRun.between_steps

    def remove(training):
        if training.trainer.steps_done == step:
            shutil.rmtree(out)
        between_steps(training)

    monkeypatch.setattr(TrainingRun, "between_steps", remove)
    assert main([*TRAIN, "--agent", "none", "--out", str(out)]) == 2
    words = capsys.readouterr().err
    lines = [line for line in words.splitlines() if line and "it/s" not in line and "img/s" not in line]
    assert len(lines) == 1, lines
    assert lines[0].startswith(f"handlatent train: '{out}")
    assert lines[0].endswith(("was removed or renamed while the command ran.", "Files written before are whole."))
    assert not out.exists()


def test_a_checkpoint_makes_no_folder_for_a_run_that_is_gone(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"run' is gone: it was removed or renamed while the command ran"):
        Checkpointer(tmp_path / "run" / "checkpoints", 0).save(1, {})
    assert list(tmp_path.iterdir()) == []
