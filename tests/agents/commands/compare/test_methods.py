from dataclasses import replace

import numpy as np
import pytest
import torch

from agents.commands.compare.methods import EVERY, Cost, decoded, make_methods
from vae.model import VAE


@pytest.fixture
def latents(make_loaded):
    return make_loaded().samplers["normal"].sample(20, 0)


@pytest.fixture
def methods_of(make_loaded, make_args, score):
    """Cells of one sampler by the agent's name."""

    def make(agents=None, **settings):
        args = make_args(**{"samplers": ["normal"], **settings})
        return {method.agent: method for method in make_methods(make_loaded(**(agents or {})), score, args)}

    return make


def brightness_of(loaded, latents, score):
    return score(loaded.vae.decode(latents).clamp(0, 1))


def test_every_sampler_meets_every_agent(make_loaded, make_args, score, constant, uphill):
    loaded = make_loaded(**{"sac-latent": constant(uphill), "sac-refine": constant(uphill)})
    methods = list(make_methods(loaded, score, make_args(rounds=[1, 2], gradient_steps=[1, 3], best_of=[2])))
    acting = [f"{agent}-{rounds}" for agent in ("random", "sac-latent", "sac-refine") for rounds in (1, 2)]
    agents = ["none", *acting, "gradient-1", "gradient-3", "best-of-2"]
    assert [(method.sampler, method.agent) for method in methods] == [
        *(("normal", agent) for agent in agents),
        *(("mixture", agent) for agent in agents),
        ("prior", EVERY),
    ]
    assert [method.missing for method in methods if method.correct is None] == ["no sampler 'prior'"]


def test_agents_that_a_run_does_not_have_are_missing(methods_of):
    missing = {agent: method.missing for agent, method in methods_of(rounds=[1]).items() if method.correct is None}
    assert missing == {"sac-latent-1": "no agent 'sac-latent'", "sac-refine-1": "no agent 'sac-refine'"}


def test_no_correction_lowers_the_score_or_goes_beyond_kappa(methods_of, make_loaded, latents, score, constant, uphill):
    agents = {"sac-latent": constant(-uphill), "sac-refine": constant(uphill, delta_scale=0.25, steps=2)}
    before = brightness_of(make_loaded(), latents, score)
    for name, method in methods_of(agents, rounds=[1, 3], gradient_steps=[3]).items():
        found = method.correct(latents.clone())
        assert (brightness_of(make_loaded(), found, score) >= before - 1e-6).all(), name
        if "best-of" not in name:
            rounds = 3 if name.endswith("-3") else 1
            assert (found - latents).abs().max() <= 0.5 * rounds + 1e-6, name


@pytest.mark.usefixtures("real_channels")
def test_what_does_not_help_is_dropped_and_what_helps_is_kept(methods_of, latents, constant, uphill):
    methods = methods_of({"sac-latent": constant(-uphill), "sac-refine": constant(uphill)})
    names = ("sac-latent-1", "sac-refine-1")
    down, up = ((methods[name].correct(latents) != latents).any(1).float().mean() for name in names)
    assert down < 0.3 < 0.7 < up


def test_what_scores_enough_is_left_as_it_is(methods_of, make_loaded, latents, score, constant, uphill):
    before = brightness_of(make_loaded(), latents, score)
    refine_below = float(before.median())
    right = before >= refine_below
    odds = np.log(refine_below / (1 - refine_below)) - 1e-6
    for name, method in methods_of({"sac-refine": constant(uphill)}, refine_below=odds).items():
        if method.correct is not None and name != "none" and "best-of" not in name:
            found = method.correct(latents)
            assert torch.equal(found[right], latents[right]), name
            assert (found[~right] != latents[~right]).any(), name


def test_kappa_is_the_refining_agent_s_reach_unless_it_is_given(methods_of, latents, constant, uphill):
    def reach(method):
        return float((method.correct(latents) - latents).abs().max())

    assert reach(methods_of(rounds=[1], gradient_steps=[20])["gradient-20"]) == pytest.approx(1.0)
    refine = {"sac-refine": constant(uphill, delta_scale=0.25, steps=2)}
    assert reach(methods_of(refine, rounds=[1], gradient_steps=[20])["gradient-20"]) == pytest.approx(0.5)
    assert reach(methods_of(refine, rounds=[1, 3], gradient_steps=[20])["gradient-20"]) == pytest.approx(1.5)
    methods = methods_of(refine, rounds=[1], gradient_steps=[20], delta_scale=0.1)
    assert reach(methods["gradient-20"]) == reach(methods["sac-refine-1"]) == pytest.approx(0.1)


def test_the_best_of_k_is_the_best_of_the_latents_and_k_minus_1_other_draws(methods_of, make_loaded, latents, score):
    loaded = make_loaded()
    draws = torch.stack([latents, *(loaded.samplers["normal"].sample(20, seed) for seed in (1, 2))])
    scores = torch.stack([brightness_of(loaded, draw, score) for draw in draws])
    expected = draws[scores.argmax(0), torch.arange(20)]
    methods = methods_of(best_of=[1, 3])
    assert torch.equal(methods["best-of-1"].correct(latents), latents)
    assert torch.equal(methods["best-of-3"].correct(latents), expected)


def test_cells_repeat(methods_of, latents, constant, uphill):
    for agent in ("random-1", "gradient-1", "best-of-2"):
        assert torch.equal(methods_of()[agent].correct(latents), methods_of()[agent].correct(latents))


def test_the_cost_is_what_is_decoded_and_judged(make_loaded, make_args, score, constant, uphill, latents):
    counts = {"decoded": 0, "judged": 0, "backward": 0}

    class Counting(torch.nn.Module):
        def __init__(self, decoder):
            super().__init__()
            self.decoder = decoder

        def forward(self, rows):
            counts["decoded"] += len(rows)
            counts["backward"] += len(rows) * rows.requires_grad
            return self.decoder(rows)

    def judge(pictures):
        counts["judged"] += len(pictures)
        return score(pictures)

    loaded = make_loaded(**{"sac-latent": constant(uphill), "sac-refine": constant(uphill, steps=2)})
    vae = VAE(loaded.vae.encoder, Counting(loaded.vae.decoder), 32, 6)
    for method in make_methods(replace(loaded, vae=vae), judge, make_args(samplers=["normal"], best_of=[2, 5])):
        counts.update(dict.fromkeys(counts, 0))
        assert method.correct is not None
        method.correct(latents)
        if method.agent == "none":
            assert (method.cost, sum(counts.values())) == (
                Cost(1, 0, 0),
                0,
            )  # the picture itself is still to be decoded
        else:
            assert Cost(*(count / 20 for count in counts.values())) == method.cost, method.agent


def test_what_an_agent_decodes_to_look_at_counts_once_a_round(make_loaded, make_args, score, constant, uphill):
    loaded = make_loaded(**{"sac-refine": replace(constant(uphill, steps=2), looks=2)})
    args = make_args(samplers=["normal"], agents=["sac-refine"], rounds=[1, 3])
    assert [method.cost for method in make_methods(loaded, score, args)] == [Cost(4, 2), Cost(10, 4)]


def test_a_cost_is_written_with_gradients_only_where_there_are_some():
    assert [str(cost) for cost in (Cost(), Cost(2, 2), Cost(21, 21, 20))] == ["1 + 0", "2 + 2", "21 + 21 + 20"]


def test_pictures_are_bytes_whatever_the_chunks(make_loaded):
    latents = torch.randn(70, 6, generator=torch.Generator().manual_seed(0))
    pictures = decoded(make_loaded(), latents)
    assert pictures.shape == (70, 3, 32, 32)
    assert pictures.dtype == torch.uint8
    assert (pictures[69].int() - decoded(make_loaded(), latents[69:])[0].int()).abs().max() <= 1
