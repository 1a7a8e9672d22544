"""The main job, killed, interrupted and resumed as a user would, in processes of their own."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from agents.commands.train.args import TrainArgs
from agents.commands.train.command import train
from agents.commands.train.training import TrainingRun
from agents.rl.sac import SETTINGS
from agents.runs.ctrl_c import Interrupted
from agents.runs.training_log import METRICS


@pytest.fixture(autouse=True)
def sac_learns_early(monkeypatch):
    monkeypatch.setitem(SETTINGS, "learning_starts", 8)  # in this process; runs in processes of their own are longer


QUICK = {"images": 24, "size": 32, "epochs": 6, "batch_size": 4, "latent_dim": 5, "device": "cpu"}
RESULTS = {"config.json", "metrics.csv", "vae.safetensors", "sampler.safetensors", "grid.png", "report.json"}
SAC_TOO = {"agent.zip", "agent.safetensors"}


def command(*words: object) -> list[str]:
    return [sys.executable, "-m", "agents.cli", *map(str, words)]


def flags(**settings: object) -> list[str]:
    return [word for name, value in settings.items() for word in (f"--{name.replace('_', '-')}", str(value))]


def start(*words: object) -> "subprocess.Popen[str]":
    return subprocess.Popen(command(*words), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def latest_step(path: Path) -> int:
    names = [child.name for child in path.iterdir()] if path.is_dir() else []
    return max((int(name[5:]) for name in names if name.startswith("step-")), default=-1)


def wait_for_step(path: Path, step: int, process: "subprocess.Popen[str]") -> None:
    """Wait as long as the process runs: no limit that a busy machine would break."""
    while latest_step(path) < step:
        assert process.poll() is None, f"ended before step {step}: {process.communicate()}"
        time.sleep(0.02)


@pytest.mark.parametrize("agent", ["none", "random", "sac"])
def test_a_run_folder_holds_all_that_is_needed_to_repeat_the_run(tmp_path, agent):
    run = train(TrainArgs(**QUICK, agent=agent, out=tmp_path / "run"))
    expected = RESULTS | (SAC_TOO if agent == "sac" else set())
    names = {path.name for path in run.iterdir() if not path.name.startswith("events.")}
    assert names == expected
    config = json.loads((run / "config.json").read_text())
    assert config["settings"]["seed"] == 0
    assert config["settings"]["agent"] == agent
    assert {"python", "torch", "gymnasium", "stable-baselines3"} <= set(config["versions"])
    rows = list(csv.DictReader((run / "metrics.csv").read_text().splitlines()))
    assert list(rows[0]) == list(METRICS)
    assert [int(row["epoch"]) for row in rows] == [1, 2, 3, 4, 5, 6]
    for column in ("entropy_coefficient", "critic_loss", "actor_loss"):
        assert (rows[-1][column] != "") == (agent == "sac")
    report = json.loads((run / "report.json").read_text())
    assert report["pictures"]["images"] == 24
    assert report["pictures"]["train"] + report["pictures"]["validation"] + report["pictures"]["test"] == 24
    assert report["images_per_second"] > 0
    panels = 1 if agent == "none" else 2
    assert read_picture(run / "grid.png").shape[1::-1] == (panels * (5 * 130 + 2 + 12), 4 * 130 + 2 + 24)


def test_tensorboard_gets_every_metric_and_grids_of_pictures(tmp_path):
    run = train(TrainArgs(**QUICK, agent="none", out=tmp_path / "run"))
    events = EventAccumulator(str(run)).Reload()
    assert {"loss_nats", "kl_nats", "reward", "validation_loss_nats"} <= set(events.Tags()["scalars"])
    assert [event.step for event in events.Scalars("loss_nats")] == [1, 2, 3, 4, 5, 6]
    assert set(events.Tags()["images"]) == {"samples_standard_normal", "pictures_and_reconstructions"}


def test_same_seed_gives_the_same_run(tmp_path):
    first, same = (train(TrainArgs(**QUICK, agent="sac", out=tmp_path / name)) for name in ("a", "b"))
    assert_same_results(first, same)


@pytest.mark.slow
@pytest.mark.parametrize("agent", ["random", "sac"])
def test_a_killed_run_resumes_and_ends_bit_for_bit_as_if_it_had_not_been_killed(tmp_path, agent):
    settings = flags(**{**QUICK, "epochs": 60}, agent=agent, checkpoint_seconds=0)
    subprocess.run(command("train", *settings, "--out", tmp_path / "whole"), check=True, capture_output=True)
    killed = tmp_path / "killed"
    process = start("train", *settings, "--out", killed)
    for step in (40, 110):  # far enough for SAC to have learned; twice, since a resumed run must resume too
        wait_for_step(killed / "checkpoints", step, process)
        time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL, "the run ended before it was killed"
        process = start("train", "--resume", killed)
    _, errors = process.communicate()
    assert process.returncode == 0, errors
    assert_same_results(tmp_path / "whole", killed)


@pytest.mark.slow
@pytest.mark.parametrize("agent", ["none", "sac"])
def test_ctrl_c_saves_and_says_how_to_go_on_and_going_on_ends_the_same(tmp_path, agent):
    settings = flags(**{**QUICK, "epochs": 60}, agent=agent, checkpoint_seconds=0)
    subprocess.run(command("train", *settings, "--out", tmp_path / "whole"), check=True, capture_output=True)
    stopped = tmp_path / "stopped"
    process = start("train", *settings, "--out", stopped)
    wait_for_step(stopped / "checkpoints", 110, process)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate()
    assert process.returncode == 130, errors
    assert errors.rstrip().splitlines()[-1] == f"Stopped and saved. Continue with: handlatent train --resume {stopped}"
    assert "Traceback" not in errors
    subprocess.run(command("train", "--resume", stopped), check=True, capture_output=True)
    assert_same_results(tmp_path / "whole", stopped)


def test_ctrl_c_just_before_the_last_step_is_not_taken_for_the_end(tmp_path, monkeypatch):
    settings = {
        **QUICK,
        "epochs": 5,
        "agent": "sac",
    }  # 25 steps: the last begins a rollout of SAC's four
    whole, between_steps = train(TrainArgs(**settings, out=tmp_path / "whole")), TrainingRun.between_steps

    def press(training):
        training.checkpoints.ctrl_c.pressed = training.trainer.steps_done == training.trainer.total_steps - 1
        between_steps(training)

    monkeypatch.setattr(TrainingRun, "between_steps", press)
    with pytest.raises(Interrupted, match="Continue with: handlatent train --resume"):
        train(TrainArgs(**settings, out=tmp_path / "stopped"))
    monkeypatch.setattr(TrainingRun, "between_steps", between_steps)
    assert_same_results(whole, train(TrainArgs(resume=tmp_path / "stopped")))


def test_a_diverging_vae_ends_the_run_with_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr("vae.training.gaussian_reconstruction", lambda decoded, *_: decoded.sum((1, 2, 3)) * torch.nan)
    with pytest.raises(ValueError, match=r"The VAE diverged in epoch 1 of .*\. Lower --learning-rate, now 0\.0005"):
        train(TrainArgs(**QUICK, agent="sac", out=tmp_path / "run"))


def test_a_run_killed_before_its_first_checkpoint_starts_from_its_settings(tmp_path):
    whole = train(TrainArgs(**QUICK, agent="none", out=tmp_path / "whole"))
    cut = tmp_path / "cut"
    cut.mkdir()
    (cut / "config.json").write_text((whole / "config.json").read_text().replace(str(whole), str(cut)))
    train(TrainArgs(resume=cut))
    assert_same_results(whole, cut)


@pytest.mark.skipif("HANDLATENT_DATA" not in os.environ, reason="needs the photographs")
@pytest.mark.slow
def test_the_main_job_runs_on_photographs(tmp_path):
    data = Path(os.environ["HANDLATENT_DATA"]) / "11k-hands"
    settings = {**QUICK, "images": 300, "epochs": 8, "latent_dim": 64}
    run = train(TrainArgs(**settings, data=str(data), out=tmp_path / "run"))
    report = json.loads((run / "report.json").read_text())
    assert report["pictures"]["images"] == 300
    assert report["pictures"]["train_people"] > 50
    assert any("rows of HandInfo.csv have no picture" in note for note in report["notes"])
    losses = [float(row["loss_nats"]) for row in csv.DictReader((run / "metrics.csv").read_text().splitlines())]
    assert losses[-1] < losses[0] - 1500


def read_picture(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture)


def assert_same_results(first: Path, second: Path) -> None:
    names = sorted(path.name for path in first.glob("*.safetensors"))
    assert names == sorted(path.name for path in second.glob("*.safetensors"))
    for name in names:
        a, b = load_file(first / name), load_file(second / name)
        assert a.keys() == b.keys()
        assert all(torch.equal(a[key], b[key]) for key in a), name
    assert np.array_equal(read_picture(first / "grid.png"), read_picture(second / "grid.png"))
    rows = [list(csv.DictReader((run / "metrics.csv").read_text().splitlines())) for run in (first, second)]
    for row in (*rows[0], *rows[1]):
        del row["images_per_second"]  # the one metric that the clock decides
    assert rows[0] == rows[1]
