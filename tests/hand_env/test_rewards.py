import numpy as np
import pytest
import torch

from hand_env import REWARDS, Visit

ZEROS, ONES = np.zeros((4, 6), np.float32), np.ones((4, 6), np.float32)


def run(env, action, steps, seed=0):
    env.reset(seed=seed)
    return [env.step(action) for _ in range(steps)]


@pytest.fixture
def validation_images():
    return torch.randint(0, 256, (6, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def test_the_three_rewards_are_what_their_formulas_say():
    visit = Visit(np.array([3.0, 5.0]), np.array([4.0, 9.0]), np.array([2.0, 8.0]), share=0.5, validation_change=-7.0)
    assert REWARDS["loss_change"](visit).tolist() == [0.5, 2.0]
    assert REWARDS["counterfactual"](visit).tolist() == [-1.0, 3.0]
    assert REWARDS["validation_loss_change"](visit).tolist() == [7.0, 7.0]


def test_counterfactual_pays_nothing_for_zeros_and_something_for_the_rest(make_env):
    unpaid = [step[1] for step in run(make_env(reward="counterfactual"), ZEROS, 8)]
    assert unpaid == pytest.approx([0.0] * 8, abs=1e-5)  # float32 rounding of losses around a thousand
    paid = [step[1] for step in run(make_env(reward="counterfactual", delta_scale=1.0), ONES, 8)]
    assert all(abs(reward) > 1e-3 for reward in paid)


def test_counterfactual_is_the_loss_of_the_same_step_without_the_shift(make_env):
    shifted, plain = make_env(reward="counterfactual", delta_scale=1.0, reward_scale=2.0), make_env()
    with_shift, without = run(shifted, ONES, 1)[0], run(plain, ZEROS, 1)[0]
    expected = -2.0 * (with_shift[4]["loss_nats"] - without[4]["loss_nats"])
    assert with_shift[1] == pytest.approx(expected, rel=1e-6)
    assert with_shift[4]["counterfactual_nats"] == pytest.approx(-expected / 2.0)


def test_what_is_paid_for_does_not_change_the_training(make_env, validation_images):
    ends = []
    for reward in REWARDS:
        env = make_env(reward=reward, validation_images=validation_images)
        run(env, ONES, 12)
        ends.append([p.detach().clone() for p in env.trainer.vae.parameters()])
    for other in ends[1:]:
        assert all(torch.equal(a, b) for a, b in zip(ends[0], other, strict=True))


def test_validation_loss_change_pays_at_the_ends_of_epochs_from_the_second(make_env, validation_images):
    env = make_env(reward="validation_loss_change", validation_images=validation_images, reward_scale=0.5)
    env.reset(seed=0)
    rewards, measured = [], []
    for _ in range(15):  # three epochs of five steps
        rewards.append(env.step(ONES)[1])
        measured.append(env.trainer.measure(validation_images).total.double().mean().item())
    first, second, third = measured[4], measured[9], measured[14]
    expected = [0.0] * 9 + [-0.5 * (second - first)] + [0.0] * 4 + [-0.5 * (third - second)]
    assert rewards == pytest.approx(expected, rel=1e-9)
    assert rewards[9] != 0


def test_validation_loss_change_pays_the_only_epoch_against_the_loss_at_reset(make_env, validation_images):
    env = make_env(reward="validation_loss_change", validation_images=validation_images, epochs_per_episode=1)
    env.reset(seed=0)
    before = env.trainer.measure(validation_images).total.double().mean().item()
    rewards = [env.step(ONES)[1] for _ in range(5)]
    after = env.trainer.measure(validation_images).total.double().mean().item()
    assert rewards == pytest.approx([0.0] * 4 + [-0.01 * (after - before)], rel=1e-9)


def test_a_state_carries_the_validation_loss(make_env, validation_images):
    settings = {"reward": "validation_loss_change", "validation_images": validation_images}
    env = make_env(**settings)
    run(env, ONES, 7)
    state = env.state_dict()
    expected = [env.step(ONES)[1:] for _ in range(8)]
    resumed = make_env(**settings)
    resumed.reset(options={"state": state})
    assert [resumed.step(ONES)[1:] for _ in range(8)] == expected


def test_a_function_of_the_visit_is_paid_its_mean_times_lambda(make_env):
    seen = []

    def reward(visit):
        seen.append(visit)
        return np.array([1.0, 2.0, 3.0, 6.0])

    env = make_env(reward=reward, reward_scale=0.5)
    assert [step[1] for step in run(env, ONES, 2)] == [1.5, 1.5]
    assert seen[0].loss.shape == (4,)
    assert seen[0].loss_without is None
    assert seen[0].share == 4 / 20
    assert np.array_equal(seen[0].loss, seen[0].loss_before)


def test_a_function_may_ask_for_the_losses_without_the_shift(make_env):
    def reward(visit):
        return visit.loss_without

    reward.needs_loss_without = True
    assert run(make_env(reward=reward, reward_scale=1.0), ONES, 1)[0][1] > 0


@pytest.mark.parametrize("wrong", [0.0, np.zeros(3), np.full(4, np.nan)])
def test_a_function_that_does_not_give_a_number_for_each_row_is_an_error(make_env, wrong):
    env = make_env(reward=lambda visit: wrong)
    env.reset(seed=0)
    with pytest.raises(ValueError, match=r"reward must give finite numbers of shape \(4,\), one for each row"):
        env.step(ZEROS)


def test_an_unknown_name_and_missing_validation_pictures_are_errors(make_env):
    with pytest.raises(ValueError, match=r"reward must be one of .*'loss_change', .* got 'beauty'"):
        make_env(reward="beauty")
    with pytest.raises(ValueError, match="'validation_loss_change' needs validation_images"):
        make_env(reward="validation_loss_change")
