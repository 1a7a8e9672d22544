import numpy as np
import pytest
import torch

from agents.commands.demo import watch_tab
from agents.commands.demo.watch_tab import CANDIDATES, CHUNK, STEPS, WRONG, WatchSettings, watch
from hand_env import LogitScore
from hand_env.refinement import score_latents

pytestmark = pytest.mark.usefixtures("bright")


class Scripted:
    """An agent that takes given steps along the first dimension."""

    def __init__(self, refiner, *steps):
        self.notes, self.steps = refiner.notes, list(steps)

    def predict(self, observation, deterministic):
        assert deterministic
        action = np.zeros(len(observation), np.float32)
        action[0] = self.steps.pop(0)
        return action, None


@pytest.fixture
def scripted(run, monkeypatch):
    """A function that lets an agent take these steps; brightness pays for the first dimension alone."""

    def script(*steps):
        monkeypatch.setattr(run.refiner.__class__, "predict", Scripted(run.refiner, *steps).predict)
        monkeypatch.setattr("hand_env.refine_env.score_latents", lambda vae, judge, latents: 1.0 * latents[:, 0])

    return script


@pytest.fixture
def scored(monkeypatch):
    """A function that lets the hands have these scores, in the order in which they are drawn, and counts them."""

    def score(scores):
        left = list(scores)
        monkeypatch.setattr(
            watch_tab, "score_latents", lambda vae, judge, latents: np.array([left.pop(0) for _ in latents])
        )
        return left

    return score


def test_the_first_wrong_hand_is_corrected_and_no_more_are_drawn_than_it_takes(run, scored):
    scores = np.arange(CANDIDATES) % 30 + 1.0
    scores[[CHUNK + 2, CHUNK + 5]] = -1, -4
    left = scored(scores)
    first = next(watch(run, WatchSettings("", seed=4)))
    latents = run.samplers[run.sampler_name()].sample(CANDIDATES, 4)
    own = score_latents(run.vae, LogitScore(), latents[CHUNK + 2 :][:1].numpy())[0]
    assert (first["step"], first["score"]) == (0, pytest.approx(own))
    assert len(left) == CANDIDATES - 2 * CHUNK


def test_if_none_is_wrong_the_lowest_is_corrected(run, scored):
    scores = np.full(CANDIDATES, 9.0)
    scores[100] = 1
    scored(scores)
    first = next(watch(run, WatchSettings("", seed=4)))
    latents = run.samplers[run.sampler_name()].sample(CANDIDATES, 4)
    assert first["score"] == pytest.approx(score_latents(run.vae, LogitScore(), latents[100:101].numpy())[0])


def test_a_kept_correction_is_where_the_next_begins_and_a_dropped_one_ends_it(run, scripted):
    scripted(1, 0.5, -1)
    start, one, two, three, end = watch(run, WatchSettings(""))
    kappa = run.refiner.notes.delta_scale
    assert (one["kept"], two["kept"], three["kept"]) == (True, True, False)
    assert one["score"] - start["score"] == pytest.approx(kappa)
    assert two["score"] - one["score"] == pytest.approx(kappa / 2)
    assert three["reward"] == pytest.approx(-kappa)
    assert three["score"] == pytest.approx(two["score"] - kappa)
    assert "deterministic" in end["end"]


def test_a_dropped_correction_leaves_the_hand_as_it_was(run, monkeypatch):
    monkeypatch.setattr("hand_env.refine_env.score_latents", lambda vae, judge, latents: 1.0 * latents[:, 0])
    events = list(watch(run, WatchSettings("", agent="random", seed=1)))
    assert len(events) == STEPS + 1
    reached = events[0]["score"]
    for event in events[1:]:
        assert event["score"] - event["reward"] == pytest.approx(reached)
        assert event["kept"] == (event["reward"] > 0)
        reached = max(reached, event["score"])
    assert {event["kept"] for event in events[1:]} == {True, False}
    assert 0.2 < np.mean([event["size"] for event in events[1:]]) < 0.8  # uniform in [-1, 1]: 0.5


def test_the_trained_agent_acts_as_in_the_environment(run):
    events = list(watch(run, WatchSettings("", seed=4)))
    latents = run.samplers[run.sampler_name()].sample(CANDIDATES, 4)
    scores = score_latents(run.vae, LogitScore(), latents.numpy())
    worst = latents[int((scores < WRONG).argmax() if (scores < WRONG).any() else scores.argmin())]
    refined = run.refiner.refine(worst[None], run.vae, LogitScore(), rounds=1, refine_below=torch.inf)
    reached = refined.score[0] if refined.corrected[0] else events[1]["score"]
    assert events[1]["score"] == pytest.approx(reached)
    assert events[1]["kept"] == refined.corrected[0]


def test_weights_without_a_refiner_are_refused(bare_run):
    with pytest.raises(
        ValueError, match=r"The weights 'mine' have no agent for HandRefine-v0. Train one with: handlatent"
    ):
        next(watch(bare_run, WatchSettings("mine")))


def test_a_seed_below_0_is_refused():
    with pytest.raises(ValueError, match="seed must be at least 0"):
        WatchSettings("", seed=-1)
    assert watch_tab.STEPS > 1
