"""The recipe from beginning to end, on a few synthetic hands, and the weights that are packed from it."""

import json
import shutil
import signal
import time
from dataclasses import replace
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from processes import Command
from safetensors.torch import load_file, save_file

from agents.cli import main
from agents.command_line.shell_words import given
from agents.commands.generate import generate
from agents.commands.package import PackageArgs, package
from agents.commands.recipe import RecipeArgs, recipe
from agents.commands.recipe.command import _claim, _train_agents
from agents.commands.recipe.selection import Judged
from agents.commands.recipe.stages import Stages
from agents.draw.settings import GenerateArgs
from agents.runs.ctrl_c import Interrupted
from agents.runs.packaged import read_package
from agents.runs.run import load_run
from agents.runs.run_folder import sha256
from vae.adversarial.training import AdversarialTrainer
from vae.files import save_hashed_json
from vae.sampling.flow import FlowPrior
from vae.sampling.flow_fit import fit_flow
from vae.sampling.reencoded import Reencoded

TINY = {"width": "small", "drawn": 40, "workers": 0, "steps": 10, "batch": 4, "varied": 4, "flow_steps": 4}
TINY |= {"prior_from": 1.0, "candidates": 4, "accept": 1.0}

QUICKER = {
    "agents.commands.recipe.command.MIXTURE": 1024,
    "agents.commands.recipe.first_prior.fit_flow": partial(fit_flow, width=72),
    "vae.adversarial.critics.WIDTHS": (8, 16, 32, 32),
    "vae.adversarial.encode.CHUNK": 32,  # what `varied` is rounded up to
}


@pytest.fixture(scope="module", autouse=True)
def few_latents_for_the_mixture_and_narrow_networks():
    """EM on the recipe's 16,384 latents, 256 pictures, and critics' and prior's layers take most of so short a time."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in QUICKER.items():
            patch.setattr(name, value)
        yield


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    out = tmp_path_factory.mktemp("recipe") / "run"
    args = RecipeArgs(out=out, **TINY, latent_samples=64, refine_samples=0, device="cpu")
    return args, recipe(args)


@pytest.fixture(scope="module")
def packed(finished, tmp_path_factory):
    return package(PackageArgs(finished[1], tmp_path_factory.mktemp("package") / "drawn"))


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.slow
def test_packing_that_was_killed_is_repeated(finished, packed, tmp_path, monkeypatch):
    args = PackageArgs(finished[1], tmp_path / "again")
    with monkeypatch.context() as patch:
        patch.setattr("agents.commands.package.command.save_json", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            package(args)
    assert package(args) == tmp_path / "again"
    for path in packed.iterdir():
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes()


@pytest.mark.slow
def test_a_finished_recipe_is_a_run_with_all_its_samplers(finished):
    run = load_run(finished[1])
    assert list(run.samplers) == ["prior", "mixture", "normal"]
    prior = run.samplers["prior"]
    assert isinstance(prior, Reencoded)
    assert isinstance(prior.sampler, FlowPrior)
    assert prior.sampler.temperature == pytest.approx(RecipeArgs.temperature)
    assert prior.reencode_passes == RecipeArgs.reencode_passes
    assert run.settings["split_seed"] == 0  # the judges', whatever the seed
    assert run.latent_agent.notes.env_id == "HandLatent-v0"
    assert run.refiner is None
    assert run.vae.size == 128
    report = json.loads((finished[1] / "report.json").read_text())
    assert report["pictures"] == {"photographs": 0, "drawn": 40, "validation": 1}
    stages = ["synthetic_hands", "vae", "prior", "selection", "rejection", "mixture", "latent_agent"]
    assert list(report["seconds"]) == stages  # there are no photographs, and there is no refiner
    whole = report["seconds_since_last_start"]  # until the report was written
    assert 0.5 * whole < sum(report["seconds"][name] for name in stages[:-1]) <= whole + 0.1
    assert report["selection"] == {"candidates": 4, "accepted": 0, "correct": 0.0}  # too few: the first prior stays
    assert run.vae.log_variance.exp() == pytest.approx(report["validation_squared_error"], rel=0.5)


@pytest.mark.slow
def test_typed_again_it_does_nothing_that_is_done(finished):
    args, out = finished
    before = {file.name: file.stat().st_mtime_ns for file in out.iterdir()}
    recipe(args)
    assert {file.name: file.stat().st_mtime_ns for file in out.iterdir()} == before


@pytest.mark.slow
def test_a_run_of_a_version_without_falling_deltas_is_continued(finished, tmp_path):
    args, out = finished
    there = tmp_path / "earlier"
    shutil.copytree(out, there)
    config = json.loads((there / "config.json").read_text())
    assert config.pop("sha256")
    assert config["settings"].pop("falling_deltas") == 0
    assert config["settings"].pop("prior_from") == 1
    assert config["settings"].pop("accept") == 1
    save_hashed_json(there / "config.json", config)
    assert recipe(replace(args, out=there)) == there
    with pytest.raises(ValueError, match=r"was started with --falling-deltas 0\.0\."):
        recipe(replace(args, out=there, falling_deltas=2.0))
    with pytest.raises(ValueError, match=r"was started with --candidates 4, --accept 1\.0\."):
        recipe(replace(args, out=there, candidates=3000, accept=0.5))
    assert config["settings"].pop("features_side") == 192
    save_hashed_json(there / "config.json", config)
    with pytest.raises(ValueError, match=r"was started with --features-side 128\."):
        recipe(replace(args, out=there))


def test_a_run_of_train_is_refused_as_such_and_not_by_its_settings(narrow_run):
    with pytest.raises(ValueError, match=r"holds a run of `train`, not of `recipe`\. Choose another --out\."):
        _claim(RecipeArgs(out=narrow_run), "")


@pytest.mark.slow
def test_other_settings_are_refused_in_one_sentence(finished):
    with pytest.raises(
        ValueError, match=r"was started with --steps 10\. Repeat that to resume, or choose another --out\."
    ):
        recipe(replace(finished[0], steps=11))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--steps", "0"], "--steps must be at least 1, got 0."),
        (["--temperature", "1.5"], "--temperature must lie in (0, 1], got 1.5."),
        (["--final-denoise", "1"], "--final-denoise must lie in [0, 1), got 1.0."),
        (["--reencode-passes", "-1"], "--reencode-passes must lie in 0..1000, got -1."),
        (["--nats", "-3"], "--nats must be a finite number above 0, got -3.0."),
        (["--features-side", "200"], "--features-side must be a multiple of 32 from 128 to 512, got 200. 128 enlarges"),
        (["--falling-deltas", "-1"], "--falling-deltas must be at least 0, got -1.0."),
        (["--refine-samples", "-1"], "--refine-samples must be at least 0, got -1."),
        (["--seed", "-1"], "--seed must lie in"),
        (["--accept", "0"], "--accept must lie in (0, 1], got 0.0."),
        (["--candidates", "2559"], "must be at least 2560, or 0 for no classifier, got 2559. Change it, or choose"),
    ],
)
def test_wrong_settings_are_refused_before_anything_is_made(tmp_path, capsys, words, said):
    assert main(["recipe", "--out", str(tmp_path / "run"), *words]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_wrong_folder_of_photographs_leaves_the_run_free_for_another_try(tmp_path, capsys):
    words = ["recipe", "--data", str(tmp_path), "--out", str(tmp_path / "run")]
    assert main(words) == 2
    assert "HandInfo.csv' is missing" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_recipe_that_was_killed_twice_and_stopped_in_its_vae_s_last_step_ends_the_same(
    finished, tmp_path, monkeypatch
):
    args, step = replace(finished[0], out=tmp_path / "stopped", checkpoint_seconds=0.0), AdversarialTrainer.step
    words, errors = ["recipe", *given(args)], tmp_path / "errors"
    process = Command(errors, *words, patches=QUICKER)
    process.wait_for_step(args.out / "checkpoints", 8)
    assert process.send(signal.SIGKILL) == -signal.SIGKILL

    def step_and_press(run):
        terms = step(run)
        if run.steps == args.steps:
            signal.raise_signal(signal.SIGINT)
        return terms

    monkeypatch.setattr(AdversarialTrainer, "step", step_and_press)
    with pytest.raises(Interrupted, match="Continue with: handlatent recipe"):
        recipe(args)
    assert (args.out / "vae.safetensors").is_file()
    process = Command(errors, *words, patches=QUICKER)
    while process.alive and not (args.out / "prior.safetensors").is_file():
        time.sleep(0.02)
    assert process.send(signal.SIGKILL) == -signal.SIGKILL
    recipe(args)
    assert names(args.out) == names(finished[1])
    for name in ("vae", "prior", "sampler", "latent_agent"):
        file = f"{name}.safetensors"
        assert (args.out / file).read_bytes() == (finished[1] / file).read_bytes()


def test_a_recipe_that_was_killed_while_it_measured_its_refiner_finishes_it(tmp_path, monkeypatch):
    def measure(args):
        save_hashed_json(args.run / "refine.json", {})

    monkeypatch.setattr("agents.commands.recipe.command.refine_run", measure)
    save_hashed_json(tmp_path / "report.json", {})
    (tmp_path / "refiner.safetensors").touch()
    _train_agents(RecipeArgs(out=tmp_path, latent_samples=0), None, "cpu", Stages())
    assert (tmp_path / "refine.json").is_file()


@pytest.mark.slow
def test_a_recipe_that_teaches_its_prior_to_the_decoder_and_learns_to_reject_resumes_bit_for_bit(tmp_path, monkeypatch):
    def every_other_one(images):
        return Judged((torch.arange(len(images)) % 2 == 0).unsqueeze(1), images[:, 0, 0, :4])

    monkeypatch.setattr("agents.commands.recipe.first_prior.POOL", 64)
    monkeypatch.setattr("agents.commands.recipe.command.right_and_new", lambda *_: every_other_one)
    for name, value in (("FEWEST", 16), ("HELD_OUT", 4), ("WIDTH", 64), ("BLOCKS", 2)):
        monkeypatch.setattr(f"agents.commands.recipe.selection.{name}", value)
    monkeypatch.setattr("agents.commands.recipe.command.FEWEST", 16)
    for module in ("agents.commands.recipe.rejection", "vae.sampling.rejection_fit"):
        monkeypatch.setattr(f"{module}.FEWEST", 40)
    monkeypatch.setattr("agents.commands.recipe.rejection.DRAWN", 64)
    settings = {**TINY, "steps": 18, "prior_from": 0.4, "latent_samples": 0, "refine_samples": 0, "device": "cpu"}
    whole = RecipeArgs(out=tmp_path / "whole", **{**settings, "candidates": 40, "accept": 0.5})
    recipe(whole)
    report = json.loads((whole.out / "report.json").read_text(encoding="utf-8"))
    selection, rejection = report["selection"], report["rejection"]
    assert (rejection["accept"], rejection["accepted"], list(rejection["areas"])) == (0.5, 0.5, ["correct"])
    assert 0 <= rejection["areas"]["correct"] <= 1
    assert (selection["accepted"], selection["correct"], selection["log"][-1]["step"]) == (20, 0.5, 4)
    prior = FlowPrior.load(whole.out / "prior.safetensors")
    assert len(prior.velocity.blocks) == 2  # the one of what was selected
    step, pools = AdversarialTrainer.step, []

    def step_and_press(run):
        pools.append(run.pool is not None)
        terms = step(run)
        if run.steps == 12:
            signal.raise_signal(signal.SIGINT)
        return terms

    monkeypatch.setattr(AdversarialTrainer, "step", step_and_press)
    stopped = replace(whole, out=tmp_path / "stopped")
    with pytest.raises(Interrupted):
        recipe(stopped)
    recipe(stopped)
    assert pools == [False] * 8 + [True] * 10
    made = [f"{name}.safetensors" for name in ("vae", "prior", "sampler", "classifier")]
    for file in made:
        assert (stopped.out / file).read_bytes() == (whole.out / file).read_bytes()
    for file in ("report.json", *made[1:]):
        (stopped.out / file).unlink()
    recipe(stopped)  # as after a crash: it fits the first prior again, to the VAE that it reads
    for file in made:
        assert (stopped.out / file).read_bytes() == (whole.out / file).read_bytes()
    draws_by_rejection(whole.out, tmp_path)


def draws_by_rejection(out, tmp_path):
    """Draw from a run that has a classifier, and from the set that is packed from it."""
    run, shipped = load_run(out), read_package(package(PackageArgs(out, tmp_path / "set")))
    assert list(run.samplers) == ["rejection", "prior", "mixture", "normal"]
    assert list(shipped.samplers) == ["rejection", "prior", "normal"]
    manifest = json.loads((tmp_path / "set" / "package.json").read_text(encoding="utf-8"))
    assert manifest["sha256"]["classifier.safetensors"] == sha256(out / "classifier.safetensors")
    assert "A classifier accepts 50% of the prior's latents." in (tmp_path / "set" / "README.md").read_text()
    for each in (run, shipped):
        assert each.sampler_name() == "rejection"
        sampler: Any = each.samplers["rejection"]
        assert sampler.classifier.accepts(sampler.sample(20, 0)).all()
        assert not sampler.classifier.accepts(each.samplers["prior"].sample(20, 0)).all()
    for asked, name in (("auto", "rejection"), ("prior", "prior"), ("rejection", "rejection")):
        generate(GenerateArgs(out, n=3, seed=1, sampler=asked, out=tmp_path / asked))
        record = json.loads((tmp_path / asked / "generated.json").read_text(encoding="utf-8"))
        assert record["sampler"] == name
    grids = [(tmp_path / asked / "grid.png").read_bytes() for asked in ("auto", "rejection", "prior")]
    assert grids[0] == grids[1] != grids[2]


@pytest.mark.slow
def test_a_package_draws_as_its_run_does(finished, packed):
    run, shipped = load_run(finished[1]), read_package(packed)
    assert list(shipped.samplers) == ["prior", "normal"]
    latents = run.samplers["prior"].sample(3, seed=1)
    torch.testing.assert_close(shipped.samplers["prior"].sample(3, seed=1), latents, rtol=0.0, atol=0.02)
    with torch.no_grad():  # some weights are int8
        torch.testing.assert_close(shipped.vae.decode(latents), run.vae.decode(latents), rtol=0.0, atol=0.01)


@pytest.mark.slow
def test_a_package_says_what_it_is_and_not_where_it_was_made(finished, packed):
    manifest = json.loads((packed / "package.json").read_text())
    assert manifest["settings"]["data"] == "synthetic"
    assert str(finished[1]) not in (packed / "package.json").read_text() + (packed / "README.md").read_text()
    assert (packed / "README.md").read_text().startswith("---\n")


@pytest.mark.slow
def test_a_file_that_was_changed_is_refused(packed, tmp_path):
    for file in packed.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    tensors = load_file(tmp_path / "decoder.safetensors")
    save_file({name: tensor + 1 for name, tensor in tensors.items()}, tmp_path / "decoder.safetensors")
    with pytest.raises(ValueError, match=r"decoder\.safetensors is not the file that was packed"):
        read_package(tmp_path)


@pytest.mark.slow
def test_generate_draws_from_the_package_where_no_run_is_named(packed, tmp_path, monkeypatch):
    monkeypatch.setattr("agents.draw.settings.load_packaged", lambda name: read_package(packed))
    generate(GenerateArgs(n=3, out=tmp_path / "hands"))
    generate(GenerateArgs(packed, n=3, out=tmp_path / "named"))
    grids = [(tmp_path / name / "grid.png").read_bytes() for name in ("hands", "named")]
    assert grids[0] == grids[1]
    assert len(list((tmp_path / "hands").glob("hand-*.png"))) == 3
    record = json.loads((tmp_path / "hands" / "generated.json").read_text())
    assert record["sampler"] == "prior"
    assert record["weights"] == "photographs"


def test_a_version_without_weights_says_so(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("agents.runs.packaged.resources.files", lambda package: tmp_path)
    assert main(["generate", "--out", str(tmp_path / "hands")]) == 2
    assert "This installation has no weights 'photographs'; a clone of the repository" in capsys.readouterr().err
    assert not (tmp_path / "hands").exists()


def test_a_package_needs_a_learned_prior(tmp_path, monkeypatch):
    run = SimpleNamespace(samplers={"mixture": None, "normal": None})
    monkeypatch.setattr("agents.commands.package.command.load_run", lambda folder: run)
    (tmp_path / "config.json").touch()
    with pytest.raises(ValueError, match="has no learned prior"):
        package(PackageArgs(tmp_path, tmp_path / "out"))
