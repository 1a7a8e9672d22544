import pytest
import torch

from hand_env import HandLatentEnv


@pytest.fixture
def tiny_images() -> torch.Tensor:
    """(20, 3, 32, 32) uint8: noise is picture enough where only the machinery is asked about."""
    return torch.randint(0, 256, (20, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def make_env(tiny_images):
    def make(**settings):
        return HandLatentEnv(
            **{"images": tiny_images, "latent_dim": 6, "batch_size": 4, "epochs_per_episode": 3, **settings}
        )

    return make
