"""What `handlatent generate` makes of a run with a refiner."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from agents import GenerateArgs, RefineArgs, draw_hands, generate, load_run, refine_run
from agents.commands.judge import JudgeAttackArgs, judge_attack
from hand_env import LogitScore, best_of
from hand_env.refinement import score_latents
from vae.evaluation import decode_all

pytestmark = pytest.mark.usefixtures("bright", "real_channels")


def record(folder):
    return json.loads((folder / "generated.json").read_text())


def pictures(folder):
    return np.stack([np.asarray(Image.open(path)) for path in sorted(folder.glob("hand-*.png"))])


def test_a_refiner_corrects_what_is_drawn_unless_told_not_to(refined_run, tmp_path):
    run, drawn = load_run(refined_run), load_run(refined_run).samplers["mixture"].sample(12, 0)
    refined = run.refiner.refine(drawn, run.vae, LogitScore())
    folders = [
        generate(GenerateArgs(refined_run, n=12, refine=refine, out=tmp_path / str(refine))) for refine in (True, False)
    ]
    for folder, latents in zip(folders, (refined.latents, drawn), strict=True):
        assert np.array_equal(pictures(folder), decode_all(run.vae, latents).permute(0, 2, 3, 1).numpy())
    kept = int(refined.corrected.sum())
    assert kept > 0
    assert record(folders[0]) == {
        **{"run": str(refined_run), "n": 12, "seed": 0, "sampler": "mixture", "best_of": 1, "agent": "none"},
        **{"refined": True, "rounds": 3, "refine_below": "2.5", "corrected": kept},
        "text": f"12 hands drawn from the sampler 'mixture', then {kept} of them corrected by the refiner in "
        "up to 3 rounds.",
    }
    assert record(folders[1])["refined"] is False
    assert record(folders[1])["corrected"] is None
    assert record(folders[1])["text"] == "12 hands drawn from the sampler 'mixture'."


def test_no_correction_makes_a_latent_worse(refined_run):
    run = load_run(refined_run)
    before = run.samplers["mixture"].sample(30, 4)
    hands = draw_hands(run=run, n=30, seed=4)
    after, said = hands.latents, hands.record
    scores = [score_latents(run.vae, LogitScore(), latents.numpy()) for latents in (before, after)]
    assert (scores[1] >= scores[0]).all()
    assert (scores[1] > scores[0]).sum() == said["corrected"]


def test_a_run_without_a_refiner_is_drawn_from_as_it_is(plain_run, tmp_path):
    run = load_run(plain_run)
    assert run.refiner is None
    folder = generate(GenerateArgs(plain_run, n=3, seed=5, out=tmp_path / "hands"))
    assert record(folder)["refined"] is False
    expected = decode_all(run.vae, run.samplers["mixture"].sample(3, 5))
    assert np.array_equal(pictures(folder), expected.permute(0, 2, 3, 1).numpy())


def test_the_path_of_a_run_is_no_run(plain_run):
    with pytest.raises(TypeError, match=r"run must be a Run, got '.*'\. Read one from its folder with load_run\("):
        draw_hands(2, run=str(plain_run))


def test_best_of_picks_the_latents_before_the_correction_and_is_named(refined_run):
    run = load_run(refined_run)
    best, _ = best_of(run.samplers["mixture"], 3, 8, 2, run.vae, LogitScore())
    hands = draw_hands(run=run, n=8, seed=2, best_of_k=3, refine=False)
    latents, said = hands.latents, hands.record
    assert torch.equal(latents, best)
    hands = draw_hands(run=run, n=8, seed=2, best_of_k=3)
    latents, both = hands.latents, hands.record
    assert torch.equal(latents, run.refiner.refine(best, run.vae, LogitScore()).latents)
    assert (said["best_of"], both["best_of"], both["refined"]) == (3, 3, True)
    words = "8 hands, each the rewarding judge's best of 3 draws from the sampler 'mixture'"
    assert said["text"] == f"{words}."
    assert both["text"].startswith(f"{words}, then {both['corrected']} of them corrected by the refiner in ")


def test_the_sampler_is_what_the_refiner_was_trained_on_or_what_is_asked_for(refined_run):
    run = load_run(refined_run)
    for name in ("mixture", "normal"):
        hands = draw_hands(run=run, n=2, seed=1, sampler=name, refine=False)
        assert torch.equal(hands.latents, run.samplers[name].sample(2, 1))
        assert hands.record["sampler"] == name
    with pytest.raises(ValueError, match=r"The run has no sampler 'prior'\. Choose one of: mixture, normal"):
        generate(GenerateArgs(refined_run, sampler="prior"))


def test_a_wrong_number_is_one_sentence_and_makes_no_folder(plain_run, tmp_path):
    for name in ("n", "best_of", "rounds"):
        with pytest.raises(ValueError, match=f"--{name.replace('_', '-')} must be at least 1, got 0"):
            generate(GenerateArgs(plain_run, **{name: 0}, out=tmp_path / "hands"))
    with pytest.raises(ValueError, match="--refine-below must be a number, or 'inf', got nan"):
        generate(GenerateArgs(plain_run, refine_below=float("nan"), out=tmp_path / "hands"))
    assert not (tmp_path / "hands").exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"weights": "synthetic"}, "--weights is for drawing without RUN, got 'synthetic' and '.*'. Leave one out"),
        ({"refine": False, "rounds": 4}, "--rounds is for the refiner, which --no-refine leaves out, got 4"),
        (
            {"refine": False, "refine_below": 0.5},
            "--refine-below is for the refiner, which --no-refine leaves out, got",
        ),
    ],
)
def test_what_would_do_nothing_is_refused(plain_run, tmp_path, settings, message):
    with pytest.raises(ValueError, match=message):
        generate(GenerateArgs(plain_run, **settings, out=tmp_path / "hands"))
    assert not (tmp_path / "hands").exists()


@pytest.mark.parametrize("more", [{"n": 10**12}, {"n": 2, "best_of": 10**12}])
def test_more_hands_than_the_memory_holds_are_refused_before_a_folder_is_made(plain_run, tmp_path, more):
    with pytest.raises(ValueError, match=r"--n must be at most \d+: this computer's memory holds no more hands of 32"):
        generate(GenerateArgs(plain_run, **more, out=tmp_path / "hands"))
    with pytest.raises(ValueError, match=r"--n must be at most \d+: this computer's memory holds no more hands of 32"):
        judge_attack(JudgeAttackArgs(plain_run, n=10**12))
    with pytest.raises(ValueError, match=r"--held-out must be at most \d+: this computer's memory holds no more hands"):
        refine_run(RefineArgs(plain_run, held_out=10**12, out=tmp_path / "hands"))
    assert not (tmp_path / "hands").exists()


def test_the_grid_shows_the_first_hands_alone_if_there_are_many(plain_run, tmp_path, monkeypatch):
    monkeypatch.setattr("agents.commands.generate.SHOWN", 4)
    folder = generate(GenerateArgs(plain_run, n=9, out=tmp_path / "hands"))
    assert len(pictures(folder)) == 9
    with Image.open(folder / "grid.png") as grid:
        assert grid.size == (2 * 130 + 2, 2 * 130 + 2)
