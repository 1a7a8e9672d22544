import io
import shlex
import signal
from concurrent.futures.process import BrokenProcessPool
from contextlib import redirect_stdout
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch
from processes import Command, latest_step

from agents.cli import main
from agents.commands.judge.train import JudgeTrainArgs, judge_train
from agents.runs.ctrl_c import Interrupted
from hand_env.anatomy.judge import Judge
from hand_env.anatomy.training import JudgeTrainer, JudgeTraining
from hand_env.anatomy.training.validate import Examples
from vae.checkpoint import save_checkpoint
from vae.images.labelled.synthetic_pool import SyntheticPool
from vae.progress import show_progress

QUICK: dict[str, Any] = {
    "imitation_seconds": 0,
    "drawing_seconds": 1,
    "drawn": 32,
    "capacity": 64,
    "batch": 8,
    "workers": 0,
}
QUICK |= {"examples": 1, "device": "cpu"}


def few_kinds(*arguments):
    """All kinds of validation pictures take ten seconds."""
    examples = Examples(*arguments)
    names = ("photographs", "edit erase", "mix shuffled", "drawn none", "smeared photographs")
    examples.kinds = {name: examples.kinds[name] for name in names}
    return examples


@pytest.fixture
def quick(judge_pack, grounds, monkeypatch):
    """Settings of a training that takes seconds."""
    monkeypatch.setattr("hand_env.anatomy.training.train.NEAR", 4)  # 64 cost more than the batch itself
    monkeypatch.setattr("hand_env.anatomy.training.train.Examples", few_kinds)
    return {**QUICK, "pack": judge_pack, "grounds": grounds, "architecture": "reporter"}


@pytest.mark.slow(seconds=30)
@pytest.mark.parametrize("architecture", ["parser", "reporter"])
def test_a_quick_training_writes_a_judge_and_resumes(quick, tmp_path, monkeypatch, capsys, architecture):
    finish, finished = JudgeTrainer.finish, []

    def noted(trainer):
        finished.append(trainer.steps)
        return finish(trainer)

    if architecture == "reporter":  # the other network takes three times as long
        monkeypatch.setattr("hand_env.anatomy.training.train.Examples", Examples)
    monkeypatch.setattr(JudgeTrainer, "finish", noted)
    monkeypatch.setattr("agents.commands.judge.train.JudgeTraining", partial(JudgeTraining, every=0.1))
    settings = {**quick, "imitation_seconds": 0.01, "architecture": architecture, "out": tmp_path}
    path = judge_train(JudgeTrainArgs(**settings, seconds=1.0))
    assert finished == sorted(set(finished))  # no step is validated twice, not even the last, when `every` is over
    judge = Judge.load(path)
    assert judge.calibration.architecture == architecture
    assert path.stat().st_size < 16_000_000
    assert len(judge.judge(torch.rand(2, 3, 64, 64))) == 2
    last = finished[-1]
    assert latest_step(tmp_path / "checkpoints" / architecture) == last
    monkeypatch.setattr("agents.commands.judge.train.JudgeTraining", JudgeTraining)
    assert capsys.readouterr().out == ""
    with show_progress():
        assert judge_train(JudgeTrainArgs(**settings, seconds=1.5)) == path
    assert f"Resuming from step {last}." in capsys.readouterr().out


def resumed(step, words):
    """Run a command that has to resume from a step."""
    text = io.StringIO()
    with redirect_stdout(text):
        assert main(words) == 0
    return f"Resuming from step {step}." in text.getvalue()


@pytest.mark.slow(seconds=20)
def test_ctrl_c_saves_and_says_how_to_resume(quick, tmp_path):
    out, errors = tmp_path / "judge", tmp_path / "errors"
    words = [word for name, value in quick.items() for word in (f"--{name.replace('_', '-')}", str(value))]
    words = ["judge-train", "--out", str(out), *words, "--seconds", "1000000"]
    process = Command(errors, *words, patches={"hand_env.anatomy.training.train.NEAR": 4})
    process.wait_for_step(out / "checkpoints" / "reporter", 0)
    assert process.send(signal.SIGINT) == 130, errors.read_text()
    said = errors.read_text()
    assert "Traceback" not in said
    begin, again = said.splitlines()[-1].split(" handlatent ")
    assert begin == "Stopped and saved. Continue with:"
    again = shlex.split(again)
    assert again[:3] == ["judge-train", "--out", str(out)]
    assert not (out / "reporter.safetensors").exists()
    assert resumed(latest_step(out / "checkpoints" / "reporter"), [*again, "--seconds", "0.001"])
    assert (out / "reporter.safetensors").is_file()


@pytest.mark.slow(seconds=20)
def test_ctrl_c_in_a_terminal_which_ends_the_worker_processes_too(quick, tmp_path, monkeypatch):
    collect, step = SyntheticPool.collect, JudgeTrainer.step

    def step_and_press(trainer):
        terms = step(trainer)
        if trainer.steps == 5:
            signal.raise_signal(signal.SIGINT)
        return terms

    def collect_from_nobody(pool):
        raise BrokenProcessPool

    def train_and_lose_workers(trainer, stops):
        monkeypatch.setattr(SyntheticPool, "collect", collect_from_nobody)
        train(trainer, stops)

    train = JudgeTrainer.train
    monkeypatch.setattr(JudgeTrainer, "train", train_and_lose_workers)
    args = JudgeTrainArgs(**quick, out=tmp_path, seconds=10**6)
    with pytest.raises(BrokenProcessPool):  # nobody pressed Ctrl-C
        judge_train(args)
    monkeypatch.setattr(SyntheticPool, "collect", collect)
    monkeypatch.setattr(JudgeTrainer, "step", step_and_press)
    args = replace(args, seed=1)
    with pytest.raises(Interrupted, match=r"Continue with: handlatent judge-train --out .* --seed 1 "):
        judge_train(args)
    assert latest_step(tmp_path / "checkpoints" / "reporter") == 5


@pytest.mark.parametrize("moment", ["prepare", "finish"])
def test_ctrl_c_outside_the_training_says_saved_only_if_something_is(quick, tmp_path, monkeypatch, moment):
    def press(trainer):
        raise KeyboardInterrupt

    monkeypatch.setattr(JudgeTrainer, moment, press)
    words = JudgeTrainArgs(**quick, out=tmp_path, seconds=0.001)
    with pytest.raises(KeyboardInterrupt if moment == "prepare" else Interrupted):
        judge_train(words)
    assert (tmp_path / "checkpoints").exists() == (moment == "finish")


def test_a_checkpoint_that_does_not_fit_is_one_sentence(quick, tmp_path, capsys):
    state = {"network": {"of": torch.zeros(1)}, "averaged": {}, "optimizer": {}, "steps": 3, "spent": 1.0}
    save_checkpoint(tmp_path / "checkpoints" / "reporter", 3, state)
    words = [word for name in ("pack", "grounds", "architecture") for word in (f"--{name}", str(quick[name]))]
    assert main(["judge-train", *words, "--out", str(tmp_path), "--workers", "0", "--device", "cpu"]) == 2
    said = capsys.readouterr().err
    assert "'network' in state.json must fit this training" in said
    assert "Remove them to start over." in said
    assert "Traceback" not in said


def test_a_broken_pack_is_one_sentence_before_textures_are_made(tmp_path, capsys):
    (tmp_path / "pack.npz").write_bytes(b"no pack")
    out = tmp_path / "judge"
    assert main(["judge-train", "--pack", str(tmp_path / "pack.npz"), "--out", str(out), "--device", "cpu"]) == 2
    said = capsys.readouterr().err
    assert f"'{tmp_path / 'pack.npz'}' must be an .npz that `handlatent judge-train` wrote" in said
    assert len(said.splitlines()) == 1
    assert not out.exists()
