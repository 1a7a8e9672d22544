from types import SimpleNamespace

import gymnasium as gym
import numpy as np
import pytest
import torch

import hand_env.refinement
from agents import NoAction, RandomAction
from hand_env import LogitScore, best_of, keep_better, refine
from hand_env.refinement import decode, score_latents
from vae import StandardNormal, VAEConfig, build_vae
from vae.evaluation import decode_chunks

N, D = 12, 6


def brightness(pictures):
    return pictures.mean((1, 2, 3))


@pytest.fixture(scope="module")
def vae():
    return build_vae(VAEConfig(32, D), seed=1).eval()


@pytest.fixture
def latents():
    return StandardNormal(D).sample(N, seed=0)


class RandomAgent:
    """Acts at random, and remembers what it was shown."""

    def __init__(self):
        self.seen, self.rng = [], np.random.default_rng(0)

    def predict(self, observation, *, deterministic):
        assert deterministic
        self.seen.append(observation)
        return self.rng.uniform(-1, 1, (N, D)).astype(np.float32), None


def test_keep_better_takes_the_higher_score_of_each_row_and_the_first_of_equals():
    before, after = torch.zeros(4, D), torch.ones(4, D)
    rows, scores = keep_better(before, after, np.array([1.0, 2, 3, -1]), np.array([2.0, 1, 3, -0.5]))
    assert rows[:, 0].tolist() == [1, 0, 0, 1]
    assert scores.tolist() == [2, 2, 3, -0.5]
    assert before.sum() == 0


def test_a_correction_that_does_not_raise_the_score_is_dropped(vae, latents):
    refined = refine(RandomAgent(), latents, vae, brightness)
    assert 0 < refined.corrected.sum() < N  # at random some help and some do not
    assert (refined.score >= refined.score_before).all()
    assert (refined.score > refined.score_before).tolist() == refined.corrected.tolist()
    assert torch.equal(refined.latents[~refined.corrected], latents[~refined.corrected])
    moved = refined.latents[refined.corrected] - latents[refined.corrected]
    assert ((moved != 0) & (moved.abs() <= 1)).all()
    assert score_latents(vae, brightness, refined.latents.numpy()) == pytest.approx(refined.score, abs=1e-6)
    assert score_latents(vae, brightness, latents.numpy()) == pytest.approx(refined.score_before, abs=1e-6)


def test_an_agent_sees_what_it_saw_in_training(vae, latents):
    one, several = RandomAgent(), RandomAgent()
    refine(one, latents, vae, brightness)
    assert np.array_equal(one.seen[0], latents.numpy())
    refine(several, latents, vae, brightness, delta_scale=0.5, steps=3)
    assert [seen.shape for seen in several.seen] == [(N, D + 1)] * 3
    assert [seen[0, -1] for seen in several.seen] == pytest.approx([1, 2 / 3, 1 / 3])
    assert np.array_equal(several.seen[0][:, :-1], latents.numpy())
    assert (np.abs(several.seen[1] - several.seen[0])[:, :-1] <= 0.5).all()


def test_each_round_begins_with_what_the_one_before_has_kept(vae, latents):
    agent = RandomAgent()
    refined = refine(agent, latents, vae, brightness, delta_scale=0.5, rounds=3)
    first = refine(RandomAgent(), latents, vae, brightness, delta_scale=0.5)
    assert np.array_equal(agent.seen[0], latents.numpy())
    assert np.array_equal(agent.seen[1], first.latents.numpy())
    assert refined.score_before == pytest.approx(first.score_before)
    assert (refined.score >= first.score - 1e-6).all()
    assert (refined.score > first.score + 1e-6).any()
    assert ((refined.latents - latents).abs() <= 3 * 0.5).all()
    with pytest.raises(ValueError, match="rounds must be at least 1, got 0"):
        refine(agent, latents, vae, brightness, rounds=0)
    with pytest.raises(ValueError, match="refine_below must be a number, or 'inf', got nan"):
        refine(agent, latents, vae, brightness, refine_below=float("nan"))


class Same:
    """Always acts in the same way, and remembers which pictures it was shown."""

    def __init__(self):
        self.shown = []

    def show(self, latents, pictures):
        self.shown.append((latents.clone(), pictures.clone()))

    def predict(self, observation, *, deterministic):
        return np.full((len(observation), D), 0.5, np.float32), None


def test_with_a_seed_the_opposite_of_a_dropped_correction_is_tried(vae, latents):
    rounds = [refine(Same(), latents, vae, brightness, rounds=k, seed=1) for k in (1, 2)]
    alone = refine(Same(), latents, vae, brightness, rounds=2)
    failed = ~rounds[0].corrected
    assert 0 < failed.sum() < N
    assert torch.equal(alone.latents[failed], latents[failed])  # the same is dropped again
    moved, half = rounds[1].latents - rounds[0].latents, torch.tensor(0.5)
    same, mirrored = torch.isclose(moved, half).all(1), torch.isclose(moved, -half).all(1)
    assert ((moved == 0).all(1) | same)[~failed].all()  # what was kept once is corrected by the agent again
    assert ((moved == 0).all(1) | mirrored)[failed].all()
    assert mirrored.any()
    with pytest.raises(ValueError, match="seed must be at least 0, got -1"):
        refine(Same(), latents, vae, brightness, seed=-1)


def test_a_random_correction_follows_and_then_its_opposite(vae, latents):
    def all_decoded(seed):
        decoded = []
        hook = vae.decoder.register_forward_hook(lambda _, inputs, __: decoded.append(inputs[0].clone()))
        refine(Same(), latents, vae, never_better, rounds=5, seed=seed, delta_scale=0.5)
        hook.remove()
        return decoded

    def never_better(pictures):
        return np.zeros(len(pictures))

    decoded = all_decoded(1)
    assert torch.equal(torch.cat(decoded), torch.cat(all_decoded(1)))
    assert not torch.equal(torch.cat(decoded), torch.cat(all_decoded(2)))
    agent, opposite, random, its_opposite, other = (moved - latents for moved in decoded[1:])
    assert (random.abs() <= 0.5).all()
    assert torch.allclose(agent, torch.tensor(0.25))
    assert torch.allclose(opposite, -agent, atol=1e-6)
    assert torch.allclose(its_opposite, -random, atol=1e-6)
    assert not torch.isclose(other.abs(), random.abs()).all(1).any()


@pytest.mark.parametrize("holder", ["agent", "policy"])
def test_an_agent_is_shown_the_pictures_that_were_judged_and_none_is_decoded_twice(vae, latents, holder, monkeypatch):
    agent, sizes = Same(), []

    def noted(vae, latents, *args):
        sizes.append(len(latents))
        return decode_chunks(vae, latents, *args)

    monkeypatch.setattr(hand_env.refinement, "decode_chunks", noted)
    given = agent if holder == "agent" else SimpleNamespace(predict=agent.predict, policy=agent)
    below = float(np.median(score_latents(vae, brightness, latents.numpy())))
    sizes.clear()
    refine(given, latents, vae, brightness, rounds=3, refine_below=below)
    asked = [len(seen) for seen, _ in agent.shown]
    assert sizes == [N, *asked]
    assert asked[0] == N // 2
    for seen, pictures in agent.shown:
        torch.testing.assert_close(pictures, decode(vae, seen.numpy()))


class FirstNumber(torch.nn.Module):
    """Decodes a latent to a picture as bright as its first number says, so a half more always helps."""

    def forward(self, latents):
        return torch.sigmoid(latents[:, :1, None, None]).expand(-1, 3, 32, 32)


@pytest.fixture
def as_bright_as_number_0():
    vae = build_vae(VAEConfig(32, D), seed=1).eval()
    vae.decoder = FirstNumber()
    return vae


def test_the_agent_acts_again_where_its_correction_was_kept(as_bright_as_number_0):
    refined = refine(Same(), torch.zeros(3, D), as_bright_as_number_0, brightness, rounds=3, seed=1)
    assert torch.equal(refined.latents, torch.full((3, D), 1.5))


def test_what_scores_exactly_the_limit_is_left_as_it_is(as_bright_as_number_0):
    refined = refine(Same(), torch.zeros(1, D), as_bright_as_number_0, brightness, refine_below=0.5)
    assert not refined.corrected.any()


def test_a_judge_that_writes_into_its_pictures_changes_nothing_that_an_agent_is_shown(vae, latents):
    agents = Same(), Same()
    for agent, judge in zip(agents, (brightness, lambda pictures: brightness(pictures.mul_(2)) / 2), strict=True):
        refine(agent, latents, vae, judge, rounds=2)
    for (_, expected), (_, shown) in zip(*(agent.shown for agent in agents), strict=True):
        assert torch.equal(shown, expected)


def test_many_latents_are_corrected_a_few_at_a_time(vae, latents, monkeypatch):
    together = refine(Same(), latents, vae, brightness, rounds=2)
    agent = Same()
    monkeypatch.setitem(hand_env.refinement.CHUNK, "cpu", 5)
    few = refine(agent, latents, vae, brightness, rounds=2)
    assert [len(seen) for seen, _ in agent.shown] == [5, 5, 5, 5, 2, 2]
    assert torch.allclose(few.latents, together.latents, atol=1e-6)
    assert few.score == pytest.approx(together.score, abs=1e-6)


def test_what_scores_enough_is_left_as_it_is(vae, latents):
    space = gym.spaces.Box(-1.0, 1.0, (D,), np.float32)
    before = score_latents(vae, brightness, latents.numpy())
    refine_below = float(np.median(before))
    refined = refine(RandomAction(space), latents, vae, brightness, rounds=4, refine_below=refine_below)
    right = before >= refine_below
    assert torch.equal(refined.latents[right], latents[right])
    assert refined.corrected[~right].any()
    assert score_latents(vae, brightness, refined.latents.numpy()) == pytest.approx(refined.score, abs=1e-6)
    everything = refine(RandomAction(space), latents, vae, brightness, refine_below=-1.0)
    assert torch.equal(everything.latents, latents)


@pytest.mark.parametrize("steps", [1, 2])
def test_the_agents_that_learn_nothing_will_do(vae, latents, steps):
    space = gym.spaces.Box(-1.0, 1.0, (D,), np.float32)
    refined = refine(NoAction(space), latents, vae, brightness, steps=steps)
    assert torch.equal(refined.latents, latents)
    assert not refined.corrected.any()
    assert refine(RandomAction(space), latents, vae, brightness, steps=steps).corrected.any()


def test_what_an_agent_says_is_checked(vae, latents):
    class Wild(RandomAgent):
        def predict(self, observation, *, deterministic):
            return np.full((N, D), 2.0), None

    with pytest.raises(ValueError, match=r"action must be finite and lie in \[-1, 1\], got"):
        refine(Wild(), latents, vae, brightness)


def test_best_of_k_is_the_best_of_what_the_sampler_draws(vae):
    sampler = StandardNormal(D)
    draws = sampler.sample(15, seed=3)
    scores = score_latents(vae, brightness, draws.numpy()).reshape(3, 5)
    latents, best = best_of(sampler, k=3, n=5, seed=3, vae=vae, judge=brightness)
    assert best == pytest.approx(scores.max(0), abs=1e-6)
    assert torch.equal(latents, draws.view(3, 5, D)[scores.argmax(0), range(5)])
    with pytest.raises(ValueError, match="k must be at least 1, got 0"):
        best_of(sampler, k=0, n=5, seed=3, vae=vae, judge=brightness)


def pictures(*scores):
    return torch.tensor(scores)[:, None, None, None].expand(-1, 3, 32, 32)


def test_a_logit_score_is_the_log_odds_limited_on_both_sides():
    score = LogitScore(brightness)(pictures(0.5, 0.75, 0.0, 1.0))
    assert score == pytest.approx([0, np.log(3), -12, 12], abs=1e-5)
    assert LogitScore(brightness, limit=1.0)(pictures(0.9)) == [1.0]


def test_a_logit_score_refuses_what_has_no_logarithm():
    with pytest.raises(ValueError, match=r"LogitScore needs a judge whose scores lie in \[0, 1\], got 2.0"):
        LogitScore(lambda x: brightness(x) + 1)(pictures(0.5, 1.0))
    with pytest.raises(ValueError, match=r"got -3\.0"):  # the worst one
        LogitScore(lambda x: brightness(x) * 5 - 4)(pictures(0.8, 0.2))
    with pytest.raises(ValueError, match="limit must be a finite number above 0, got 0"):
        LogitScore(limit=0)


def test_a_logit_score_asks_the_package_s_own_judge_where_none_is_given(monkeypatch):
    asked = []

    class Packaged:
        def __init__(self, *make):
            asked.append(make)

        def score(self, x):
            return brightness(x)

    monkeypatch.setattr(hand_env.refinement, "default_judge", Packaged)
    assert LogitScore()(pictures(0.5)) == pytest.approx([0.0])
    assert asked == [("parser", "cpu")]


def test_many_latents_are_decoded_and_judged_a_few_at_a_time_and_come_out_the_same(vae, monkeypatch):
    sizes = []

    def judge(pictures):
        sizes.append(len(pictures))
        return brightness(pictures)

    latents = StandardNormal(D).sample(20, seed=0).numpy()
    whole, pictures = score_latents(vae, judge, latents), decode(vae, latents)
    monkeypatch.setitem(hand_env.refinement.CHUNK, "cpu", 8)
    assert score_latents(vae, judge, latents) == pytest.approx(whole, abs=1e-6)
    assert sizes == [20, 8, 8, 4]
    assert torch.allclose(decode(vae, latents), pictures, atol=1e-6)
