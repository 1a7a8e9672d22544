"""What the judge accepts of a prior's candidates, and the prior that is fitted to it."""

from types import SimpleNamespace

import pytest
import torch

from agents.commands.recipe import selection
from agents.commands.recipe.selection import Judged, draw_candidates, fit_to_selected, likeness, right_and_new
from vae.model import VAEConfig, build_vae
from vae.sampling.flow import FlowPrior
from vae.sampling.flow_fit import fit_flow
from vae.sampling.reencoded import Reencoded

DIM = 4


@pytest.fixture(scope="module")
def vae():
    return build_vae(VAEConfig(32, DIM, "small"), seed=0).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def prior():
    def normal(n, generator):
        return torch.randn(n, DIM, generator=generator)

    held_out = normal(256, torch.Generator().manual_seed(9))
    return fit_flow(normal, held_out, steps=600, batch=256, width=48, blocks=2, seed=0)[0]


@pytest.fixture(autouse=True)
def narrow(monkeypatch):
    monkeypatch.setattr(selection, "WIDTH", 48)
    monkeypatch.setattr(selection, "BLOCKS", 2)


def brightness(images):
    return images.mean((1, 2, 3))


def brighter_than(limit):
    return lambda images: Judged((brightness(images) > limit).unsqueeze(1), brightness(images).unsqueeze(1))


def drawn(prior, vae, n=1024, seed=5):
    """Brightness of what is drawn as the candidates are."""
    hotter = FlowPrior(prior.velocity, prior.mean, prior.scale, selection.TEMPERATURE, selection.FINAL_DENOISE)
    return brightness(vae.decode(Reencoded(hotter, vae, selection.REENCODE_PASSES).sample(n, seed)).clamp(0, 1))


def test_the_accepted_candidates_are_left_and_counted(prior, vae):
    light = drawn(prior, vae, n=300)
    limit = float(light.quantile(0.7))
    left = draw_candidates(prior, vae, brighter_than(limit), 300, seed=5)
    assert left.shares == [pytest.approx(0.3, abs=0.004)]
    assert len(left.latents) == 300
    assert len(left.accepted.latents) == 90
    light = brightness(vae.decode(left.accepted.latents).clamp(0, 1))
    assert (light > limit).all()
    torch.testing.assert_close(left.accepted.features[:, 0], light, atol=1e-5, rtol=0)
    assert (prior.temperature, prior.final_denoise) == (1.0, 0.0)  # as they were


def test_a_candidate_needs_every_verdict(prior, vae):
    def verdicts(images):
        holds = [torch.ones(len(images), dtype=torch.bool), torch.arange(len(images)) % 4 == 0]
        return Judged(torch.stack(holds, 1), images[:, 0, 0])

    left = draw_candidates(prior, vae, verdicts, 64, seed=0)
    assert left.shares == [1.0, 0.25]
    assert len(left.accepted.latents) == 16


def test_the_fitted_prior_draws_more_of_what_was_accepted(prior, vae):
    limit = float(drawn(prior, vae).quantile(0.6))
    left = draw_candidates(prior, vae, brighter_than(limit), 2048, seed=6)
    learned, log = fit_to_selected(left.accepted.latents, steps=400, seed=0)
    light = brightness(vae.decode(learned.sample(1024, seed=7)).clamp(0, 1))
    assert (light > limit).float().mean() > 0.7  # of the first prior's candidates, 0.4
    assert log[-1]["step"] == 400


def test_the_fitted_prior_draws_more_of_what_has_a_larger_weight():
    latents = torch.randn(2048, DIM, generator=torch.Generator().manual_seed(1))
    high = latents[:, 0] > 0
    learned, _ = fit_to_selected(latents, 1 + 3 * high.float(), steps=400, seed=0)
    assert (learned.sample(1024, seed=7)[:, 0] > 0).float().mean() > 0.68  # of the latents, 0.51


def test_candidates_weigh_as_much_as_photographs_are_like_them(monkeypatch):
    random = torch.Generator().manual_seed(2)
    photographs = torch.randn(400, 5, generator=random) + torch.tensor([1.0, 0, 0, 0, 0])
    candidates = torch.randn(4000, 5, generator=random)
    weights = likeness(candidates, photographs)
    expected = (0.5 * candidates[:, 0]).exp()  # the root of the ratio of two Gaussians, up to a factor
    assert torch.corrcoef(torch.stack([weights.log(), expected.log()]))[0, 1] > 0.95
    assert (weights.log().std() / expected.log().std()) == pytest.approx(1, abs=0.15)
    assert weights.median() == pytest.approx(1, abs=0.01)
    monkeypatch.setattr(selection, "MOST", 0.2)
    assert (weights.log().abs() <= 1.5).all()
    assert (likeness(candidates, photographs).log().abs() <= 0.101).all()


def test_fitting_to_too_few_selected_latents_is_refused():
    with pytest.raises(ValueError, match="needs at least 256 selected latents, got 255"):
        fit_to_selected(torch.zeros(255, DIM), steps=1, seed=0)


def test_the_rewarding_judge_says_what_is_right_and_what_is_new(monkeypatch):
    holds = torch.tensor([[True, True], [True, True], [True, False], [True, True]])
    doubts = torch.tensor([[False], [True], [False], [False]])
    judge = SimpleNamespace(
        find=lambda images: SimpleNamespace(holds=holds, doubts=doubts, parse=SimpleNamespace(feature=images[:, 0, 0]))
    )
    known = SimpleNamespace(
        novelty=lambda images, features: SimpleNamespace(new=torch.tensor([True, True, True, len(features) == 5]))
    )
    images = torch.zeros(4, 3, 32, 32)
    assert right_and_new(judge, None)(images).holds.tolist() == [[True], [False], [False], [True]]
    found = right_and_new(judge, known)(images)
    assert found.holds.tolist() == [[True, True], [False, True], [False, True], [True, False]]
    assert found.features.shape == (4, 32)
