"""The critics of RefinePolicy learn scores that are known already, before SAC starts."""

import pytest
import torch

from agents import RefinePolicy, make_sac
from agents.rl.first_scores import BATCH, teach_scores

D = 6


@pytest.fixture
def policy(make_refine_rows):
    rows = make_refine_rows(delta_scale=0.5, autoreset_mode="SameStep")
    return make_sac(rows, seed=0, policy=RefinePolicy, policy_kwargs={"net_arch": [16]}).policy


def judged(policy, n=600):
    """Latents, their scores (three times the brightness, as a stand-in for log-odds), and which are low."""
    latents = torch.randn(n, D, generator=torch.Generator().manual_seed(0))
    bright = policy.sight.pictures(latents).mean((1, 2, 3))
    scores = 3 * (bright - bright.mean()) / bright.std()
    return latents, scores, scores < -1


def weights(policy):
    return {name: tensor.clone() for name, tensor in policy.state_dict().items()}


def test_both_outputs_of_both_critics_learn_the_scores_of_other_pictures_too(policy):
    latents, scores, low = judged(policy)
    seen, others = slice(400), slice(400, None)
    teach_scores(policy, latents[seen], scores[seen], low[seen], epochs=60, seed=0)
    pictures = policy.sight.pictures(latents[others])
    for number in range(2):
        found = policy.critic.scores(pictures, number)
        assert found.shape == (200, 2)
        assert ((found - scores[others, None]) ** 2).mean() < 0.5 * scores[others].var()


def test_what_is_taught_are_rewards_and_the_actor_starts_with_the_first_critic_s_eyes(policy):
    latents, scores, low = judged(policy)
    before = weights(policy)
    teach_scores(policy, latents, scores, low, epochs=60, seed=0)
    actions = torch.rand(len(latents), D, generator=torch.Generator().manual_seed(1)) * 2 - 1
    rewards = 3 / 0.05 * (policy.sight.after(latents, actions, 0.5) - policy.sight.of(latents)).mean((1, 2, 3))
    for values in policy.critic(latents, actions):
        assert torch.corrcoef(torch.stack([values[:, 0].detach(), rewards]))[0, 1] > 0.5
    eyes = policy.actor.features_extractor.look.state_dict()
    assert all(torch.equal(tensor, eyes[name]) for name, tensor in policy.critic.qf0["look"].state_dict().items())
    changed = {
        name.split(".")[0] for name, tensor in policy.state_dict().items() if not torch.equal(tensor, before[name])
    }
    assert changed == {"actor", "critic"}
    assert all(torch.equal(tensor, before[name]) for name, tensor in weights(policy).items() if "latent_pi" in name)


def test_the_seed_decides_and_no_random_state_is_touched(make_refine_rows, policy):
    latents, scores, low = judged(policy)

    def taught(seed):
        rows = make_refine_rows(delta_scale=0.5, autoreset_mode="SameStep")
        other = make_sac(rows, seed=0, policy=RefinePolicy, policy_kwargs={"net_arch": [16]}).policy
        state = torch.get_rng_state()
        teach_scores(other, latents, scores, low, epochs=1, seed=seed)
        assert torch.equal(torch.get_rng_state(), state)
        return weights(other)

    first, again, another = taught(0), taught(0), taught(1)
    torch.testing.assert_close(first, again, rtol=0, atol=0)
    assert any(not torch.equal(first[name], another[name]) for name in first)


@pytest.mark.parametrize("low", [torch.zeros(9, dtype=torch.bool), torch.ones(9, dtype=torch.bool)])
def test_scores_of_one_kind_alone_are_learned_as_well(policy, low):
    latents, scores, _ = judged(policy, 9)
    before = weights(policy)
    teach_scores(policy, latents, scores, low, epochs=1, seed=0)  # fewer than a minibatch
    assert BATCH > 9
    assert any(not torch.equal(tensor, before[name]) for name, tensor in weights(policy).items())


def test_no_epochs_change_nothing(policy):
    before = weights(policy)
    latents, scores, low = judged(policy, 9)
    teach_scores(policy, latents, scores, low, epochs=0, seed=0)
    torch.testing.assert_close(weights(policy), before, rtol=0, atol=0)
