"""The main job, killed, interrupted and resumed as a user would, in processes of their own."""

import csv
import json
import signal
import time
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from PIL import Image
from processes import Command
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from agents.commands.train.args import TrainArgs
from agents.commands.train.command import train
from agents.commands.train.training import TrainingRun
from agents.rl.sac import SETTINGS
from agents.runs.ctrl_c import Interrupted
from agents.runs.training_log import METRICS

LATE, EARLY = SETTINGS["learning_starts"], 8  # steps before SAC learns: in processes of their own, and in this one
QUICK = {"images": 24, "size": 32, "epochs": 6, "batch_size": 4, "latent_dim": 5, "device": "cpu"}
RESULTS = {"config.json", "metrics.csv", "vae.safetensors", "sampler.safetensors", "grid.png", "report.json"}
SAC_TOO = {"agent.zip", "agent.safetensors"}
LONG = {**QUICK, "epochs": 32}  # in a process of its own, SAC has begun to learn at step 110 of 160


@pytest.fixture(autouse=True)
def sac_learns_early(monkeypatch):
    monkeypatch.setitem(SETTINGS, "learning_starts", EARLY)


def flags(**settings: object) -> list[str]:
    return [word for name, value in settings.items() for word in (f"--{name.replace('_', '-')}", str(value))]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Runs that nothing stopped, never to be written to; each is trained once, in this process."""
    runs: dict[tuple[object, ...], Path] = {}

    def run(agent: Literal["none", "random", "sac"], settings=QUICK, learning_starts: int = EARLY) -> Path:
        key = (agent, learning_starts, *settings.values())
        if key not in runs:
            with pytest.MonkeyPatch.context() as patch:
                patch.setitem(SETTINGS, "learning_starts", learning_starts)
                runs[key] = train(TrainArgs(**settings, agent=agent, out=tmp_path_factory.mktemp(agent) / "run"))
        return runs[key]

    return run


@pytest.mark.parametrize("agent", ["none", "random", "sac"])
def test_a_run_folder_holds_all_that_is_needed_to_repeat_the_run(whole, agent):
    run = whole(agent)
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


def test_tensorboard_gets_every_metric_and_grids_of_pictures(whole):
    events = EventAccumulator(str(whole("none"))).Reload()
    assert {"loss_nats", "kl_nats", "reward", "validation_loss_nats"} <= set(events.Tags()["scalars"])
    assert [event.step for event in events.Scalars("loss_nats")] == [1, 2, 3, 4, 5, 6]
    assert set(events.Tags()["images"]) == {"samples_standard_normal", "pictures_and_reconstructions"}


def test_same_seed_gives_the_same_run(tmp_path, whole):
    assert_same_results(whole("sac"), train(TrainArgs(**QUICK, agent="sac", out=tmp_path / "run")))


@pytest.mark.slow
@pytest.mark.parametrize("agent", ["random", "sac"])
def test_a_killed_run_resumes_and_ends_bit_for_bit_as_if_it_had_not_been_killed(tmp_path, whole, agent):
    killed, errors = tmp_path / "killed", tmp_path / "errors"
    process = Command(errors, "train", *flags(**LONG, agent=agent, checkpoint_seconds=0, out=killed))
    for step in (40, 110):  # twice, since a resumed run must resume too
        process.wait_for_step(killed / "checkpoints", step)
        time.sleep(0.05)
        assert process.send(signal.SIGKILL) == -signal.SIGKILL, "the run ended before it was killed"
        process = Command(errors, "train", "--resume", killed)
    assert process.wait() == 0, errors.read_text()
    assert_same_results(whole(agent, LONG, LATE), killed)


@pytest.mark.slow
@pytest.mark.parametrize("agent", ["none", "sac"])
def test_ctrl_c_saves_and_says_how_to_go_on_and_going_on_ends_the_same(tmp_path, whole, agent):
    stopped, errors = tmp_path / "stopped", tmp_path / "errors"
    process = Command(errors, "train", *flags(**LONG, agent=agent, checkpoint_seconds=0, out=stopped))
    process.wait_for_step(stopped / "checkpoints", 110)
    assert process.send(signal.SIGINT) == 130, errors.read_text()
    said = errors.read_text()
    assert said.rstrip().splitlines()[-1] == f"Stopped and saved. Continue with: handlatent train --resume {stopped}"
    assert "Traceback" not in said
    assert Command(errors, "train", "--resume", stopped).wait() == 0, errors.read_text()
    assert_same_results(whole(agent, LONG, LATE), stopped)


def test_ctrl_c_just_before_the_last_step_is_not_taken_for_the_end(tmp_path, whole, monkeypatch):
    settings = {**QUICK, "epochs": 5}  # 25 steps: the last begins a rollout of SAC's four
    between_steps = TrainingRun.between_steps

    def press(training):
        training.checkpoints.ctrl_c.pressed = training.trainer.steps_done == training.trainer.total_steps - 1
        between_steps(training)

    monkeypatch.setattr(TrainingRun, "between_steps", press)
    with pytest.raises(Interrupted, match="Continue with: handlatent train --resume"):
        train(TrainArgs(**settings, agent="sac", out=tmp_path / "stopped"))
    monkeypatch.setattr(TrainingRun, "between_steps", between_steps)
    assert_same_results(whole("sac", settings), train(TrainArgs(resume=tmp_path / "stopped")))


def test_a_diverging_vae_ends_the_run_with_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr("vae.training.gaussian_reconstruction", lambda decoded, *_: decoded.sum((1, 2, 3)) * torch.nan)
    with pytest.raises(ValueError, match=r"The VAE diverged in epoch 1 of .*\. Lower --learning-rate, now 0\.0005"):
        train(TrainArgs(**QUICK, agent="sac", out=tmp_path / "run"))


def test_a_run_killed_before_its_first_checkpoint_starts_from_its_settings(tmp_path, whole):
    run = whole("none")
    cut = tmp_path / "cut"
    cut.mkdir()
    (cut / "config.json").write_text((run / "config.json").read_text().replace(str(run), str(cut)))
    train(TrainArgs(resume=cut))
    assert_same_results(run, cut)


@pytest.mark.slow
def test_the_main_job_runs_on_photographs(tmp_path, photographs):
    settings = {**QUICK, "images": 300, "epochs": 4, "batch_size": 16, "latent_dim": 64}
    run = train(TrainArgs(**settings, data=str(photographs), out=tmp_path / "run"))
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
