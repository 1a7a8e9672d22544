"""Rejection sampling, by a classifier that has learned verdicts on latents."""

import math
from typing import Any

import pytest
import torch

from vae.files import DamagedError, load_tensors, save_tensors
from vae.sampling import rejection_fit
from vae.sampling.rejection import NO_LIMIT, LatentClassifier, RejectionSampler, innermost
from vae.sampling.rejection_fit import NothingToLearnError, fit_classifier
from vae.sampling.sampler import StandardNormal

DIM, SHARE = 6, 0.3


def verdicts(latents):
    """Two verdicts that depend on the latent, the second one on its length, and one that always holds."""
    return torch.stack([latents[:, 0] + latents[:, 1] > -1, latents.norm(dim=1) < 2.5, latents[:, 0] < 99], 1)


def narrower(n, seed):
    """Latents of another sampler than the judged ones come from."""
    return 0.8 * StandardNormal(DIM).sample(n, seed)


class Narrower:
    """A sampler of these."""

    sample = staticmethod(narrower)


def fitted(share=SHARE, seed=0):
    judged = StandardNormal(DIM).sample(4000, 1)
    return fit_classifier(judged, verdicts(judged), narrower(2000, 2), share=share, seed=seed, width=64)


@pytest.fixture(scope="module")
def found():
    return fitted()


def test_it_learns_verdicts_and_says_how_well_on_held_out_latents(found):
    assert found.areas == [pytest.approx(0.99, abs=0.02), pytest.approx(0.85, abs=0.05), None]  # the last always holds
    judged = StandardNormal(DIM).sample(4000, 1)
    noise = torch.rand(4000, 1, generator=torch.Generator().manual_seed(0)) < 0.5
    blind = fit_classifier(judged, noise, judged, share=1.0, seed=0, width=64)
    assert blind.areas == [pytest.approx(0.5, abs=0.1)]


@pytest.mark.parametrize("share", [0.05, 0.5, 1.0])
def test_it_accepts_the_share_of_the_sampler_that_was_asked_for(share):
    classifier = fitted(share).classifier
    assert classifier.share == pytest.approx(share, abs=0.001)
    fresh = narrower(4000, 3)
    assert classifier.accepts(fresh).float().mean() == pytest.approx(share, abs=0.03)


def test_each_verdict_holds_more_often_among_the_accepted(found):
    fresh = narrower(4000, 3)
    before, after = (verdicts(rows).float().mean(0) for rows in (fresh, fresh[found.classifier.accepts(fresh)]))
    assert (1 - after < 0.6 * (1 - before))[:2].all()  # which leaves fewer than 60 % of the wrong ones


def test_a_verdict_that_teaches_nothing_gets_no_limit(found):
    assert found.classifier.limits[2] == NO_LIMIT
    assert (found.classifier.limits[:2] > -20).all()


def test_the_limits_are_one_quantile_of_each_verdict(found):
    scores = found.classifier(narrower(2000, 2))[:, :2]
    one, other = (scores < found.classifier.limits[:2]).float().mean(0).tolist()
    assert one == pytest.approx(other, abs=1e-6)
    assert 0.3 < one < 0.7  # each turns away fewer than both together, 0.7


def test_a_limit_that_keeps_twice_as_many_turns_fewer_away():
    judged, drawn = StandardNormal(DIM).sample(4000, 1), narrower(2000, 2)
    settings: dict[str, Any] = {"share": SHARE, "seed": 0, "width": 64}
    classifier = fit_classifier(judged, verdicts(judged), drawn, keeps=[1.5, 1.0, 1.0], **settings).classifier
    one, other = (classifier(drawn)[:, :2] >= classifier.limits[:2]).float().mean(0).tolist()
    assert one == pytest.approx(1.5 * other, abs=0.002)
    assert classifier.accepts(drawn).float().mean() == pytest.approx(SHARE, abs=1e-6)
    assert classifier.limits[2] == NO_LIMIT  # it teaches nothing
    generous = fit_classifier(judged, verdicts(judged), drawn, keeps=[50.0, 1.0, 1.0], **settings).classifier
    assert (generous(drawn)[:, 0] >= generous.limits[0]).all()
    for wrong in ([1.0, 1.0], [1.0, 0.0, 1.0], [1.0, math.inf, 1.0]):
        with pytest.raises(ValueError, match="keeps must be 3 numbers above 0, one for each verdict"):
            fit_classifier(judged, verdicts(judged), drawn, keeps=wrong, **settings)


def test_the_same_seed_trains_the_same_classifier_bit_for_bit_and_another_seed_another(found):
    again, other = fitted().classifier.state_dict(), fitted(seed=1).classifier.state_dict()
    for name, tensor in found.classifier.state_dict().items():
        assert torch.equal(again[name], tensor)
    assert not torch.equal(other["layers.0.weight"], again["layers.0.weight"])


def test_training_leaves_the_global_random_numbers_alone():
    before = torch.get_rng_state()
    fitted()
    assert torch.equal(torch.get_rng_state(), before)


def test_it_is_read_as_it_was_saved_and_its_layers_take_two_bytes_a_number(found, tmp_path):
    path = tmp_path / "classifier.safetensors"
    found.classifier.save(path)
    before = torch.get_rng_state()
    read = LatentClassifier.load(path)
    assert torch.equal(torch.get_rng_state(), before)
    for name, tensor in found.classifier.state_dict().items():
        assert torch.equal(read.state_dict()[name], tensor), name
    kinds = {name: tensor.dtype for name, tensor in load_tensors(path).items()}
    assert {kind for name, kind in kinds.items() if name.startswith("layers")} == {torch.float16}
    LatentClassifier(300, 3).save(path)  # of the recipe's size
    assert path.stat().st_size < 1_000_000
    assert LatentClassifier.load(path).accepts(torch.randn(5, 300)).all()  # no limits yet


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"share": torch.tensor(0.0)}, r"its share must lie in \(0, 1\]"),
        ({"scale": torch.zeros(DIM)}, "its scale above 0"),
        ({"mean": torch.zeros(DIM + 1)}, "it must hold a classifier of latents"),
        ({"layers.0.weight": torch.zeros(3)}, "it must hold a classifier of latents"),
    ],
)
def test_a_file_that_holds_no_classifier_is_refused(found, tmp_path, change, said):
    path = tmp_path / "classifier.safetensors"
    found.classifier.save(path)
    save_tensors(path, {**load_tensors(path), **change})
    with pytest.raises(DamagedError, match=said):
        LatentClassifier.load(path)


def test_wrong_settings_are_refused(monkeypatch):
    judged = StandardNormal(DIM).sample(3000, 1)
    with pytest.raises(ValueError, match=r"share must lie in \(0, 1\], got 0"):
        fit_classifier(judged, verdicts(judged), judged, share=0.0, seed=0)
    with pytest.raises(ValueError, match="needs at least 2560 judged latents, got 2559"):
        fit_classifier(judged[:2559], verdicts(judged[:2559]), judged, share=0.5, seed=0)
    with pytest.raises(ValueError, match="at least 1 must be drawn, got 0"):
        fit_classifier(judged, verdicts(judged), judged[:0], share=0.5, seed=0)
    monkeypatch.setattr(rejection_fit, "EPOCHS", 0)
    with pytest.raises(NothingToLearnError, match="the same for all latents"):
        fit_classifier(judged, verdicts(judged)[:, 2:], judged, share=0.5, seed=0)


@pytest.mark.parametrize("n", [1, 40, 700])
def test_it_draws_as_many_as_asked_for_and_all_are_accepted(found, n):
    drawn = RejectionSampler(Narrower(), found.classifier).sample(n, seed=4)
    assert drawn.shape == (n, DIM)
    assert found.classifier.accepts(drawn).all()
    assert len(drawn.unique(dim=0)) == n


def test_no_round_repeats_another(monkeypatch):
    class Few(LatentClassifier):
        def accepts(self, latents):
            return latents[:, 0] > 1.5

    monkeypatch.setattr("vae.sampling.rejection.MOST", 50)
    classifier = Few(3, 1)
    classifier.share.fill_(0.0668)
    drawn = RejectionSampler(StandardNormal(3), classifier).sample(40, seed=0)  # in about 12 rounds
    assert len(drawn.unique(dim=0)) == 40


def test_a_seed_draws_the_same_latents_and_another_seed_others(found):
    sampler = RejectionSampler(Narrower(), found.classifier)
    one, again, other = (sampler.sample(20, seed) for seed in (4, 4, 5))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


def test_a_sampler_that_it_does_not_belong_to_ends_with_a_sentence(found, monkeypatch):
    sizes = []

    class Far:
        def sample(self, n, seed):
            sizes.append(n)
            return torch.full((n, DIM), -9.0)

    sampler = RejectionSampler(Far(), found.classifier)
    monkeypatch.setattr("vae.sampling.rejection.MOST", 300)
    with pytest.raises(RuntimeError, match=r"too few latents: 0 of 1,\d{3}, and 10 are wanted.*accept 30\.0% of them"):
        sampler.sample(10, seed=0)
    assert set(sizes) == {40}  # candidates for 10 latents at 30 %, and a fifth more
    with pytest.raises(RuntimeError):
        sampler.sample(1000, seed=0)
    assert max(sizes) == 300


def test_the_innermost_sampler_is_what_rejection_starts_from(found):
    start = StandardNormal(DIM)
    assert innermost(RejectionSampler(start, found.classifier)) is start
    assert innermost(start) is start
