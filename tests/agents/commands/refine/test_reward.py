"""What pays a refiner: log-odds, as in earlier versions, or verdicts alone."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from agents import RefineArgs, load_run, refine_run
from agents.commands.refine.training import RefinerTraining
from vae.evaluation import decode_all
from vae.files import save_hashed_json
from vae.images import to_float
from vae.sampling.sampler import Pool

TINY = {"samples": 96, "rows": 16, "width": 16, "held_out": 8, "device": "cpu", "policy": "latents"}  # quick

pytestmark = pytest.mark.usefixtures("bright")


@pytest.fixture
def run(narrow_run, tmp_path):
    return Path(shutil.copytree(narrow_run, tmp_path / "run"))


def test_verdicts_pay_without_log_odds_and_only_wrong_hands_are_learned_from(run, monkeypatch):
    class Half:  # a judge with verdicts alone: brighter than half of the sampler's hands
        def __init__(self, *_):
            pass

        def correct(self, images):
            return (images.mean((1, 2, 3)) > limit).float()

    loaded = load_run(run)
    pictures = to_float(decode_all(loaded.vae, loaded.samplers["mixture"].sample(200, 1)))
    limit = float(pictures.mean((1, 2, 3)).median())
    monkeypatch.setattr("agents.commands.refine.training.default_judge", Half)
    args = RefineArgs(run, **{**TINY, "samples": 1024, "held_out": 100}, reward="verdict", sampler="mixture")
    training = RefinerTraining(loaded, args, run / "none")
    pool = training.starts.sampler
    assert isinstance(pool, Pool)
    assert not training.env.env.score(pool.latents.numpy()).any()
    refine_run(args)
    report = json.loads((run / "refine.json").read_text())
    log = report["training_log"]
    assert report["settings"]["reward"] == "verdict"
    assert all(point["score_before"] == 0 and 0 <= point["reward"] == point["raised"] <= 1 for point in log)
    early, late = (np.mean([point["reward"] for point in part]) for part in (log[:10], log[-10:]))
    assert late > early + 0.1
    measured = report["held_out"]
    assert measured["refine_below"] == 1
    before, after = (measured[when]["rewarding_judge_score"] for when in ("before", "after"))
    assert after == pytest.approx(before + measured["corrected"] / 100)
    with pytest.raises(ValueError, match="with --reward 'verdict' instead of 'logit'"):
        refine_run(replace(args, reward="logit"))
    limit = -1.0
    with pytest.raises(ValueError, match=r"None of 2,048 latents .* is wrong: .* --refine-below inf"):
        RefinerTraining(loaded, args, run / "none")


def test_a_refiner_of_an_earlier_version_was_paid_by_log_odds(run):
    refine_run(RefineArgs(run, **TINY))
    report = json.loads((run / "refine.json").read_text())
    del report["settings"]["reward"], report["sha256"]
    save_hashed_json(run / "refine.json", report)
    with pytest.raises(ValueError, match="already has a refiner, with these settings"):
        refine_run(RefineArgs(run, **TINY))
