"""The training of refiners: stopped, killed and resumed, in the process of the test and, slowly, in others."""

import json
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from processes import Command
from safetensors.torch import load_file, save_file

from agents import RefineArgs, RowAgent, load_run, refine_run
from agents.cli import main
from agents.commands.refine.command import HELD_OUT_SEED
from agents.commands.refine.training import TRAINING_LOG_COLUMNS, RefinerTraining
from agents.runs import run_folder
from agents.runs.ctrl_c import Interrupted
from agents.runs.run import SAMPLER_FILES
from hand_env import LogitScore
from vae import StandardNormal
from vae.checkpoint import load_checkpoint, save_checkpoint
from vae.sampling.rejection import LatentClassifier

TINY = {"samples": 96, "rows": 16, "width": 16, "held_out": 8, "device": "cpu", "policy": "latents"}  # quick
OWN = {"refiner.safetensors", "refine.json", "refine.png", "refine-curves.png"}

pytestmark = pytest.mark.usefixtures("bright")


@pytest.fixture
def run(narrow_run, tmp_path):
    return Path(shutil.copytree(narrow_run, tmp_path / "run"))


class Killed(BaseException):
    """Stands for kill -9: nothing more is done, or saved."""


def names(folder):
    return {path.name for path in folder.iterdir()}


def stop(monkeypatch, samples, how):
    """Stop the training that comes next between two steps; what `how` raises ends it there."""
    between_steps = RefinerTraining.between_steps

    def stopped(training):
        between_steps(training)
        if training.samples == samples:
            monkeypatch.setattr(RefinerTraining, "between_steps", between_steps)
            how(training)

    monkeypatch.setattr(RefinerTraining, "between_steps", stopped)


def kill(training):
    raise Killed


def assert_same_results(first, second):
    a, b = (load_file(run / "refiner.safetensors") for run in (first, second))
    assert a.keys() == b.keys()
    assert all(torch.equal(a[name], b[name]) for name in a)
    reports = [json.loads((run / "refine.json").read_text()) for run in (first, second)]
    for report in reports:
        del report["seconds"], report["samples_per_second"], report["sha256"]  # what the clock decides
    assert reports[0] == reports[1]
    assert (first / "refine.png").read_bytes() == (second / "refine.png").read_bytes()


@pytest.mark.parametrize("policy", ["pictures", "latents"])
def test_a_refined_run_holds_the_refiner_and_what_was_measured(run, policy):
    before = names(run)
    assert refine_run(RefineArgs(run, **{**TINY, "policy": policy})) == run
    assert names(run) == before | OWN
    report = json.loads((run / "refine.json").read_text())
    assert report["settings"] == {
        **{"samples": 96, "rows": 16, "width": 16, "held_out": 8, "sampler": "mixture", "policy": policy},
        **{"delta_scale": 1.0, "steps_per_episode": 1, "seed": 0, "refine_below": "2.5", "reward": "logit"},
        "critic_epochs": 4 if policy == "pictures" else 0,
    }
    assert {"python", "torch", "stable-baselines3"} <= set(report["versions"])
    assert report["vae_sha256"] == run_folder.sha256(run / "vae.safetensors")
    assert (report["samples"], report["device"]) == (96, "cpu")
    assert report["samples_per_second"] == pytest.approx(96 / report["seconds"])
    assert [point["samples"] for point in report["training_log"]] == [16, 32, 48, 64, 80, 96]
    for point in report["training_log"]:
        assert list(point) == list(TRAINING_LOG_COLUMNS)
        assert point["reward"] == pytest.approx(point["score_after"] - point["score_before"], abs=1e-5)
        for name in ("score_before", "score_after", "raised", "later"):
            assert point[f"{name}_low"] <= point[name] <= point[f"{name}_high"]
        assert point["score_before_low"] < point["score_before"]
    agent = load_run(run).refiner
    assert agent.notes.sees_pictures == (policy == "pictures")
    assert (agent.notes.sampler, agent.notes.delta_scale, agent.notes.net_arch) == ("mixture", 1.0, (16, 16))
    with Image.open(run / "refine.png") as picture:
        assert picture.size == (8 * 130 + 2 + 12, 2 * 130 + 2 + 24)


def test_the_measure_is_the_reporting_judge_s_on_latents_of_a_seed_of_their_own(run):
    refine_run(RefineArgs(run, **TINY))
    measured = json.loads((run / "refine.json").read_text())["held_out"]
    assert (measured["latents"], measured["seed"]) == (8, HELD_OUT_SEED)
    assert measured["seed"] >= 2**31  # above every seed that training draws with
    loaded = load_run(run)
    latents = loaded.samplers["mixture"].sample(8, HELD_OUT_SEED)
    refined = loaded.refiner.refine(latents, loaded.vae, LogitScore())
    assert measured["corrected"] == refined.corrected.sum()
    assert measured["before"]["rewarding_judge_score"] == pytest.approx(refined.score_before.mean())
    assert measured["after"]["rewarding_judge_score"] == pytest.approx(refined.score.mean())
    for when in ("before", "after"):
        for rate in measured[when]["reporting_judge"].values():
            assert rate["of"] == 8
            assert 0 <= rate["low"] <= rate["share"] <= rate["high"] <= 1


def test_a_refiner_learns_what_pays(refined_run):
    report = json.loads((refined_run / "refine.json").read_text())
    first, last = report["training_log"][0]["reward"], report["training_log"][-1]["reward"]
    assert last > first + 0.02
    assert report["held_out"]["corrected"] > 90
    assert len(report["training_log"]) == 40
    assert report["training_log"][0]["later"] == 0
    assert 0.1 < report["training_log"][-1]["later"] < 0.8  # two thirds if all are raised, as ROUNDS are three


@pytest.mark.parametrize(
    ("policy", "steps", "samples", "kills"),
    [("latents", 1, 192, (48, 160)), ("latents", 2, 192, (48, 160)), ("pictures", 2, 128, (48, 112))],
)
def test_a_killed_training_goes_on_and_ends_bit_for_bit_as_if_it_had_not_been_killed(
    run, tmp_path, monkeypatch, policy, steps, samples, kills
):
    settings = {**TINY, "policy": policy, "samples": samples}
    args = RefineArgs(run, **settings, steps_per_episode=steps, checkpoint_seconds=0)
    whole, killed = replace(args, out=tmp_path / "whole"), replace(args, out=tmp_path / "killed")
    refine_run(whole)
    waiting = []
    for at in kills:  # amid an episode of two steps; twice, since what went on must go on too
        stop(monkeypatch, at, kill)
        with pytest.raises(Killed):
            refine_run(killed)
        state = load_checkpoint(tmp_path / "killed" / "refining" / "checkpoints" / f"step-{at}")
        waiting.append(len(state["starts"]["again"]))
        assert not (tmp_path / "killed" / "refine.json").exists()
    assert max(waiting) > 0  # what was raised, but not enough, outlived a kill
    refine_run(killed)
    assert_same_results(tmp_path / "whole", tmp_path / "killed")
    assert not (tmp_path / "killed" / "refining").exists()


def test_a_training_killed_between_checkpoints_goes_on_from_the_last_one(run, tmp_path, monkeypatch):
    whole, killed = (RefineArgs(run, **TINY, out=tmp_path / name) for name in ("whole", "killed"))
    refine_run(whole)
    stop(monkeypatch, 64, kill)
    with pytest.raises(Killed):
        refine_run(killed)
    assert names(tmp_path / "killed" / "refining" / "checkpoints") == {"step-0"}
    refine_run(killed)
    assert_same_results(tmp_path / "whole", tmp_path / "killed")


def test_a_training_killed_while_it_is_measured_is_not_trained_again(run, tmp_path, monkeypatch):
    whole, killed = (RefineArgs(run, **TINY, out=tmp_path / name) for name in ("whole", "killed"))
    refine_run(whole)
    with monkeypatch.context() as patch:
        patch.setattr("agents.commands.refine.command.summarise", kill)
        with pytest.raises(Killed):
            refine_run(killed)
    assert names(tmp_path / "killed" / "refining" / "checkpoints") >= {"step-96"}
    refine_run(killed)
    assert_same_results(tmp_path / "whole", tmp_path / "killed")


@pytest.mark.parametrize("samples", [48, 80, 96])  # 80: the step that is thrown away is the last; 96: none is left
def test_ctrl_c_saves_and_says_how_to_go_on_and_going_on_ends_the_same(capsys, run, tmp_path, monkeypatch, samples):
    handler = signal.getsignal(signal.SIGINT)
    refine_run(RefineArgs(run, **TINY, out=tmp_path / "whole"))
    words = ["refine", run, "--samples", 96, "--rows", 16, "--policy", "latents", "--width", 16, "--held-out", 8]
    words = [str(word) for word in (*words, "--device", "cpu", "--out", tmp_path / "stopped")]
    stop(monkeypatch, samples - 16, lambda training: signal.raise_signal(signal.SIGINT))
    capsys.readouterr()
    assert main(words) == 130
    last = capsys.readouterr().err.rstrip().splitlines()[-1]
    assert last == "Stopped and saved. Continue with: handlatent " + " ".join(words)
    assert names(tmp_path / "stopped" / "refining" / "checkpoints") >= {f"step-{samples}"}
    assert main(words) == 0
    assert_same_results(tmp_path / "whole", tmp_path / "stopped")
    assert signal.getsignal(signal.SIGINT) is handler


@pytest.mark.usefixtures("real_channels")
def test_a_finished_training_says_so_and_other_settings_are_named(refined_run, plain_run):
    settings = json.loads((refined_run / "refine.json").read_text())["settings"]
    settings["refine_below"] = float(settings["refine_below"])
    args = RefineArgs(plain_run, **settings, device="cpu", out=refined_run)
    with pytest.raises(ValueError, match=r"already has a refiner, with these settings\. Draw from it with: handlatent"):
        refine_run(args)
    with pytest.raises(ValueError, match=r"with --width 32 instead of 16, --seed 0 instead of 1\. Choose"):
        refine_run(replace(args, seed=1, width=16))


def test_a_training_that_was_begun_with_other_settings_is_not_gone_on_with(run, monkeypatch):
    stop(monkeypatch, 0, kill)
    with pytest.raises(Killed):
        refine_run(RefineArgs(run, **TINY))
    with pytest.raises(ValueError, match=r"is being refined with --samples 96 instead of 32\. Repeat that command"):
        refine_run(RefineArgs(run, **{**TINY, "samples": 32}))
    weights = load_file(run / "vae.safetensors")
    save_file({**weights, "log_variance": weights["log_variance"] + 1}, run / "vae.safetensors")
    with pytest.raises(ValueError, match="is being refined with another vae"):
        refine_run(RefineArgs(run, **TINY))
    (run / "refining" / "config.json").write_text("[]")
    with pytest.raises(ValueError, match=r"config.json' is damaged: .*Remove '.*refining' to start over"):
        refine_run(RefineArgs(run, **TINY))
    (run / "refining" / "config.json").unlink()
    checkpoints = run / "refining" / "checkpoints"
    (checkpoint,) = checkpoints.iterdir()
    state = load_checkpoint(checkpoint)
    del state["starts"]
    save_checkpoint(checkpoints, 16, state)
    with pytest.raises(ValueError, match=r"checkpoints' is from an earlier version.* Remove it to start over"):
        refine_run(RefineArgs(run, **TINY))
    (checkpoints / "step-16" / "state.json").write_text("{")
    (checkpoints / "step-0" / "tensors.safetensors").unlink()
    with pytest.raises(ValueError, match=r"step-16/state\.json' is damaged: .* Remove '.*checkpoints' to start over"):
        refine_run(RefineArgs(run, **TINY))


def test_out_is_a_whole_copy_of_the_run_and_the_run_stays_as_it_is(plain_run, refined_run):
    assert names(refined_run) == names(plain_run) | OWN
    assert not OWN & names(plain_run)
    for path in plain_run.iterdir():
        assert (refined_run / path.name).read_bytes() == path.read_bytes()


def test_several_refiners_lie_side_by_side(run, tmp_path):
    refine_run(RefineArgs(run, **TINY))
    other = refine_run(RefineArgs(run, **TINY, seed=1, out=tmp_path / "other"))
    a, b = (load_file(folder / "refiner.safetensors") for folder in (run, other))
    assert not torch.equal(a["mu.weight"], b["mu.weight"])
    assert RowAgent.load(other / "refiner.safetensors").notes.seed == 1


def test_a_half_made_copy_is_made_whole(run, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    shutil.copy(run / "config.json", out)
    refine_run(RefineArgs(run, **TINY, out=out))
    assert names(out) == names(run) | OWN


def test_an_out_that_holds_something_else_is_left_alone(run, tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ValueError, match=r"file' is a file\. Choose a folder"):
        refine_run(RefineArgs(run, **TINY, out=tmp_path / "file"))
    other = tmp_path / "other"
    shutil.copytree(run, other)
    for name in ("vae.safetensors", "config.json"):
        (other / name).write_bytes(b"another")
        with pytest.raises(ValueError, match=f"already holds another {name} than .*Choose another --out"):
            refine_run(RefineArgs(run, **TINY, out=other))
    assert not OWN & names(other)


class StandIn(StandardNormal):
    """Stands for a learned prior."""

    @classmethod
    def load(cls, path):
        return cls(int(load_file(path)["size"]))

    def sample(self, n, seed):
        return 2 * super().sample(n, seed)


def test_a_learned_prior_is_preferred_where_the_run_has_one(run, tmp_path, monkeypatch):
    monkeypatch.setitem(SAMPLER_FILES, "prior", ("prior.safetensors", StandIn.load))
    assert list(load_run(run).samplers) == ["mixture", "normal"]
    save_file({"size": torch.tensor(5)}, run / "prior.safetensors")
    assert list(load_run(run).samplers) == ["prior", "mixture", "normal"]
    assert torch.equal(load_run(run).samplers["prior"].sample(3, 7), 2 * StandardNormal(5).sample(3, 7))
    assert load_run(run).sampler_name() == "prior"
    refine_run(RefineArgs(run, **TINY))
    report = json.loads((run / "refine.json").read_text())
    assert report["settings"]["sampler"] == "prior"
    assert report["sampler_sha256"] == run_folder.sha256(run / "prior.safetensors")
    LatentClassifier(5, 1).save(run / "classifier.safetensors")
    assert list(load_run(run).samplers) == ["rejection", "prior", "mixture", "normal"]
    again = refine_run(RefineArgs(run, **TINY, out=tmp_path / "again"))  # "rejection" leaves few hands to learn from
    assert json.loads((again / "refine.json").read_text())["settings"]["sampler"] == "prior"
    assert load_run(again).sampler_name() == "rejection"
    other = refine_run(RefineArgs(run, **TINY, sampler="normal", out=tmp_path / "out"))
    assert load_run(other).sampler_name() == "normal"  # what the refiner was trained on
    assert load_run(other).sampler_name("mixture") == "mixture"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"samples": 0}, "--samples must be at least 1, got 0"),
        ({"rows": 0}, "--rows must be at least 1, got 0"),
        ({"steps_per_episode": 0}, "--steps-per-episode must be at least 1, got 0"),
        ({"width": 0}, "--width must be at least 1, got 0"),
        ({"held_out": 0}, "--held-out must be at least 1, got 0"),
        ({"delta_scale": 0.0}, "--delta-scale must be a finite number above 0, got 0.0"),
        ({"seed": -1}, "--seed must lie in 0..4294967295, got -1"),
        ({"device": "cuda:99"}, "device 'cuda:99' is not on this machine"),
        ({"critic_epochs": 2}, "--critic-epochs belongs to --policy pictures with --steps-per-episode 1, .*, got 2"),
        ({"sampler": "prior"}, r"The run has no sampler 'prior'\. Choose one of: mixture, normal"),
        ({"sampler": "rejection"}, "--sampler must be one of 'auto', 'prior', 'mixture', 'normal', got 'rejection'"),
    ],
)
def test_a_wrong_setting_is_one_sentence_and_leaves_nothing_behind(run, tmp_path, wrong, message):
    before = names(run)
    for out in (None, tmp_path / "out"):
        with pytest.raises(ValueError, match=message):
            refine_run(RefineArgs(run, **{**TINY, **wrong, "out": out}))
    assert names(run) == before
    assert not (tmp_path / "out").exists()


def test_an_unfinished_run_is_not_refined(run):
    (run / "report.json").unlink()
    with pytest.raises(ValueError, match=r"is not finished\. Continue it with: handlatent train --resume"):
        refine_run(RefineArgs(run, **TINY))


@pytest.mark.slow
def test_a_process_killed_twice_ends_bit_for_bit_with_the_package_s_own_judge(real_channels, plain_run, tmp_path):
    settings = ["--samples", "12", "--rows", "4", "--width", "32", "--held-out", "4", "--device", "cpu"]
    words = ["refine", str(plain_run), *settings, "--policy", "latents", "--checkpoint-seconds", "0", "--out"]
    killed, errors = tmp_path / "killed", tmp_path / "errors"
    assert Command(errors, *words, tmp_path / "whole").wait() == 0, errors.read_text()
    for step in (4, 8):
        process = Command(errors, *words, killed)
        process.wait_for_step(killed / "refining" / "checkpoints", step)
        assert process.send(signal.SIGKILL) == -signal.SIGKILL, "the training ended before it was killed"
    subprocess.run([sys.executable, "-m", "agents.cli", *words, str(killed)], check=True, capture_output=True)
    assert_same_results(tmp_path / "whole", killed)


def test_interrupted_is_what_a_second_ctrl_c_while_measuring_gives(run, monkeypatch):
    def press(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("agents.commands.refine.command.summarise", press)
    with pytest.raises(Interrupted, match="Continue with: handlatent refine"):
        refine_run(RefineArgs(run, **TINY))
