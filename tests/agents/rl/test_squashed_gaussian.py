import pytest
import torch
from stable_baselines3.common.distributions import SquashedDiagGaussianDistribution

from agents.rl import squashed_gaussian
from agents.rl.squashed_gaussian import sample_and_score


def inputs(batch=11, rows=3, hidden=4, dimensions=7):
    generator = torch.Generator().manual_seed(0)
    shapes = (batch, rows, hidden), (dimensions, hidden), (dimensions,), (batch, rows, 1), (dimensions,)
    return [torch.randn(shape, dtype=torch.float64, generator=generator).mul_(0.5).requires_grad_() for shape in shapes]


def seeded(*tensors):
    torch.manual_seed(0)
    return sample_and_score(*tensors)


@pytest.fixture(params=[1, 2**18], ids=["in parts of eight samples", "in one part"])
def parts(request, monkeypatch):
    monkeypatch.setattr(squashed_gaussian, "PART_NUMBERS", request.param)


@pytest.mark.usefixtures("parts")
@pytest.mark.parametrize("dimensions", [6, 7, 8])
def test_log_probability_is_stable_baselines3_s(dimensions):
    hidden, weight, bias, row, dimension = inputs(dimensions=dimensions)
    actions, log_probs = seeded(hidden, weight, bias, row, dimension)
    means, log_stds = (hidden @ weight.T + bias).flatten(1), (row + dimension).flatten(1)
    theirs = SquashedDiagGaussianDistribution(21).proba_distribution(means, log_stds)
    assert actions.shape == (11, 3 * dimensions)
    assert torch.allclose(log_probs, theirs.log_prob(actions, torch.atanh(actions)), atol=1e-5)


@pytest.mark.usefixtures("parts")
def test_gradients_are_those_of_finite_differences():
    assert torch.autograd.gradcheck(seeded, inputs(batch=10))


def test_the_noise_is_standard_normal_and_eight_samples_share_it_four_of_them_mirrored():
    zeros = [torch.zeros_like(tensor) for tensor in inputs(batch=16003, rows=1)]
    noise = torch.atanh(seeded(*zeros)[0])
    drawn, *others = noise.split(2001)
    for number, other in enumerate(others):
        assert torch.allclose(other, (drawn if number % 2 else -drawn)[: len(other)])
    assert [len(other) for other in others] == [2001] * 6 + [1996]
    assert abs(drawn.mean()) < 0.03
    assert abs(noise.std() - 1) < 0.03
    assert abs(drawn.pow(4).mean() - 3) < 0.3
    correlations = torch.corrcoef(drawn.T) - torch.eye(7)
    assert correlations.abs().max() < 0.1


@pytest.mark.usefixtures("parts")
def test_nothing_changes_where_no_gradient_is_wanted():
    tensors = inputs()
    with_gradient = seeded(*tensors)
    with torch.no_grad():
        without = seeded(*tensors)
    assert all(torch.equal(a, b) for a, b in zip(with_gradient, without, strict=True))


def test_saturated_actions_have_finite_log_probabilities_and_gradients():
    tensors = [tensor.detach().float() for tensor in inputs()]
    tensors[2] = torch.full((7,), 50.0)
    tensors = [tensor.requires_grad_() for tensor in tensors]
    actions, log_probs = seeded(*tensors)
    assert torch.equal(actions, torch.ones(11, 21))
    (actions.sum() + log_probs.sum()).backward()
    assert torch.isfinite(log_probs).all()
    assert all(torch.isfinite(tensor.grad).all() for tensor in tensors)
