"""The training of the recipe's VAE."""

from dataclasses import replace

import pytest
import torch

from vae.adversarial.training import AHEAD, AdversarialConfig, AdversarialTrainer
from vae.model import VAEConfig

SETTINGS = AdversarialConfig(steps=2 * AHEAD, batch=4, patches_from=0.25, features_from=0.5)
CONFIG = VAEConfig(128, 24, "small")


@pytest.fixture(scope="module", autouse=True)
def narrow_critics():
    """A quarter of a step goes into the layers of the critics of patches."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vae.adversarial.critics.WIDTHS", (8, 16, 32, 32))
        yield


@pytest.fixture(scope="module")
def finished(batches, with_real_channels):
    """A run of two groups of batches, the state after the first, and the terms of each step."""
    with with_real_channels():
        run = AdversarialTrainer(SETTINGS, CONFIG, batches, "cpu")
    terms = [run.step() for _ in range(AHEAD)]
    state = run.state_dict()
    state = {name: _copied(part) for name, part in state.items()}
    terms += [run.step() for _ in range(AHEAD)]
    return run, state, terms


def _copied(part):
    if isinstance(part, torch.Tensor):
        return part.clone()
    if isinstance(part, dict):
        return {name: _copied(value) for name, value in part.items()}
    return [_copied(value) for value in part] if isinstance(part, list) else part


def test_it_learns(finished):
    _, _, terms = finished
    pixels = torch.stack([step["pixels"] for step in terms])
    assert pixels[-4:].mean() < 0.8 * pixels[0], pixels
    assert all(term.isfinite() for step in terms for term in step.values())


def test_the_critics_begin_when_they_should(finished):
    _, _, terms = finished
    for name, first in (("patches", AHEAD // 2), ("critics", AHEAD // 2), ("features", AHEAD)):
        assert [name in step for step in terms] == [False] * first + [True] * (2 * AHEAD - first)


@pytest.mark.usefixtures("real_channels")
def test_a_resumed_run_ends_as_one_that_was_not_stopped(batches, finished):
    run, state, _ = finished
    resumed = AdversarialTrainer(SETTINGS, CONFIG, batches, "cpu")
    resumed.load_state_dict(state)
    for _ in range(AHEAD):
        resumed.step()
    for name in ("vae", "averaged", "regions", "patches", "features"):
        expected, got = (getattr(a, name).state_dict() for a in (run, resumed))
        assert all(torch.equal(expected[key], got[key]) for key in expected)
    assert resumed.log_weight == run.log_weight


def test_the_weight_of_the_kl_term_rises_while_latents_tell_too_much(batches):
    weights = {}
    for nats in (0.1, 1e6):
        run = AdversarialTrainer(
            replace(SETTINGS, nats=nats, patches_from=2.0, features_from=2.0), CONFIG, batches, "cpu"
        )
        for _ in range(11):
            run.step()
        weights[nats] = run.log_weight
    assert weights[0.1] > weights[1e6]


def test_uniform_deltas_shift_what_is_decoded_by_a_reach_that_falls(batches):
    decoded = {}
    for deltas in (0.0, 4.0):
        settings = replace(SETTINGS, deltas=deltas, patches_from=2.0, features_from=2.0)
        run = AdversarialTrainer(settings, CONFIG, batches, "cpu")
        state = _copied(run.state_dict())
        with pytest.MonkeyPatch.context() as patch:
            decoded[deltas] = _kept(run, patch)
            for steps in (0, 3 * AHEAD // 2):  # at the start, and after three quarters
                run.load_state_dict({**state, "steps": steps})
                run.step()
    for reach, plain, shifted in zip((4.0, 1.0), *decoded.values(), strict=True):
        shift = shifted - plain
        assert 0.9 * reach < shift.abs().max() <= reach * (1 + 1e-6)
        assert shift.mean().abs() < 0.3 * reach


def _kept(run, patch):
    """Return a list that gets the latents which a trainer decodes."""
    kept, features = [], run.decoder.features

    def keep(latents):
        kept.append(latents.detach())
        return features(latents)

    patch.setattr(run.decoder, "features", keep)
    return kept


@pytest.mark.usefixtures("real_channels")
def test_with_a_prior_the_encoder_stays_and_critics_judge_what_the_prior_draws(batches, monkeypatch):
    run = AdversarialTrainer(replace(SETTINGS, patches_from=0.0, features_from=0.0), CONFIG, batches, "cpu")
    for _ in range(3):
        run.step()
    pool = torch.randn(5, 24, generator=torch.Generator().manual_seed(0))
    run.freeze_encoder()
    run.learn_prior(pool)
    encoder, decoder = ([p.clone() for p in part.parameters()] for part in (run.averaged.encoder, run.vae.decoder))
    decoded, judged, features, criticise = [], [], run.decoder.features, run._criticise

    def seen(latents):
        decoded.append(latents.detach())
        return features(latents)

    def heard(seen):
        judged.append(seen)
        return criticise(seen)

    monkeypatch.setattr(run.decoder, "features", seen)
    monkeypatch.setattr(run, "_criticise", heard)
    terms = run.step()
    (latents,), (pairs,) = decoded, judged
    assert latents.shape == (6, 24)  # of 4 pictures, and half as many of the prior
    assert all((pool == row).all(1).any() for row in latents[4:])
    assert [(len(real), len(fake)) for _, (real, *_), (fake, *_) in pairs] == [(2, 4)] * 2  # half, and the prior's
    assert all(term.isfinite() for term in terms.values())
    for mine in (run.vae.encoder, run.averaged.encoder):
        assert all(torch.equal(a, b) for a, b in zip(mine.parameters(), encoder, strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(run.vae.decoder.parameters(), decoder, strict=True))
