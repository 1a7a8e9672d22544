import math

import pytest
import torch

from vae.optim import follow_variance


@pytest.mark.parametrize(("decay", "variance"), [(0.95, 0.95 * 4 + 0.05 * 1), (0.0, 1.0)])
def test_the_variance_moves_towards_the_squared_error(decay, variance):
    log_variance = torch.tensor([4.0, 4.0]).log()
    follow_variance(log_variance, torch.ones(2), decay)
    torch.testing.assert_close(log_variance.exp(), torch.full((2,), variance))


def test_the_variance_stays_above_the_smallest():
    log_variance = torch.tensor(-20.0)
    follow_variance(log_variance, torch.tensor(0.0))
    assert float(log_variance) == pytest.approx(math.log(1e-6))
    follow_variance(log_variance, torch.tensor(0.0), smallest=1e-5)
    assert float(log_variance) == pytest.approx(math.log(1e-5))
