import base64
import io

import numpy as np
import pytest
import torch
from PIL import Image

from agents import draw_hands
from agents.commands.demo.draw_tab import MOST, DrawSettings, agent_of, draw, in_parts
from vae import VAEConfig, build_vae
from vae.sampling.reencoded import Reencoded
from vae.sampling.sampler import StandardNormal

pytestmark = pytest.mark.usefixtures("bright")  # which is never enough for the refiner


def pixels(url):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2])))).transpose(2, 0, 1)


def shown(events, side):
    return [hand[side] for event in events if "hands" in event for hand in event["hands"]]


def test_the_hands_are_those_that_draw_hands_draws_without_the_agent_and_with_it(run):
    events = list(draw(run, DrawSettings("", n=6, seed=3)))
    for side, refine in (("without", False), ("with", True)):
        hands = draw_hands(6, seed=3, run=run, refine=refine)
        drawn = np.stack([pixels(hand["picture"]) for hand in shown(events, side)])
        assert np.abs(drawn.astype(int) - hands.images.numpy()).max() <= 1  # fewer decoded at a time round otherwise
        assert [hand["correct"] for hand in shown(events, side)] == [one.correct for one in hands.judgements]
    assert shown(events, "without") != shown(events, "with")
    changed = sum(hand["with"] != hand["without"] for event in events if "hands" in event for hand in event["hands"])
    assert events[-1]["summary"][-1] == f"The agent changed {changed} of 6 hands."


def test_hands_come_some_at_a_time_with_how_many_are_done(run):
    events = list(draw(run, DrawSettings("", n=6)))
    assert [(event["done"], event["of"]) for event in events[1:-1]] == [(4, 6), (6, 6)]
    assert events[-1]["summary"][0].startswith("Correct without the agent: 0.0% (0 of 6; ")


def test_without_an_agent_there_is_one_side(bare_run):
    events = list(draw(bare_run, DrawSettings("", n=2)))
    assert events[0] == {"agent": "These weights have no agent that acts on drawn hands."}
    assert shown(events, "with") == [None, None]
    assert len(events[-1]["summary"]) == 1


def test_the_agent_that_acts_is_named(run, bare_run):
    assert agent_of(bare_run) is None
    assert agent_of(run) == "The refiner, a SAC agent trained in HandRefine-v0"


def test_the_parts_of_a_sampler_that_re_encodes_are_its_samples():
    sampler = Reencoded(StandardNormal(6), build_vae(VAEConfig(32, 6), seed=1).eval(), 2)
    torch.testing.assert_close(torch.cat(list(in_parts(sampler, 6, 5))), sampler.sample(6, 5))


def test_another_sampler_draws_other_hands(run):
    drawn = [shown(draw(run, DrawSettings("", name, n=2)), "without") for name in ("mixture", "normal")]
    assert drawn[0] != drawn[1]
    with pytest.raises(ValueError, match="The run has no sampler 'prior'"):
        list(draw(run, DrawSettings("", "prior")))


@pytest.mark.parametrize(("settings", "message"), [({"n": MOST + 1}, "n must be at most 60"), ({"seed": -1}, "seed")])
def test_numbers_out_of_range_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        DrawSettings("", **settings)
