"""`handlatent train` in two processes, as torchrun starts them, prints, saves and resumes one run."""

import csv
import json
import os
import signal
from pathlib import Path

import in_parallel
import numpy as np
import pytest
import torch
from processes import Job, latest_step
from safetensors.torch import load_file

from agents.cli import main
from agents.commands.train.args import TrainArgs
from agents.commands.train.command import _check
from agents.commands.train.training import TrainingRun
from vae.acceleration import parallel

EPOCHS, STEPS = 10, 5  # steps an epoch
TRAIN = ["train", "--images", "24", "--size", "32", "--batch-size", "4", "--latent-dim", "5", "--agent", "random"]
TRAIN += ["--epochs", str(EPOCHS), "--checkpoint-seconds", "0", "--device", "cpu"]


def curves(run: Path) -> np.ndarray:
    rows = list(csv.DictReader((run / "metrics.csv").read_text().splitlines()))
    names = ("epoch", "loss_nats", "reconstruction_nats", "kl_nats", "validation_loss_nats", "reward", "learning_rate")
    return np.array([[float(row[name]) for name in names] for row in rows])


@pytest.mark.slow(seconds=15)
def test_a_job_with_a_killed_process_ends_and_resumes_on_another_number_of_processes(tmp_path, monkeypatch, capfd):
    whole, out = tmp_path / "whole", tmp_path / "run"
    assert main([*TRAIN, "--out", str(whole)]) == 0

    job = Job(tmp_path / "errors", 2, in_parallel.run, tmp_path, [*TRAIN, "--out", str(out)])
    job.wait_for_step(out / "checkpoints", 2 * STEPS)
    os.kill(int((tmp_path / "pid-1").read_text()), signal.SIGKILL)
    assert job.wait() != 0
    said = [line for line in job.errors.read_text().replace("\r", "\n").splitlines() if "handlatent train" in line]
    assert [line.partition("handlatent train: ")[2] for line in said] == [
        f"{parallel.ENDED} Then continue with: handlatent train --resume {out}"
    ]
    stopped = latest_step(out / "checkpoints")
    assert 2 * STEPS <= stopped <= (EPOCHS - 2) * STEPS, "the run ended before it was killed"

    after_step = TrainingRun.after_step

    def press_ctrl_c(training, *step):
        after_step(training, *step)
        training.checkpoints.ctrl_c.pressed = training.trainer.steps_done == stopped + STEPS + 2

    with monkeypatch.context() as patch:
        patch.setattr(TrainingRun, "after_step", press_ctrl_c)
        assert main(["train", "--resume", str(out)]) == 130
    assert latest_step(out / "checkpoints") == stopped + STEPS + 2

    job = Job(tmp_path / "errors", 2, in_parallel.run, tmp_path, ["train", "--resume", str(out)])
    assert job.wait() == 0, job.errors.read_text()
    assert [(tmp_path / f"out-{rank}").read_text() for rank in range(2)] == [f"{out}\n", ""]
    assert job.errors.read_text().replace("\r", "\n").count("100%|") <= 2  # one bar, and that of the drawing

    np.testing.assert_allclose(curves(out), curves(whole), rtol=1e-3, atol=1e-3)
    assert np.array_equal(curves(out)[:, 0], np.arange(1, EPOCHS + 1))
    ours, theirs = (load_file(run / "vae.safetensors") for run in (out, whole))
    for name, tensor in theirs.items():
        np.testing.assert_allclose(ours[name], tensor, rtol=1e-2, atol=1e-3, err_msg=name)
    files = [{path.name for path in run.iterdir() if not path.name.startswith("events")} for run in (out, whole)]
    assert files[0] == files[1]
    assert len(list(out.glob("events*"))) == 3  # one for each start, and none of those that follow
    settings = [json.loads((run / "config.json").read_text())["settings"] for run in (out, whole)]
    assert settings[0] == {**settings[1], "out": str(out)}


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"agent": "sac-flat"}, "--agent sac-flat learns in one process only"),
        ({"batch_size": 7}, "batch_size must be a multiple of the number of processes, 2, got 7"),
        ({"device": "cuda:1"}, "--device must name no single GPU for several processes, got 'cuda:1'. Use cuda."),
    ],
)
def test_what_several_processes_cannot_do_is_refused(monkeypatch, settings, sentence):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    args = TrainArgs(**{"device": "cpu", **settings})
    _check(args)
    monkeypatch.setattr(parallel, "_group", parallel._Group(rank=0, size=2))
    with pytest.raises(ValueError, match=sentence):
        _check(args)


def test_another_command_is_refused(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(parallel, "_group", parallel._Group(rank=0, size=2))
    assert main(["synth", "--n", "1", "--out", str(tmp_path / "hands")]) == 2
    assert (
        capsys.readouterr().err == "handlatent synth: torchrun starts train and recipe only. Start synth without it.\n"
    )
    assert not (tmp_path / "hands").exists()
