import math

import numpy as np
import pytest
import torch

from hand_env.schedule.deltas import (
    MOST_MIXED,
    MOST_PULLED,
    Deltas,
    combine,
    constant,
    draw_noise,
    falling,
    shift_latents,
    stack_choices,
    step_generator,
)


def latents(rows=7, dim=5):
    return torch.randn(rows, dim, generator=torch.Generator().manual_seed(1))


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(
    ("action", "deltas"),
    [
        ((-1, -1, -1), Deltas()),
        ((1, 1, 1), Deltas(8, MOST_MIXED, MOST_PULLED)),
        ((0, 0, 0), Deltas(2, MOST_MIXED / 4, MOST_PULLED / 4)),
        ((-0.5, -1, 0.5), Deltas(0.5, 0, MOST_PULLED * 9 / 16)),
    ],
)
def test_an_action_s_numbers_are_squared_shares_of_the_largest(action, deltas):
    assert Deltas.from_action(np.array(action, np.float32)) == deltas
    assert deltas.to_action().tolist() == pytest.approx(action)
    assert deltas.to_action().dtype == np.float32


def test_another_max_reach_scales_the_reach_alone_and_larger_deltas_are_cut():
    assert Deltas.from_action((1, 0, 0), max_reach=3.0) == Deltas(3, MOST_MIXED / 4, MOST_PULLED / 4)
    assert Deltas(20, 1, 1).to_action().tolist() == [1, 1, 1]


def test_no_deltas_shift_by_exactly_nothing():
    assert not shift_latents(latents(), Deltas(), generator()).any()


def test_reach_bounds_uniform_deltas_that_fill_the_range():
    shift = shift_latents(torch.zeros(400, 50), Deltas(reach=6), generator())
    assert -6 <= shift.min() < -5.9
    assert 5.9 < shift.max() <= 6
    assert abs(shift.mean()) < 0.1
    assert shift.std() == pytest.approx(12 / math.sqrt(12), rel=0.02)


def test_pull_moves_each_latent_towards_the_origin():
    mean = latents()
    assert torch.allclose(mean + shift_latents(mean, Deltas(pull=0.25), generator()), 0.75 * mean)


def test_mix_moves_each_latent_towards_a_row_of_the_same_minibatch_and_no_two_towards_the_same():
    mean = latents()
    partners = mean + shift_latents(mean, Deltas(mix=0.4), generator()) / 0.4
    nearest = torch.cdist(partners, mean).min(1)
    assert nearest.values.max() < 1e-5
    assert sorted(nearest.indices.tolist()) == list(range(7))
    assert nearest.indices.tolist() != list(range(7))


def test_the_shift_is_the_documented_formula():
    mean, choice = latents(), Deltas(reach=2, mix=0.3, pull=0.1)
    noise = draw_noise(mean, generator())
    order = noise[:, -1].argsort()
    expected = -0.1 * mean + 0.3 * (mean[order] - mean) + 2 * (2 * noise[:, :-1] - 1)
    assert torch.allclose(shift_latents(mean, choice, generator()), expected, atol=1e-6)


def test_minibatches_together_are_shifted_as_each_alone_bit_for_bit():
    means, choices = [latents(8, 6), -latents(8, 6)], [Deltas(2, 0.3, 0.1), Deltas(0, 0.5, 0)]
    noise = [draw_noise(mean, generator(seed)) for seed, mean in enumerate(means)]
    together = combine(torch.stack(means), torch.stack(noise), stack_choices(choices, means[0].device))
    for row, (mean, choice) in enumerate(zip(means, choices, strict=True)):
        assert torch.equal(together[row], shift_latents(mean, choice, generator(row)))


def test_a_step_s_random_numbers_depend_on_the_trainer_s_seed_and_step_alone(make_schedule):
    envs = [make_schedule(reward="loss_change") for _ in range(3)]
    for env, seed in zip(envs, (5, 5, 6), strict=True):
        env.reset(seed=seed)
    first, same, other = (env.env.trainer for env in envs)
    drawn = [torch.rand(3, generator=step_generator(trainer)) for trainer in (first, same, other)]
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
    first.step()
    assert not torch.equal(torch.rand(3, generator=step_generator(first)), drawn[0])


def test_schedules_say_how_far_at_each_share_of_the_training():
    assert [constant(2)(done) for done in (0, 0.5, 1)] == [Deltas(2)] * 3
    assert [falling(6)(done) for done in (0, 0.5, 1)] == [Deltas(6), Deltas(3), Deltas(0)]


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"reach": -1}, "Deltas.reach must be at least 0, got -1"),
        ({"reach": math.nan}, "Deltas.reach must be a finite number, got nan"),
        ({"mix": 1.5}, r"Deltas.mix must lie in \[0, 1\], got 1.5"),
        ({"pull": -0.1}, r"Deltas.pull must lie in \[0, 1\], got -0.1"),
    ],
)
def test_wrong_numbers_raise(numbers, message):
    with pytest.raises(ValueError, match=message):
        Deltas(**numbers)


def test_numbers_out_of_range_are_refused_at_once():
    for action in ([-3, -1, -1], [1.5, 0, 0], [0, np.nan, 0]):
        with pytest.raises(ValueError, match=r"must lie in \[-1, 1\]"):
            Deltas.from_action(action)
    with pytest.raises(ValueError, match=r"Deltas.reach must be at least 0"):
        falling(-1.0)
    assert falling(8.0)(1.0000001) == Deltas(0.0)
