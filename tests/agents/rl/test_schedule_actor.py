"""The trained agent of HandSchedule-v0: its file, and how it acts on a training one minibatch at a time."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from agents.rl.schedule_actor import KAPPA, ScheduleActor
from agents.rl.schedule_agent import DECISIONS, N_DRAWN, epochs_per_decision, load_agent
from hand_env.drawn_score import DrawnScore


def test_the_packaged_agent_decides_within_the_action_space():
    seen = np.random.default_rng(0).normal(size=(50, 14)).astype(np.float32)
    actions, _ = load_agent().predict(seen, deterministic=True)
    assert actions.shape == (50, 3)
    assert (np.abs(actions) <= 1).all()


def test_a_file_that_holds_no_agent_is_refused_by_the_flag_that_names_it(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"--agent-weights '.*absent' must be the file of a trained agent"):
        load_agent(tmp_path / "absent", "--agent-weights")
    save_file({"weight": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match="must hold the weights of SAC's policy for HandSchedule-v0, got:") as caught:
        load_agent(tmp_path / "other.safetensors")
    assert "got: weights of something else. Make such a file with `handlatent schedule`, or " in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(("epochs", "each"), [(1, 1), (5, 1), (13, 3), (100, 20)])
def test_at_most_five_decisions_are_made(epochs, each):
    assert epochs_per_decision(epochs) == each
    assert -(-epochs // each) <= DECISIONS


def bright(pictures):
    return pictures.mean((1, 2, 3))


@pytest.fixture
def make_actor(make_env, quick_vae):
    """An actor on HandLatent-v0 with a VAE of milliseconds: three epochs of five steps."""

    def make(policy=None, **settings):
        env = make_env(vae=quick_vae, **{"delta_scale": KAPPA, **settings})
        env.reset(seed=0)
        return ScheduleActor(env, load_agent() if policy is None else policy, bright)

    return make


class Says:
    """A policy that always answers the same, and keeps what it saw."""

    def __init__(self, *action):
        self.action, self.seen = np.array(action, np.float32), []

    def predict(self, seen, deterministic):
        assert deterministic
        self.seen.append(seen)
        return self.action, None


def test_it_decides_at_the_start_of_each_stretch_and_sees_what_happened(make_actor):
    policy = Says(0.0, -1.0, 1.0)
    actor = make_actor(policy)
    observation = actor.env.reset(seed=0)[0]
    due = []
    for step in range(15):
        due.append(actor.decides_now)
        if due[-1]:
            decision = actor.decide(3072.0 * step if step else None)
        observation, *_ = actor.env.step(actor.predict(observation)[0])
    assert due == [step % 5 == 0 for step in range(15)]
    assert (decision["reach"], decision["mix"], decision["pull"]) == (2.0, 0.0, 0.25)
    assert 0 < decision["drawn_wrong"] < 1
    assert [seen[0] for seen in policy.seen] == pytest.approx([0, 1 / 3, 2 / 3])
    assert [seen[4] for seen in policy.seen[1:]] == [5, 10]
    assert policy.seen[2][5] == 5
    assert policy.seen[0][11:].tolist() == [-1, -1, -1]
    assert policy.seen[1][11:].tolist() == [0, -1, 1]


def test_no_decision_yet_means_no_shift(make_actor):
    actor = make_actor()
    action, _ = actor.predict(actor.env.reset(seed=0)[0])
    assert not action.any()


def test_its_state_restores_the_decision(make_actor):
    first, second = make_actor(Says(0.5, 0.5, 0.5)), make_actor()
    first.decide(None)
    second.load_state_dict(first.state_dict())
    observation = first.env.reset(seed=0)[0]
    assert np.array_equal(first.predict(observation)[0], second.predict(observation)[0])
    assert first.loss == second.loss != 0


def test_an_environment_that_would_round_or_cut_the_shift_is_refused(make_actor):
    with pytest.raises(ValueError, match=r"needs an environment with delta_scale=1024\.0, got 0\.1"):
        make_actor(delta_scale=0.1)


def test_a_vae_that_diverged_is_not_shown_to_the_policy(make_actor):
    actor = make_actor()
    with pytest.raises(ValueError, match="The VAE diverged before epoch 1"):
        actor.decide(float("nan"))


def test_the_first_decision_sees_no_change_and_w_of_a_mixture(make_env, quick_vae):
    env = make_env(vae=quick_vae, delta_scale=KAPPA)
    env.reset(seed=0)
    policy = Says(-0.5, -0.5, -0.5)
    found = ScheduleActor(env, policy, bright).decide(None)
    assert policy.seen[0][4] != 0
    assert policy.seen[0][5] == 0
    expected = DrawnScore(env.trainer, N_DRAWN, bright, "mixture").wrong()
    assert found["drawn_wrong"] == expected != DrawnScore(env.trainer, N_DRAWN, bright, "gaussian").wrong()
