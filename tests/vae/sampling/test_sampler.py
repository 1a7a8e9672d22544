import numpy as np
import pytest
import torch

from vae.sampling import StandardNormal
from vae.sampling.sampler import Pool


@pytest.mark.parametrize(("n", "error"), [(-1, ValueError), (0, ValueError), (1.5, TypeError)])
def test_a_number_of_latents_that_cannot_be_drawn_is_refused(n, error):
    with pytest.raises(error, match=rf"^n must be .*, got {n}"):
        StandardNormal(4).sample(n, 0)


def test_a_pool_takes_arrays():
    class Arrays:
        def sample(self, n, seed):
            return np.random.default_rng(seed).random((n, 4), np.float32)

    pool = Pool(Arrays(), 3, seed=0)
    assert pool.latents.shape == (3, 4)
    assert isinstance(pool.sample(2, seed=1), torch.Tensor)
