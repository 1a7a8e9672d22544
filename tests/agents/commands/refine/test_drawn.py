"""What a refiner draws in advance: what it learns from, and what its critics are taught."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from agents import RefineArgs, load_run, refine_run
from agents.commands.refine import training as training_module
from agents.commands.refine.training import RefinerTraining

TINY = {"samples": 96, "rows": 16, "width": 16, "held_out": 8, "device": "cpu", "policy": "latents"}  # quick

pytestmark = pytest.mark.usefixtures("bright")


@pytest.fixture
def run(narrow_run, tmp_path):
    return Path(shutil.copytree(narrow_run, tmp_path / "run"))


def pool_of(training):
    return training.env.env.sampler.sampler


@pytest.mark.parametrize(("policy", "drawn"), [("latents", 2 * 96), ("pictures", 5 * 96)])
def test_the_pool_that_training_draws_from_is_large_enough_to_be_new_at_nearly_every_step(run, policy, drawn):
    args = RefineArgs(run, **{**TINY, "policy": policy}, sampler="mixture", refine_below=float("inf"))
    pool = pool_of(RefinerTraining(load_run(run), args, run / "none"))
    assert len(pool.latents) == drawn
    assert np.array_equal(pool.sample(4, 1), pool.sample(4, 1))


def test_only_latents_that_are_not_right_enough_are_learned_from(run):
    def pool(refine_below):
        training = RefinerTraining(
            load_run(run), RefineArgs(run, **TINY, sampler="mixture", refine_below=refine_below), run / "none"
        )
        return training.env.env, pool_of(training).latents

    env, everything = pool(float("inf"))
    scores = env.score(everything.numpy())
    middle = float(np.median(scores))
    _, wrong = pool(middle)
    assert torch.equal(wrong, everything[torch.from_numpy(scores < middle)])
    none = r"None of 192 latents of .* 'mixture' scores below --refine-below -30\.0.* --rows 16 .* --refine-below inf "
    with pytest.raises(ValueError, match=none):
        pool(-30.0)
    with pytest.raises(ValueError, match="--refine-below must be a number, or 'inf', got nan"):
        refine_run(RefineArgs(run, **TINY, refine_below=float("nan")))


@pytest.mark.parametrize(
    ("changes", "epochs"),
    [
        ({}, 4),
        ({"critic_epochs": 7}, 7),
        ({"critic_epochs": 0}, 0),
        ({"policy": "latents"}, 0),
        ({"steps_per_episode": 2}, 0),
        ({"refine_below": float("inf")}, 0),
    ],
)
def test_critics_learn_scores_in_advance_where_they_can(run, monkeypatch, changes, epochs):
    taught = []
    monkeypatch.setattr(training_module, "teach_scores", lambda *args: taught.append(args))
    args = RefineArgs(run, **{**TINY, "policy": "pictures", "sampler": "mixture", **changes})
    training = RefinerTraining(load_run(run), args, run / "checkpoints")
    assert len(taught) == (epochs > 0)
    for policy, latents, scores, low, passes, seed in taught:
        assert policy is training.model.policy
        assert (len(latents), passes, seed) == (5 * 96, epochs, 0)
        assert torch.equal(pool_of(training).latents, latents[low])
        assert np.allclose(scores, training.env.env.score(latents.numpy()), atol=1e-4)
        assert torch.equal(low, scores < args.refine_below)
    training._save()
    RefinerTraining(load_run(run), args, run / "checkpoints")  # resumes
    assert len(taught) == (epochs > 0)
