import pytest
import torch

from vae.sampling import LocalGaussians
from vae.sampling.local_gaussians import group_count

CENTRES = torch.tensor([[20.0, 0, 0], [0, 20.0, 0], [0, 0, 20.0]])
SIZES = (20, 40, 60)


@pytest.fixture
def posteriors():
    """Three groups far apart, each with directions and posterior variances of its own."""
    generator = torch.Generator().manual_seed(0)
    means, log_vars = [], []
    for number, (centre, size) in enumerate(zip(CENTRES, SIZES, strict=True)):
        spread = torch.ones(3)
        spread[number] = 4.0
        means.append(centre + spread * torch.randn(size, 3, generator=generator))
        log_vars.append(torch.full((size, 3), -2.0 - number))
    return torch.cat(means), torch.cat(log_vars)


def starts_in_each_group():
    return torch.tensor([0, 20, 60])


def test_draws_have_the_mean_and_covariance_of_their_group(posteriors):
    mean, log_var = posteriors
    local = LocalGaussians.fit(mean, log_var, starts_in_each_group())
    drawn = local.sample(60_000, seed=1)
    nearest = torch.cdist(drawn, CENTRES).argmin(1)
    shares = torch.bincount(nearest).double() / len(drawn)
    assert shares.tolist() == pytest.approx([size / sum(SIZES) for size in SIZES], abs=0.01)
    for number, rows in enumerate(torch.split(mean, SIZES)):
        own = drawn[nearest == number]
        assert torch.allclose(own.mean(0), rows.mean(0), atol=0.1)
        expected = torch.cov(rows.T, correction=0) + torch.exp(torch.tensor(-2.0 - number)) * torch.eye(3)
        assert torch.allclose(torch.cov(own.T), expected, rtol=0.05, atol=0.15)


def test_a_group_of_one_picture_draws_from_its_posterior(posteriors):
    mean, log_var = posteriors
    alone = torch.cat([mean, torch.tensor([[500.0, 500, 500]])]), torch.cat([log_var, torch.zeros(1, 3)])
    local = LocalGaussians.fit(*alone, torch.tensor([0, 120]))
    noise = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    placed = local.place(torch.full((4,), 120), torch.ones(4, 121), noise)
    assert torch.allclose(placed, 500 + noise)


def test_fixed_random_numbers_move_little_if_the_encoder_changes_little(posteriors):
    mean, log_var = posteriors
    generator = torch.Generator().manual_seed(3)
    numbers = torch.arange(120), torch.randn(120, 120, generator=generator), torch.randn(120, 3, generator=generator)
    before, after = (
        LocalGaussians.fit(mean + moved, log_var, starts_in_each_group()).place(*numbers) for moved in (0.0, 0.01)
    )
    assert torch.allclose(after, before + 0.01, atol=1e-4)


def test_groups_without_pictures_are_never_drawn():
    same, log_var = torch.ones(40, 3), torch.zeros(40, 3)
    local = LocalGaussians.fit(same, log_var, torch.tensor([0, 1]))
    assert set(local.labels.tolist()) == {0}
    drawn = local.sample(10_000, seed=0)
    assert torch.allclose(drawn.mean(0), torch.ones(3), atol=0.05)
    assert torch.allclose(drawn.std(0), torch.ones(3), atol=0.05)


@pytest.mark.parametrize(("images", "groups"), [(1, 1), (39, 1), (40, 2), (800, 32), (100_000, 32)])
def test_there_is_a_group_for_twenty_pictures_as_in_the_mixture(images, groups):
    assert group_count(images) == groups


@pytest.mark.parametrize("broken", [0, 1])
def test_latents_that_are_not_finite_are_refused(posteriors, broken):
    mean, log_var = (tensor.clone() for tensor in posteriors)
    (mean, log_var)[broken][0, 0] = torch.nan
    with pytest.raises(ValueError, match="Posteriors must be finite"):
        LocalGaussians.fit(mean, log_var, starts_in_each_group())
