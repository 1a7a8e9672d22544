"""How the recipe learns to draw by rejection from judged candidates."""

from dataclasses import replace

import pytest
import torch

from agents.commands.recipe import RecipeArgs, rejection
from agents.commands.recipe.rejection import far, learn_to_reject
from agents.commands.recipe.selection import Candidates
from vae.model import VAEConfig, build_vae
from vae.progress import show_progress
from vae.sampling import rejection_fit
from vae.sampling.flow import FlowPrior, Velocity
from vae.sampling.rejection import NO_LIMIT, LatentClassifier

DIM = 4


@pytest.fixture(autouse=True)
def few(monkeypatch):
    monkeypatch.setattr(rejection_fit, "FEWEST", 1200)
    monkeypatch.setattr(rejection, "DRAWN", 200)


@pytest.fixture(scope="module")
def vae():
    return build_vae(VAEConfig(32, DIM, "small"), seed=0).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def prior():
    torch.manual_seed(0)
    return FlowPrior(Velocity(DIM, width=16, blocks=1), torch.zeros(DIM), torch.ones(DIM), 0.9, 0.4)


@pytest.fixture
def args(tmp_path):
    return RecipeArgs(out=tmp_path, accept=0.25, reencode_passes=0)


@pytest.fixture(scope="module")
def candidates():
    latents = torch.randn(1200, DIM, generator=torch.Generator().manual_seed(0))
    return Candidates(latents, torch.stack([latents[:, 0] > -0.5, latents[:, 1] > -0.5], 1), latents)


def test_without_photographs_it_learns_the_judge_s_verdicts_alone(args, candidates, vae, prior):
    right = replace(candidates, holds=candidates.holds[:, :1])
    facts = learn_to_reject(args, right, prior, vae, None)
    assert facts == {"accept": 0.25, "areas": {"correct": pytest.approx(0.95, abs=0.06)}, "accepted": 0.25}
    assert len(LatentClassifier.load(args.out / "classifier.safetensors").limits) == 1


def test_with_photographs_it_also_learns_what_is_far_from_them(args, candidates, vae, prior):
    photographs = torch.randint(0, 256, (3, 3, 32, 32), dtype=torch.uint8)
    facts = learn_to_reject(args, candidates, prior, vae, photographs)
    assert list(facts["areas"]) == ["correct", "new", "far"]
    assert facts["areas"]["far"] > 0.6
    classifier = LatentClassifier.load(args.out / "classifier.safetensors")
    assert (classifier.limits > NO_LIMIT).all()
    drawn = prior.sample(2000, seed=77)
    kept = drawn[classifier.accepts(drawn)]
    assert len(kept) / 2000 == pytest.approx(0.25, abs=0.1)  # of the final prior's latents
    for column in (0, 1):
        assert (kept[:, column] > -0.5).float().mean() > 0.5 + 0.5 * (drawn[:, column] > -0.5).float().mean()


def test_the_limits_are_chosen_on_what_the_final_sampler_draws(args, candidates, vae, prior, monkeypatch):
    seen = []

    def fit(latents, holds, drawn, **settings):
        seen.append(drawn)
        return rejection_fit.fit_classifier(latents, holds, drawn, **settings)

    monkeypatch.setattr(rejection, "fit_classifier", fit)
    for passes in (0, 1):
        learn_to_reject(replace(args, reencode_passes=passes), candidates, prior, vae, None)
    assert len(seen[0]) == 200
    assert len(seen[0].unique(dim=0)) == 200
    again, _ = vae.encode(vae.decode(seen[0]).clamp(0, 1))
    torch.testing.assert_close(seen[1], again, rtol=0.0, atol=1e-4)
    assert (seen[1] - seen[0]).abs().max() > 0.1


def test_far_is_what_is_farther_than_half_from_its_nearest_known_latent(monkeypatch):
    monkeypatch.setattr(rejection, "CHUNK", 2)
    latents = torch.tensor([[0.0], [1.0], [9.0], [13.0], [30.0]])
    known = torch.tensor([[10.0], [0.5]])
    assert far(latents, known).tolist() == [False, False, False, True, True]  # 0.5, 0.5, 1, 3, 20


def test_nobody_asked_or_nothing_to_learn_leaves_no_classifier(args, candidates, vae, prior, capsys):
    assert learn_to_reject(replace(args, accept=1.0), candidates, prior, vae, None) == {}
    assert learn_to_reject(args, None, prior, vae, None) == {}
    same = replace(candidates, holds=torch.ones(1200, 1, dtype=torch.bool))
    with show_progress():
        facts = learn_to_reject(args, same, prior, vae, None)
    assert facts["accept"] == 0.25
    assert "the same for all latents" in facts["missing"]
    assert "No latent will be rejected." in capsys.readouterr().out
    assert list(args.out.iterdir()) == []
