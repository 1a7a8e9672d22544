import pytest
import torch

from hand_env.gradient_ascent import gradient_ascent, log_odds


def decode(latents):
    """Pictures of one pixel: the first dimension, squashed."""
    return torch.sigmoid(latents[:, :1]).view(-1, 1, 1, 1)


def score(pictures):
    return pictures[:, 0, 0, 0]


def odds_of(decode, score):
    return lambda latents: log_odds(score(decode(latents)))


def test_a_latent_goes_uphill_to_the_bound_and_no_further():
    start = torch.tensor([[0.0, 3.0], [5.0, -1.0]])
    found = gradient_ascent(odds_of(decode, score), start, steps=30, rate=0.2, bound=0.5)
    assert torch.allclose(found, start + torch.tensor([0.5, 0.0]))


def test_no_steps_change_nothing():
    start = torch.randn(4, 2)
    assert torch.equal(gradient_ascent(odds_of(decode, score), start, steps=0, rate=0.2, bound=1.0), start)


def test_the_best_step_is_kept_not_the_last():
    def peak(pictures):  # highest where the first dimension is 0.1
        return torch.exp(-(torch.logit(score(pictures)) - 0.1).square())

    start = torch.zeros(3, 2)
    found = gradient_ascent(odds_of(decode, peak), start, steps=2, rate=1.0, bound=1.0)  # the first step overshoots
    assert torch.equal(found, start)


def test_what_has_enough_is_not_decoded_again():
    decoded = []

    def counting(latents):
        decoded.append(len(latents))
        return decode(latents)

    start = torch.tensor([[0.0, 0.0], [3.0, 0.0], [0.9, 0.0]])  # their log-odds are the first numbers
    found = gradient_ascent(odds_of(counting, score), start, steps=4, rate=0.2, bound=1.0, stop_at=1.0)
    assert decoded == [3, 2, 1, 1, 1]  # the second has enough from the start, the third after a step
    assert torch.allclose(found[:, 0], torch.tensor([0.8, 3.0, 1.1]))


def test_where_the_score_is_flat_the_start_stays():
    start = torch.randn(4, 2)
    found = gradient_ascent(odds_of(decode, lambda x: 0 * score(x) + 0.5), start, steps=3, rate=0.2, bound=1.0)
    assert torch.equal(found, start)


def test_log_odds_are_finite_at_both_ends_and_right_between():
    found = log_odds(torch.tensor([0.0, 0.5, 0.9, 1.0]))
    assert found.isfinite().all()
    assert found[1:3].tolist() == pytest.approx([0.0, 2.1972246], rel=1e-5)


def test_weights_get_no_gradients():
    layer = torch.nn.Linear(2, 1)

    def painted(latents):
        return torch.sigmoid(layer(latents)).view(-1, 1, 1, 1)

    gradient_ascent(odds_of(painted, score), torch.randn(2, 2), steps=2, rate=0.1, bound=1)
    assert layer.weight.grad is None


def test_without_a_bound_the_best_step_by_the_score_is_kept():
    start = torch.linspace(-2, 2, 40).unsqueeze(1)
    end = gradient_ascent(lambda z: score(decode(z)), start, steps=20, rate=0.1, objective=torch.log)
    assert bool((end > start + 1).all())
    assert torch.equal(gradient_ascent(lambda z: score(decode(z)), start, steps=0, rate=0.1), start)
    held = gradient_ascent(lambda z: score(decode(-(z**2))), start, steps=3, rate=50.0, objective=torch.log)
    assert bool((held.abs() <= start.abs()).all())


def test_the_earliest_step_wins_a_tie():
    start = torch.zeros(2, 3)
    moved = gradient_ascent(lambda z: z.sum(1).clamp(max=0.5), start, steps=30, rate=0.1)
    assert torch.allclose(moved, torch.full_like(start, 0.2), atol=1e-5)  # the first step whose sum is above 0.5
