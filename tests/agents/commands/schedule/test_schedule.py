import csv
import itertools
import os
import re
import shutil
import signal
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from damage import flipped
from safetensors.torch import load_file

from agents.cli import main
from agents.commands.schedule import ScheduleArgs, command
from agents.commands.schedule.round_figures import summarise
from agents.commands.schedule.tasks import _pictures, make_tasks
from agents.rl.schedule_agent import load_agent
from hand_env import HandScheduleVectorEnv
from vae.checkpoint import load_checkpoint, save_checkpoint

COURSE = ["--images", "200", "--size", "32", "--latent-dim", "8", "--n", "8", "12", "--batch-size", "4"]
QUICK = [*COURSE, "--rows", "2", "--steps", "4", "--decisions", "2", "--drawn", "8", "--explore", "2", "--rounds", "3"]
QUICK += ["--updates", "2"]
COLUMNS = ["round", "n", "explores", "right", "right_sd"]
COLUMNS += [f"{name}_{part}" for part, name in itertools.product(("first", "last"), ("reach", "mix", "pull"))]


class Brightness:
    """Stands in for the package's rewarding judge, which judges 30 pictures a second on a core."""

    @classmethod
    def load(cls, weights, *, device):
        return cls()

    def correct(self, pictures):
        return pictures.mean((1, 2, 3))


@pytest.fixture
def bright(monkeypatch):
    monkeypatch.setattr(command, "Judge", Brightness)


@pytest.fixture(scope="module")
def pack(tmp_path_factory):
    """Where the first command writes its pictures, and the others read them."""
    return tmp_path_factory.mktemp("pictures") / "pack.safetensors"


def run(pack, out, *words):
    return main(["schedule", *QUICK, "--device", "cpu", "--pack", str(pack), "--out", str(out), *words])


def read_rounds(out):
    return list(csv.DictReader((out / "rounds.csv").read_text().splitlines()))


def test_an_agent_is_trained_that_the_curriculum_reads_and_each_round_has_its_row(bright, pack, capsys, tmp_path):
    assert run(pack, tmp_path) == 0
    said = capsys.readouterr().out
    assert f"The agent is in {tmp_path / 'agent.safetensors'}" in said
    rounds = read_rounds(tmp_path)
    assert list(rounds[0]) == COLUMNS
    assert [(row["round"], row["n"], row["explores"]) for row in rounds] == [
        ("0", "8", "1"),
        ("1", "12", "1"),
        ("2", "8", "0"),
    ]
    for row in rounds:
        assert 0 < float(row["right"]) < 1
        assert 0 <= float(row["reach_first"]) <= 8
    env = HandScheduleVectorEnv(1, n_images=4, latent_dim=8, batch_size=4)
    observation = np.random.default_rng(0).normal(size=(1, 14)).astype(np.float32)
    actions, _ = load_agent(tmp_path / "agent.safetensors").predict(observation, deterministic=True)
    assert env.action_space.contains(actions)


def test_the_same_seed_gives_the_same_agent_bit_for_bit(bright, pack, tmp_path):
    for seed, name in ((3, "first"), (3, "same"), (4, "other")):
        assert run(pack, tmp_path / name, "--n", "8", "--explore", "1", "--rounds", "2", "--seed", str(seed)) == 0
    first, same, other = (load_file(tmp_path / name / "agent.safetensors") for name in ("first", "same", "other"))
    assert all(torch.equal(same[name], tensor) for name, tensor in first.items())
    assert not all(torch.equal(other[name], tensor) for name, tensor in first.items())
    assert read_rounds(tmp_path / "first") == read_rounds(tmp_path / "same")


def test_the_package_s_judge_pays_whole_hands(pack, tmp_path):
    assert run(pack, tmp_path, "--n", "8", "--rows", "1", "--drawn", "4", "--rounds", "1") == 0
    (row,) = read_rounds(tmp_path)
    assert float(row["right"]) in (0, 0.25, 0.5, 0.75, 1)
    assert (tmp_path / "agent.safetensors").is_file()


def test_drawn_hands_are_a_task_of_their_own_with_its_own_steps(bright, pack, tmp_path):
    words = ["--n", "8", "--drawn-n", "12", "--steps", "4", "9", "--rounds", "2"]
    assert run(pack, tmp_path, *words) == 0
    assert [row["n"] for row in read_rounds(tmp_path)] == ["8", "drawn-12"]
    args = ScheduleArgs(images=200, size=32, pack=pack, n=[8], drawn_n=[12], steps=[4, 9], batch_size=4, decisions=2)
    args = replace(args, learning_rate=1e-3, kl_weight=4.0)
    tasks: Any = make_tasks(args, Brightness().correct, "cpu")
    own, drawn = (task.env.env.envs[0].env for task in tasks)  # the first row's HandLatentEnv
    assert [env.training.epochs for env in (own, drawn)] == [2, 3]  # of two and of three steps
    pool = _pictures(args)
    assert {env.training.learning_rate for env in (own, drawn)} == {1e-3}
    assert {env.training.kl_weight for env in (own, drawn)} == {4.0}
    assert is_among(own.images[0], pool)
    assert not is_among(drawn.images[0], pool)


def is_among(picture, pictures):
    return bool((pictures == picture).flatten(1).all(1).any())


def test_a_training_that_was_stopped_ends_bit_for_bit_as_if_it_had_not_been(bright, pack, tmp_path):
    words = ["--drawn-n", "8", "--rows", "2", "--explore", "1"]  # three tasks
    assert run(pack, tmp_path / "whole", *words, "--rounds", "5") == 0
    for rounds in ("1", "4", "5"):
        assert run(pack, tmp_path / "parts", *words, "--rounds", rounds) == 0
    whole, parts = (load_file(tmp_path / name / "agent.safetensors") for name in ("whole", "parts"))
    assert all(torch.equal(parts[name], tensor) for name, tensor in whole.items())
    assert read_rounds(tmp_path / "whole") == read_rounds(tmp_path / "parts")


def test_a_training_that_was_killed_in_its_first_round_s_end_resumes(bright, pack, monkeypatch, tmp_path):
    """First while it wrote the checkpoint, then between the checkpoint and the results."""
    (tmp_path / "checkpoints" / ".partial-0").mkdir(parents=True)
    (tmp_path / "checkpoints" / ".partial-0" / "tensors.safetensors").write_bytes(b"half a checkpoint")

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(command, "save_tensors", killed)
        assert run(pack, tmp_path, "--n", "8", "--rounds", "1") == 130
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoints"]
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["step-1"]
    assert run(pack, tmp_path, "--n", "8", "--rounds", "1") == 0
    assert len(read_rounds(tmp_path)) == 1
    load_agent(tmp_path / "agent.safetensors")


def test_a_damaged_checkpoint_is_one_sentence(bright, pack, capsys, tmp_path):
    words = ["--n", "8", "--rounds", "1"]
    assert run(pack, tmp_path, *words) == 0
    (checkpoint,) = (tmp_path / "checkpoints").iterdir()
    state, whole = load_checkpoint(checkpoint), (checkpoint / "state.json").read_bytes()
    (checkpoint / "state.json").write_bytes(flipped(whole, np.random.default_rng(0)))
    assert run(pack, tmp_path, *words) == 2
    assert "/step-1/state.json' is damaged: " in last_line(capsys)
    for part, odd in {"agent": {}, "generator": {"bit_generator": "?"}, "rows": [{"n": []}]}.items():
        shutil.rmtree(checkpoint)
        save_checkpoint(checkpoint.parent, 1, {**state, part: odd})
        assert run(pack, tmp_path, *words) == 2
        assert f"{part!r} in state.json must fit this training, but " in last_line(capsys)


def last_line(capsys):
    return [line for line in capsys.readouterr().err.splitlines() if not re.search(r"it/s\]|those of --pack", line)][-1]


def test_ctrl_c_saves_the_running_round_and_says_how_to_resume(bright, pack, capsys, monkeypatch, tmp_path):
    learn = command._learn

    def press(*given):
        os.kill(os.getpid(), signal.SIGINT)
        return learn(*given)

    monkeypatch.setattr(command, "_learn", press)
    assert run(pack, tmp_path, "--explore", "0") == 130
    assert "Stopped and saved" in capsys.readouterr().err
    assert len(read_rounds(tmp_path)) == 1


def test_a_folder_with_other_settings_is_not_continued(bright, pack, capsys, tmp_path):
    assert run(pack, tmp_path, "--rounds", "1") == 0
    assert run(pack, tmp_path, "--rounds", "2", "--decisions", "1") == 2
    assert f"--out '{tmp_path}' holds a training with --decisions 2, got 1." in capsys.readouterr().err


def test_a_training_goes_on_with_other_tasks_and_keeps_what_it_saw(bright, pack, tmp_path):
    assert run(pack, tmp_path, "--n", "8", "--rows", "2", "--explore", "1", "--rounds", "1") == 0
    more = ["--n", "12", "--steps", "5", "--batch-size", "6", "--drawn", "9", "--rows", "2", "--explore", "2"]
    assert run(pack, tmp_path, *more, "--updates", "3", "--rounds", "3") == 0
    assert [(row["n"], row["explores"]) for row in read_rounds(tmp_path)] == [("8", "1"), ("12", "1"), ("12", "0")]
    *_, checkpoint = sorted((tmp_path / "checkpoints").glob("step-*/tensors.safetensors"))
    observations = load_file(checkpoint)["/agent/buffer/observations"]  # (3 rounds of 2 decisions, row, 14)
    assert [round(10 ** (4 * float(number))) for number in observations[:, 0, 1]] == [8, 8, 12, 12, 12, 12]
    assert load_checkpoint(checkpoint.parent)["agent"]["counts"][1] == 2 * 3  # updates: 3 for each of 2 decisions


def test_no_round_begins_that_would_end_too_late(bright, pack, tmp_path):
    assert run(pack, tmp_path, "--seconds", "0.001") == 0
    assert len(read_rounds(tmp_path)) == 1


def test_rows_that_diverged_are_left_out_of_a_round_s_means():
    done: dict[str, Any] = {"drawn_wrong": 0.75, "reach": 2.0, "mix": 0.1, "pull": 0.0}
    diverged = {name: 1.0 for name in done} | {"terminal_observation": np.zeros(14), "TimeLimit.truncated": False}
    last = done | {"terminal_observation": np.zeros(14), "TimeLimit.truncated": True}
    means = summarise([[diverged, done], [last, diverged]])
    assert (means["right"], means["right_sd"], means["reach_first"], means["reach_last"]) == (0.25, 0, 2, 2)
    assert np.isnan(summarise([[diverged]])["right"])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--n", "8", "2"], "--n must list numbers of at least --batch-size, 4, got [8, 2]."),
        (["--n", "41"], "--n must be at most 40, the pictures of validation and test people, got 41."),
        (["--steps", "0"], "--steps must be one number of at least 1, or one for each of 2 tasks, got [0]."),
        (["--steps", "4", "4", "4"], "or one for each of 2 tasks, got [4, 4, 4]."),
        (["--n"], "--n or --drawn-n must list at least one number, got none."),
        (["--drawn-n", "3"], "--drawn-n must list numbers of at least --batch-size, 4, got [3]."),
        (["--decisions", "0"], "--decisions must be at least 1, got 0."),
        (["--rows", "0"], "--rows must be at least 1, got 0."),
        (["--updates", "0"], "--updates must be at least 1, got 0."),
        (["--learning-rate", "0"], "--learning-rate must be a finite number above 0, got 0.0."),
        (["--kl-weight", "-1"], "--kl-weight must be at least 0, got -1.0."),
        (["--drawn", "0"], "--drawn must be at least 1, got 0."),
        (["--rounds", "0"], "--rounds must be at least 1, got 0."),
        (["--batch-size", "0"], "--batch-size must be at least 1, got 0."),
        (["--explore", "-1"], "--explore must be at least 0, got -1."),
        (["--seed", "-1"], "--seed must lie in 0..4294967295, got -1."),
        (["--seed", "99999999999"], "--seed must lie in 0..4294967295, got 99999999999."),
        (["--seconds", "-1"], "--seconds must be at least 0, got -1.0."),
        (["--size", "48"], "--size must be one of 32, 64, 128, 256, got 48."),
        (["--latent-dim", "0"], "--latent-dim must lie in 1..4096, got 0."),
        (["--device", "cuda:99"], "device 'cuda:99' is not on this machine"),
        (["--parser", "absent"], "'absent' is missing"),
    ],
)
def test_a_wrong_setting_is_one_sentence(pack, capsys, tmp_path, words, said):
    assert run(pack, tmp_path / "out", *words) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if not re.search(r"it/s\]|those of --pack", line)]
    assert len(lines) == 1, lines
    assert said in lines[0]
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("bright")
def test_vaes_that_all_diverge_are_one_sentence(pack, tmp_path, capsys):
    assert run(pack, tmp_path / "out", "--learning-rate", "1e38") == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert "All VAEs of round 0 diverged. Start again with another --out, and with a lower --learning-rate" in said
