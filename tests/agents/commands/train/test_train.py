"""The main job, killed, interrupted and resumed as a user would, in processes of their own."""

import csv
import itertools
import json
import shutil
import signal
import time
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from PIL import Image
from processes import Command
from safetensors.torch import load_file, save_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from agents import draw_hands, load_run
from agents.commands.train.args import TrainArgs
from agents.commands.train.command import train
from agents.commands.train.training import TrainingRun
from agents.rl.sac import SETTINGS
from agents.rl.schedule_agent import N_DRAWN, PACKAGED, PACKAGED_FOR_DRAWN, load_agent
from agents.runs.ctrl_c import Interrupted
from agents.runs.pictures import Choice, gather
from agents.runs.training_log import METRICS
from hand_env import HandScheduleEnv
from hand_env.anatomy import Judge

LATE, EARLY = SETTINGS["learning_starts"], 8  # steps before SAC learns: in processes of their own, and in this one
QUICK = {"images": 24, "size": 32, "epochs": 6, "batch_size": 4, "latent_dim": 5, "device": "cpu"}
AS_SCHEDULE = {
    **QUICK,
    "epochs": 9,
    "batch_size": 8,
    "kl_weight": 4.0,
}  # 4 stretches of two epochs of 3 steps, and one of one
RESULTS = {
    "config.json",
    "metrics.csv",
    "vae.safetensors",
    "sampler.safetensors",
    "grid.png",
    "curves.png",
    "report.json",
}
TOO = {"sac": {"agent.safetensors"}, "sac-flat": {"agent.zip", "agent.safetensors"}}
LONG = {**QUICK, "epochs": 32}  # in a process of its own, SAC has begun to learn at step 110 of 160
HALF = {**QUICK, "epochs": 15}  # who does not learn can be stopped at step 30 of 75
STOPPED = {"none": (HALF, 10, 30), "random": (HALF, 10, 30), "sac-flat": (LONG, 40, 110)}


@pytest.fixture(autouse=True)
def sac_learns_early(monkeypatch):
    monkeypatch.setitem(SETTINGS, "learning_starts", EARLY)


def bright(_: Judge, pictures: torch.Tensor) -> torch.Tensor:
    """Stands in for the rewarding judge's verdicts, which take seconds a decision."""
    return pictures.mean((1, 2, 3))


@pytest.fixture(autouse=True)
def drawn_hands_are_judged_in_no_time(monkeypatch):
    monkeypatch.setattr(Judge, "correct", bright)


def flags(**settings: object) -> list[str]:
    return [word for name, value in settings.items() for word in (f"--{name.replace('_', '-')}", str(value))]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Runs that nothing stopped, never to be written to; each is trained once, in this process."""
    runs: dict[tuple[object, ...], Path] = {}

    def run(agent: Literal["none", "random", "sac", "sac-flat"], settings=QUICK, learning_starts: int = EARLY) -> Path:
        key = (agent, learning_starts, *settings.values())
        if key not in runs:
            with pytest.MonkeyPatch.context() as patch:
                patch.setitem(SETTINGS, "learning_starts", learning_starts)
                patch.setattr(Judge, "correct", bright)
                runs[key] = train(TrainArgs(**settings, agent=agent, out=tmp_path_factory.mktemp(agent) / "run"))
        return runs[key]

    return run


@pytest.mark.parametrize("agent", ["none", "random", "sac", "sac-flat"])
def test_a_run_folder_holds_all_that_is_needed_to_repeat_the_run(whole, agent):
    run = whole(agent)
    expected = RESULTS | TOO.get(agent, set())
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
        assert (rows[-1][column] != "") == (agent == "sac-flat")
    for column in ("reach", "mix", "pull", "drawn_wrong"):
        assert all((row[column] != "") == (agent == "sac") for row in rows)
    measured = ["loss_nats", "kl_nats", "reward", "validation_loss_nats", *(["drawn_wrong"] if agent == "sac" else [])]
    for row, column in itertools.product(rows, measured):
        low, value, high = (float(row[f"{column}{end}"]) for end in ("_low", "", "_high"))
        assert low <= value <= high
        assert low < high or column != "loss_nats"
    report = json.loads((run / "report.json").read_text())
    assert report["pictures"]["images"] == 24
    assert report["pictures"]["train"] + report["pictures"]["validation"] + report["pictures"]["test"] == 24
    assert report["images_per_second"] > 0
    panels = 1 if agent in ("none", "sac") else 2
    assert read_picture(run / "grid.png").shape[1::-1] == (panels * (5 * 130 + 2 + 12), 4 * 130 + 2 + 24)


def test_tensorboard_gets_every_metric_and_grids_of_pictures(whole):
    events = EventAccumulator(str(whole("none"))).Reload()
    assert {"loss_nats", "kl_nats", "reward", "validation_loss_nats"} <= set(events.Tags()["scalars"])
    assert [event.step for event in events.Scalars("loss_nats")] == [1, 2, 3, 4, 5, 6]
    assert set(events.Tags()["images"]) == {"samples_standard_normal", "pictures_and_reconstructions"}


def test_same_seed_gives_the_same_run(tmp_path, whole):
    assert_same_results(whole("sac-flat"), train(TrainArgs(**QUICK, agent="sac-flat", out=tmp_path / "run")))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("agent", "signals"),
    [("random", (signal.SIGKILL, signal.SIGTERM)), ("sac-flat", (signal.SIGHUP, signal.SIGKILL))],
)
def test_a_killed_run_resumes_and_ends_bit_for_bit_as_if_it_had_not_been_killed(tmp_path, whole, agent, signals):
    killed, errors = tmp_path / "killed", tmp_path / "errors"
    settings, *steps = STOPPED[agent]  # twice, since a resumed run must resume too
    process = Command(errors, "train", *flags(**settings, agent=agent, checkpoint_seconds=0, out=killed))
    for step, number in zip(steps, signals, strict=True):
        process.wait_for_step(killed / "checkpoints", step)
        time.sleep(0.05)
        assert process.send(number) == -number, "the run ended before it was killed"
        process = Command(errors, "train", "--resume", killed)
    assert process.wait() == 0, errors.read_text()
    assert_same_results(whole(agent, settings, LATE), killed)


def test_a_run_that_was_killed_before_it_kept_its_agent_resumes(tmp_path, whole, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("agents.commands.train.training.save_tensors", killed)
        with pytest.raises(KeyboardInterrupt):
            train(TrainArgs(**QUICK, agent="sac", agent_weights=PACKAGED_FOR_DRAWN, out=tmp_path / "run"))
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["config.json"]
    assert_same_results(whole("sac"), train(TrainArgs(resume=tmp_path / "run")))


@pytest.mark.slow
@pytest.mark.parametrize("agent", ["none", "sac-flat"])
def test_ctrl_c_saves_and_says_how_to_go_on_and_going_on_ends_the_same(tmp_path, whole, agent):
    stopped, errors = tmp_path / "stopped", tmp_path / "errors"
    settings, _, step = STOPPED[agent]
    process = Command(errors, "train", *flags(**settings, agent=agent, checkpoint_seconds=0, out=stopped))
    process.wait_for_step(stopped / "checkpoints", step)
    assert process.send(signal.SIGINT) == 130, errors.read_text()
    said = errors.read_text()
    assert said.rstrip().splitlines()[-1] == f"Stopped and saved. Continue with: handlatent train --resume {stopped}"
    assert "Traceback" not in said
    assert Command(errors, "train", "--resume", stopped).wait() == 0, errors.read_text()
    assert_same_results(whole(agent, settings, LATE), stopped)


def test_ctrl_c_just_before_the_last_step_is_not_taken_for_the_end(tmp_path, whole, monkeypatch):
    settings = {**QUICK, "epochs": 5}  # 25 steps: the last begins a rollout of SAC's four
    between_steps = TrainingRun.between_steps

    def press(training):
        training.checkpoints.ctrl_c.pressed = training.trainer.steps_done == training.trainer.total_steps - 1
        between_steps(training)

    monkeypatch.setattr(TrainingRun, "between_steps", press)
    with pytest.raises(Interrupted, match="Continue with: handlatent train --resume"):
        train(TrainArgs(**settings, agent="sac-flat", out=tmp_path / "stopped"))
    monkeypatch.setattr(TrainingRun, "between_steps", between_steps)
    assert_same_results(whole("sac-flat", settings), train(TrainArgs(resume=tmp_path / "stopped")))


def test_the_agent_that_pays_trains_the_vae_as_in_hand_schedule(whole):
    run = whole("sac", AS_SCHEDULE)
    pictures = gather(Choice("synthetic", 24, 32, "all", "all", "include", "include", 0)).train
    env = HandScheduleEnv(
        pictures,
        batch_size=8,
        latent_dim=5,
        epochs_per_episode=9,
        epochs_per_step=2,
        training={"kl_weight": 4.0},
        judge=partial(bright, None),
        n_drawn=N_DRAWN,
        drawn_from="mixture",
    )
    observation, _ = env.reset(seed=0)
    policy, truncated, decisions = load_agent(PACKAGED_FOR_DRAWN), False, []
    while not truncated:
        before = {"drawn_wrong": float(observation[10])}
        action, _ = policy.predict(observation, deterministic=True)
        observation, _, _, truncated, info = env.step(action)
        decisions += 2 * [before | {name: info[name] for name in ("reach", "mix", "pull")}]
    weights, expected = load_file(run / "vae.safetensors"), env.env.trainer.averaged_vae.state_dict()
    assert all(torch.equal(weights[name], expected[name]) for name in expected)
    rows = list(csv.DictReader((run / "metrics.csv").read_text().splitlines()))
    for row, decision in zip(rows, decisions[: len(rows)], strict=True):
        assert {name: float(row[name]) for name in decision} == pytest.approx(decision)


@pytest.mark.parametrize("stops", ["in the middle of a stretch", "between two decisions", "killed"])
def test_a_stopped_run_of_the_agent_that_pays_resumes_bit_for_bit(tmp_path, whole, monkeypatch, stops):
    stopped, between_steps = tmp_path / "stopped", TrainingRun.between_steps
    at = {"in the middle of a stretch": 10, "between two decisions": 12, "killed": 17}[stops]

    def stop(training):
        if training.trainer.steps_done == at:
            if stops == "killed":  # the last checkpoint is that of the last epoch's end
                raise RuntimeError("killed")
            training.checkpoints.ctrl_c.pressed = True
        between_steps(training)

    monkeypatch.setattr(TrainingRun, "between_steps", stop)
    with pytest.raises(RuntimeError if stops == "killed" else Interrupted):
        train(TrainArgs(**AS_SCHEDULE, agent="sac", checkpoint_seconds=0, out=stopped))
    monkeypatch.setattr(TrainingRun, "between_steps", between_steps)
    assert_same_results(whole("sac", AS_SCHEDULE), train(TrainArgs(resume=stopped)))


def test_an_agent_of_one_s_own_acts_and_stays_in_the_run(tmp_path, whole):
    weights = {name: value + 0.1 for name, value in load_agent().state_dict().items()}
    save_file(weights, tmp_path / "own.safetensors")
    run = train(TrainArgs(**QUICK, agent="sac", agent_weights=tmp_path / "own.safetensors", out=tmp_path / "run"))
    kept = load_file(run / "agent.safetensors")
    assert all(torch.equal(kept[name], weights[name]) for name in weights)
    reaches = [(path / "metrics.csv").read_text() for path in (run, whole("sac"))]
    assert reaches[0] != reaches[1]


def test_the_packaged_agents_act_on_the_kind_of_pictures_that_each_is_for(tmp_path, whole):
    generator = np.random.default_rng(0)
    for number in range(8):
        Image.fromarray(generator.integers(256, size=(32, 32, 3), dtype=np.uint8)).save(tmp_path / f"{number}.png")
    own = {**QUICK, "images": None, "data": str(tmp_path), "epochs": 1}
    on_folder = train(TrainArgs(**own, agent="sac", out=tmp_path.with_name("run")))
    for run, packaged in ((whole("sac"), PACKAGED_FOR_DRAWN), (on_folder, PACKAGED)):
        kept, expected = load_file(run / "agent.safetensors"), load_file(packaged)
        assert all(torch.equal(kept[name], expected[name]) for name in expected)


def test_hands_are_drawn_from_the_sampler_without_the_agent_that_acted_in_training(whole):
    run = load_run(whole("sac"))
    drawn = draw_hands(3, run=run)
    assert torch.equal(drawn.latents, run.samplers["mixture"].sample(3, 0))
    assert drawn.record["agent"] == "none"


def test_a_run_whose_agent_sac_was_the_flat_one_draws_and_resumes_as_before(tmp_path, whole, monkeypatch):
    finished, stopped = tmp_path / "finished", tmp_path / "stopped"
    shutil.copytree(whole("sac-flat"), finished)
    between_steps = TrainingRun.between_steps

    def press(training):
        training.checkpoints.ctrl_c.pressed = training.trainer.steps_done == 20
        between_steps(training)

    monkeypatch.setattr(TrainingRun, "between_steps", press)
    with pytest.raises(Interrupted):
        train(TrainArgs(**QUICK, agent="sac-flat", out=stopped))
    monkeypatch.setattr(TrainingRun, "between_steps", between_steps)
    for run in (finished, stopped):
        config = json.loads((run / "config.json").read_text())
        del config["settings"]["agent_weights"], config["sha256"]  # which such runs lack
        config["settings"]["agent"] = "sac"
        (run / "config.json").write_text(json.dumps(config))
    with pytest.warns(FutureWarning, match="its agent 'sac' is now called 'sac-flat'"):
        drawn = draw_hands(3, run=load_run(finished))
    assert torch.equal(drawn.latents, draw_hands(3, run=load_run(whole("sac-flat"))).latents)
    assert drawn.record["agent"] == "sac-flat"
    with pytest.warns(FutureWarning, match="its agent 'sac' is now called 'sac-flat'"):
        assert_same_results(whole("sac-flat"), train(TrainArgs(resume=stopped)))


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"agent": "none", "agent_weights": Path("a")}, "--agent-weights belongs to --agent sac, got 'none'"),
        ({"agent": "sac", "delta_scale": 2.0}, "--delta-scale belongs to --agent random and sac-flat"),
        ({"agent": "sac", "agent_weights": Path("absent")}, "--agent-weights 'absent' must be the file of a trained"),
    ],
)
def test_settings_that_do_not_belong_to_the_agent_are_refused(tmp_path, settings, sentence):
    with pytest.raises((ValueError, FileNotFoundError), match=sentence):
        train(TrainArgs(**QUICK, **settings, out=tmp_path / "run"))
    assert not (tmp_path / "run" / "config.json").exists()


@pytest.mark.parametrize(
    ("settings", "ways"),
    [
        ({"agent": "none"}, "a lower --learning-rate than 0.0005."),
        (
            {"agent": "random", "kl_weight": 4.0},
            "a lower --learning-rate than 0.0005, or a lower --kl-weight than 4.0, or a lower --delta-scale than 0.1.",
        ),
    ],
)
def test_a_diverging_vae_ends_the_run_with_a_sentence(tmp_path, monkeypatch, settings, ways):
    monkeypatch.setattr("vae.training.gaussian_reconstruction", lambda decoded, *_: decoded.sum((1, 2, 3)) * torch.nan)
    with pytest.raises(ValueError, match=r"The VAE diverged in epoch 1 of .*\. Start again") as caught:
        train(TrainArgs(**QUICK, **settings, out=tmp_path / "run"))
    assert str(caught.value).endswith(f"Start again with another --out, and with {ways}")
    with pytest.raises(ValueError, match="already holds a run"):  # so the advice needs another --out
        train(TrainArgs(**QUICK, learning_rate=1e-4, agent="none", out=tmp_path / "run"))


def test_a_run_killed_before_its_first_checkpoint_starts_from_its_settings(tmp_path, whole):
    run = whole("none")
    cut = tmp_path / "cut"
    cut.mkdir()
    shutil.copyfile(run / "config.json", cut / "config.json")
    train(TrainArgs(resume=cut))
    assert_same_results(run, cut)


@pytest.mark.slow
@pytest.mark.usefixtures("real_channels")
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
