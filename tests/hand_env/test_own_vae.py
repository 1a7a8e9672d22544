import numpy as np
import pytest
import torch
from torch import nn

from hand_env import HandLatentEnv
from vae import VAE


class TinyEncoder(nn.Module):
    """What a user might write: a few lines, for pictures of 8 x 8."""

    def __init__(self, dim=5, *between):
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(192, 32), *between, nn.Tanh(), nn.Linear(32, 2 * dim))

    def forward(self, images):
        return self.body(images).chunk(2, dim=1)


def tiny_decoder(dim=5):
    return nn.Sequential(nn.Linear(dim, 192), nn.Unflatten(1, (3, 8, 8)))


def seeded(seed):
    torch_state = torch.get_rng_state()
    torch.manual_seed(seed)
    vae = VAE(TinyEncoder(), tiny_decoder(), size=8, latent_dim=5)
    torch.set_rng_state(torch_state)
    return vae


@pytest.fixture
def pictures():
    return torch.randint(0, 256, (12, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def make(pictures, vae, **settings):
    return HandLatentEnv(pictures, vae=vae, batch_size=4, **settings)


def test_a_user_s_own_pair_of_modules_trains(pictures):
    env = make(pictures, seeded(0), training={"augment": False, "warmup_steps": 0, "learning_rate": 0.01})
    observation, _ = env.reset(seed=0)
    assert observation.shape == (4, 5)
    losses = [env.step(np.zeros((4, 5), np.float32))[4]["loss_nats"] for _ in range(30)]
    assert np.mean(losses[-6:]) < np.mean(losses[:6]) - 50


def test_the_spaces_take_their_dimensions_from_the_user_s_vae(pictures):
    env = make(pictures, seeded(0), latent_dim=300)
    assert env.observation_space.shape == env.action_space.shape == (4, 5)
    assert env.observation_space.contains(env.reset(seed=0)[0])
    env.step(env.action_space.sample())


def test_each_reset_copies_a_vae_as_it_is_and_leaves_the_user_s_alone(pictures):
    vae = seeded(0)
    vae.log_variance.fill_(-3.0)
    weights = [p.clone() for p in vae.encoder.parameters()]
    env = make(pictures, vae)
    for seed in (0, 1):
        env.reset(seed=seed)
        assert env.trainer.vae.log_variance == -3.0
        assert all(torch.equal(a, b) for a, b in zip(weights, env.trainer.vae.encoder.parameters(), strict=True))
        for _ in range(3):
            env.step(np.ones((4, 5), np.float32))
        assert not torch.equal(weights[0], next(env.trainer.vae.encoder.parameters()))
    assert all(torch.equal(a, b) for a, b in zip(weights, vae.encoder.parameters(), strict=True))


def test_what_the_caller_does_to_its_vae_later_changes_no_episode(pictures):
    vae = seeded(0)
    env = make(pictures, vae)
    first, _ = env.reset(seed=0)
    with torch.no_grad():
        for weight in vae.parameters():
            weight.add_(1)
    assert np.array_equal(env.reset(seed=0)[0], first)


def test_a_function_makes_a_new_vae_from_the_episode_s_seed(pictures):
    env = make(pictures, seeded)
    first, _ = env.reset(seed=0)
    second, _ = env.reset(seed=1)
    again, _ = env.reset(seed=0)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, second)


@pytest.mark.parametrize("wrong", [(TinyEncoder(), tiny_decoder()), TinyEncoder()])
def test_what_is_no_vae_is_an_error(pictures, wrong):
    with pytest.raises(
        TypeError, match=r"vae must be a vae\.VAE or a function from a seed to one, got (tuple|TinyEncoder)"
    ):
        make(pictures, wrong)


class OneTensor(nn.Module):
    def forward(self, images):
        return images.flatten(1)[:, :10]


class NotFinite(TinyEncoder):
    def forward(self, images):
        return tuple(x * float("nan") for x in super().forward(images))


@pytest.mark.parametrize(
    ("encoder", "decoder", "message"),
    [
        (OneTensor(), tiny_decoder(), r"encoder must map .* shape \(2, 5\) each, got \(2, 10\)\."),
        (NotFinite(), tiny_decoder(), "encoder and decoder must give finite numbers"),
        (TinyEncoder(7), tiny_decoder(), r"encoder must map .* shape \(2, 5\) each, got \(2, 7\) and \(2, 7\)"),
        (TinyEncoder(), nn.Linear(5, 192), r"decoder must map \(2, 5\) latents to pictures \(2, 3, 8, 8\), got"),
        (TinyEncoder(5, nn.BatchNorm1d(32)), tiny_decoder(), "Replace batch normalisation by group normalisation"),
        (TinyEncoder(5, nn.Dropout(0.5)), tiny_decoder(), "the same result whatever the other rows are, and each time"),
    ],
)
def test_a_vae_that_breaks_the_contract_is_an_error(pictures, encoder, decoder, message):
    with pytest.raises(ValueError, match=message):
        make(pictures, VAE(encoder, decoder, size=8, latent_dim=5))
