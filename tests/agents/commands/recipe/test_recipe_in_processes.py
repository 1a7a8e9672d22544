"""`handlatent recipe` in two processes, as torchrun starts them, prints, saves and resumes one run."""

import json
import os
import signal
from functools import partial
from pathlib import Path

import in_parallel
import pytest
import torch
from adversarial_in_parallel import NARROW, SLOW
from processes import Job, latest_step

from agents.cli import main
from agents.command_line.shell_words import command
from agents.commands.recipe import RecipeArgs
from agents.commands.recipe.command import _check
from vae.acceleration import parallel
from vae.adversarial.training import AdversarialConfig, AdversarialTrainer
from vae.sampling.flow_fit import fit_flow

STEPS = 14
RECIPE = ["recipe", "--width", "small", "--drawn", "24", "--workers", "0", "--steps", str(STEPS), "--batch", "4"]
RECIPE += ["--prior-from", "0.75", "--varied", "4", "--flow-steps", "4", "--latent-samples", "16"]
RECIPE += ["--candidates", "0", "--refine-samples", "0", "--checkpoint-seconds", "0", "--device", "cpu"]
QUICKER = {
    **NARROW,
    **SLOW,
    "agents.commands.recipe.command.AdversarialConfig": partial(AdversarialConfig, learning_rate=1e-6),
    "agents.commands.recipe.command.AHEAD": NARROW["vae.adversarial.training.AHEAD"],
    "agents.commands.recipe.command.LOGGED": 1,
    "agents.commands.recipe.command.MIXTURE": 256,
    "agents.commands.recipe.first_prior.POOL": 64,
    "agents.commands.recipe.first_prior.fit_flow": partial(fit_flow, width=72),
    "vae.adversarial.encode.CHUNK": 16,
}


@pytest.fixture(autouse=True)
def quicker(monkeypatch):
    for name, value in QUICKER.items():
        monkeypatch.setattr(name, value)


def curves(run: Path) -> list[dict[str, float]]:
    steps: list[dict[str, float]] = json.loads((run / "training_log.json").read_text(encoding="utf-8"))
    return steps


@pytest.mark.slow(seconds=20)
def test_a_recipe_with_a_killed_process_ends_and_resumes_on_another_number_of_processes(tmp_path, monkeypatch):
    whole, out = tmp_path / "whole", tmp_path / "run"
    words = [*RECIPE, "--out", str(out)]
    assert main([*RECIPE, "--out", str(whole)]) == 0

    job = Job(tmp_path / "errors", 2, in_parallel.run, tmp_path, words, patches=QUICKER)
    job.wait_for_step(out / "checkpoints", 4)
    os.kill(int((tmp_path / "pid-1").read_text(encoding="utf-8")), signal.SIGKILL)
    assert job.wait() != 0
    said = [
        line
        for line in job.errors.read_text(encoding="utf-8").replace("\r", "\n").splitlines()
        if "handlatent recipe" in line
    ]
    typed = command("recipe", "--out", out)
    assert [line.partition("handlatent recipe: ")[2].partition(" --width")[0] for line in said] == [
        f"{parallel.ENDED} Then continue with: {typed}"
    ]
    stopped = latest_step(out / "checkpoints")
    assert 4 <= stopped <= STEPS - 6, "the run ended before it was killed"

    step = AdversarialTrainer.step

    def step_and_press(run):
        terms = step(run)
        if run.steps == stopped + 2:
            signal.raise_signal(signal.SIGINT)
        return terms

    with monkeypatch.context() as patch:
        patch.setattr(AdversarialTrainer, "step", step_and_press)
        assert main(words) == 130
    assert latest_step(out / "checkpoints") == stopped + 2

    job = Job(tmp_path / "errors", 2, in_parallel.run, tmp_path, words, patches=QUICKER)
    assert job.wait() == 0, job.errors.read_text(encoding="utf-8")
    printed = [(tmp_path / f"out-{rank}").read_text(encoding="utf-8") for rank in range(2)]
    assert printed == [f"The learned prior\nThe agent on HandLatent-v0\n{out}\n", ""]

    assert len(curves(out)) == STEPS
    for ours, theirs in zip(curves(out), curves(whole), strict=True):
        assert ours == pytest.approx(theirs, rel=1e-5, abs=1e-6)
    assert {path.name for path in out.iterdir()} == {path.name for path in whole.iterdir()}
    settings = [json.loads((run / "config.json").read_text(encoding="utf-8"))["settings"] for run in (out, whole)]
    assert settings[0] == settings[1]


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"batch": 6}, "The batch must be a multiple of twice the number of processes, 4, got 6"),
        ({"device": "cuda:1"}, "--device must name no single GPU for several processes, got 'cuda:1'. Use cuda."),
    ],
)
def test_what_several_processes_cannot_do_is_refused(monkeypatch, settings, sentence):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    args = RecipeArgs(**{"device": "cpu", **settings})
    _check(args)
    monkeypatch.setattr(parallel, "_group", parallel._Group(rank=0, size=2))
    with pytest.raises(ValueError, match=sentence):
        _check(args)
