"""A run or a set of weights that has a classifier of latents draws by rejection."""

import json
import shutil
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from agents import draw_hands
from agents.commands.compare import load_compared_run
from agents.commands.demo.draw_tab import DrawSettings, draw
from agents.commands.demo.move_tab import Walk
from agents.commands.demo.weights import Weights
from agents.runs import packaged
from agents.runs.packaged import packaged_samplers, read_package
from agents.runs.run import Run, with_rejection
from agents.runs.run_folder import CLASSIFIER, sha256
from vae.files import DamagedError
from vae.sampling.rejection import LatentClassifier

pytestmark = pytest.mark.usefixtures("bright")


@pytest.fixture
def run(rejecting_set):
    return read_package(rejecting_set)


def edited(folder, target, edit):
    """A copy of a set whose package.json was edited."""
    copy = shutil.copytree(folder, target)
    content = json.loads((copy / "package.json").read_text(encoding="utf-8"))
    edit(copy, content["sha256"])
    (copy / "package.json").write_text(json.dumps(content), encoding="utf-8")
    return copy


def test_rejection_comes_first_and_draws_some_of_the_prior_s_latents(run, small_set):
    assert list(run.samplers) == ["rejection", "prior", "normal"]
    accepts = run.samplers["rejection"].classifier.accepts
    assert accepts(run.samplers["rejection"].sample(30, 1)).all()
    assert 0.1 < accepts(run.samplers["prior"].sample(400, 1)).float().mean() < 0.4
    without = read_package(small_set)
    assert list(without.samplers) == ["prior", "normal"]
    assert torch.equal(run.samplers["prior"].sample(3, 1), without.samplers["prior"].sample(3, 1))


def test_auto_takes_it_where_it_would_take_the_prior(run, small_set):
    assert run.refiner.notes.sampler == "prior"
    assert run.sampler_name() == replace(run, refiner=None).sampler_name() == "rejection"
    assert run.sampler_name("prior") == "prior"
    without = read_package(small_set)
    assert without.sampler_name() == replace(without, refiner=None).sampler_name() == "prior"
    with pytest.raises(ValueError, match=r"The run has no sampler 'rejection'\. Choose one of: prior, normal"):
        without.sampler_name("rejection")


def test_auto_keeps_to_another_sampler_that_the_refiner_was_trained_on(run):
    nothing: Any = None
    refiner: Any = SimpleNamespace(notes=SimpleNamespace(sampler="normal"))
    assert Run({}, nothing, run.samplers, nothing, None, refiner).sampler_name() == "normal"


def test_drawn_hands_say_that_they_were_drawn_by_rejection(run):
    hands, plain = (draw_hands(3, seed=1, run=run, sampler=name, refine=False) for name in ("auto", "prior"))
    assert (hands.record["sampler"], plain.record["sampler"]) == ("rejection", "prior")
    assert "3 hands drawn from the sampler 'rejection' (a classifier selects latents)." == hands.record["text"]
    assert not torch.equal(hands.latents, plain.latents)


def test_it_moves_with_the_vae_and_its_classifier_stays(run):
    run.to("meta")
    assert run.samplers["rejection"].sampler.vae.log_variance.device.type == "meta"
    assert run.samplers["rejection"].classifier.mean.device.type == "cpu"


def test_a_classifier_of_another_vae_or_a_changed_one_or_one_that_nobody_named_is_refused(rejecting_set, tmp_path):
    def of_another_vae(copy, hashes):
        LatentClassifier(5, 1).save(copy / CLASSIFIER)
        hashes[CLASSIFIER] = sha256(copy / CLASSIFIER)

    def changed(copy, hashes):
        LatentClassifier(6, 1).save(copy / CLASSIFIER)

    wrong = [
        (of_another_vae, "is for 5 latents, and the VAE has 6"),
        (changed, "classifier.safetensors is not the file that was packed"),
        (lambda copy, hashes: hashes.pop(CLASSIFIER), "must name each file .* and classifier.safetensors is missing"),
        (lambda copy, hashes: (copy / CLASSIFIER).unlink(), "classifier.safetensors is missing"),
    ]
    for number, (edit, said) in enumerate(wrong):
        with pytest.raises(ValueError, match=said):
            read_package(edited(rejecting_set, tmp_path / str(number), edit))


def test_a_folder_without_a_classifier_leaves_the_samplers_as_they_are(tmp_path):
    samplers: Any = {"prior": object()}
    assert with_rejection(samplers, tmp_path, 6) is samplers
    LatentClassifier(5, 1).save(tmp_path / CLASSIFIER)
    with pytest.raises(DamagedError, match="is for 5 latents, and the VAE has 6"):
        with_rejection(samplers, tmp_path, 6)


def test_compare_measures_it_and_its_figures_depend_on_prior_and_classifier(rejecting_set, small_set):
    loaded, without = load_compared_run(rejecting_set), load_compared_run(small_set)
    assert list(loaded.samplers) == ["rejection", "prior", "normal"]
    assert loaded.sha256["rejection"] == f"{loaded.sha256['prior']} {sha256(rejecting_set / CLASSIFIER)}"
    assert {name: digest for name, digest in loaded.sha256.items() if name != "rejection"} == without.sha256


def test_the_page_offers_it_where_there_is_one(rejecting_set, small_set, monkeypatch):
    weights = Weights(rejecting_set)
    assert weights.choices()[str(rejecting_set)] == ["rejection", "prior", "normal"]
    assert weights.choices()["photographs"] == ["rejection", "prior", "normal"]
    monkeypatch.setattr(packaged, "_folder", {"photographs": rejecting_set, "synthetic": small_set}.__getitem__)
    assert packaged_samplers("photographs") == ["rejection", "prior", "normal"]
    assert packaged_samplers("synthetic") == ["prior", "normal"]


def test_the_page_draws_the_hands_that_draw_hands_draws(run):
    events = list(draw(run, DrawSettings("", n=3, seed=1)))
    assert events[-2]["done"] == 3
    seen: list[str] = [hand["without"]["picture"] for event in events if "hands" in event for hand in event["hands"]]
    other = list(draw(run, DrawSettings("", "prior", n=3, seed=1)))
    assert seen != [hand["without"]["picture"] for event in other if "hands" in event for hand in event["hands"]]


def test_the_page_s_directions_are_those_of_the_innermost_sampler(run, small_set):
    own, without = Walk(run), Walk(read_package(small_set))
    assert torch.equal(own.steps, without.steps)
    assert torch.equal(own.latent(4), run.samplers["rejection"].sample(1, 4)[0])
