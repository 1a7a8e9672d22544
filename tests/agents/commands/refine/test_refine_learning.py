"""Does SAC learn to correct latents? Where the best correction is known, and where pictures tell more than latents."""

import gymnasium as gym
import numpy as np
import pytest
import torch
from torch import nn

from agents import RefinePolicy, make_sac
from agents.rl.sac import REFINE_ENT_COEF, REFINE_ROW_SETTINGS, SETTINGS
from hand_env import refine
from vae import VAE, StandardNormal

SIZE, DIM, KAPPA, SCALE = 8, 8, 1.0, 0.3


class LinearEncoder(nn.Linear):
    """There because a VAE has one."""

    def __init__(self, size=SIZE, dim=DIM):
        super().__init__(3 * size**2, 2 * dim)

    def forward(self, images):
        return super().forward(images.flatten(1)).chunk(2, dim=1)


class LinearDecoder(nn.Module):
    """A picture is 0.5 + 0.3 basis z, the basis orthonormal: within [0, 1] for all but the rarest latents."""

    def __init__(self, basis):
        super().__init__()
        self.register_buffer("basis", basis)

    def forward(self, latents):
        return (0.5 + SCALE * latents @ self.basis.T).unflatten(1, (3, SIZE, SIZE))


class Problem:
    """The judge wants one picture, and its score falls with the squared distance of latents from that picture's: the
    best correction goes straight there, as far as the box allows."""

    def __init__(self, seed):
        generator = torch.Generator().manual_seed(seed)
        basis = torch.linalg.qr(torch.randn(3 * SIZE**2, DIM, generator=generator))[0]
        self.target = torch.randn(DIM, generator=generator)
        self.vae = VAE(LinearEncoder(), LinearDecoder(basis), SIZE, DIM)
        self.picture = self.vae.decode(self.target[None])

    def judge(self, pictures):
        return -(pictures - self.picture).square().sum((1, 2, 3)) / SCALE**2

    def make(self, rows, **settings):
        kinds = {"vae": self.vae, "judge": self.judge, "delta_scale": KAPPA, "autoreset_mode": "SameStep"}
        return gym.make_vec("HandRefine-v0", num_envs=rows, **kinds, **settings)

    def score(self, act):
        """Mean reward on 512 latents that no agent was trained on."""
        env = self.make(512)
        latents, _ = env.reset(seed=10_000)
        return float(env.step(act(latents))[1].mean())

    def best(self, latents):
        return ((self.target.numpy() - latents) / KAPPA).clip(-1, 1)


def test_the_closed_form_is_the_best_there_is_and_random_corrections_make_latents_worse():
    problem, rng = Problem(0), np.random.default_rng(0)
    best = problem.score(problem.best)
    near = problem.score(lambda z: (problem.best(z) + rng.normal(0, 0.1, z.shape)).clip(-1, 1))
    assert near < best
    latents = problem.make(512).reset(seed=10_000)[0]
    expected = ((latents - problem.target.numpy()) ** 2).sum(1)
    expected -= ((latents + problem.best(latents) - problem.target.numpy()) ** 2).sum(1)
    assert best == pytest.approx(expected.mean(), rel=0.01)
    assert problem.score(lambda z: rng.uniform(-1, 1, z.shape)) < 0


@pytest.mark.slow(seconds=40)
def test_sac_reaches_nine_tenths_of_the_optimum_and_refine_drops_the_rest():
    for seed in range(2):
        problem = Problem(seed)
        few_but_large = {"learning_rate": lambda left: 1e-2 * left, "gradient_steps": 6}  # updates
        model = make_sac(problem.make(32), seed, batch_size=256, policy_kwargs={"net_arch": [64, 64]}, **few_but_large)
        model.learn(32 * 120)
        reached = problem.score(lambda z, model=model: model.predict(z, deterministic=True)[0])
        assert reached > 0.9 * problem.score(problem.best)
        refined = refine(model, StandardNormal(DIM).sample(256, seed=5), problem.vae, problem.judge, delta_scale=KAPPA)
        assert (refined.score >= refined.score_before).all()
        assert refined.corrected.mean() > 0.9


def test_make_sac_fits_the_vector_form():
    problem = Problem(0)
    one, several = (make_sac(problem.make(4, steps_per_episode=steps), 0) for steps in (1, 3))
    assert (one.gamma, several.gamma) == (0.0, 0.99)
    assert one.ent_coef == several.ent_coef == REFINE_ENT_COEF
    assert one.batch_size == REFINE_ROW_SETTINGS["batch_size"]
    assert isinstance(one.actor.mu, nn.Linear)
    assert (one.target_entropy, one.actor.mu.out_features) == (-DIM, DIM)
    assert several.observation_space.shape == (DIM + 1,)
    large = make_sac(problem.make(4), 0, gamma=0.5, policy_kwargs={"net_arch": [32, 32]})
    assert isinstance(large.actor.mu, nn.Linear)
    assert (large.gamma, large.actor.mu.in_features) == (0.5, 32)


def test_make_sac_fits_the_single_form():
    env = gym.make("HandRefine-v0", vae=Problem(0).vae, judge=Problem(0).judge)
    model = make_sac(env, 0, learning_starts=4, batch_size=8, policy_kwargs={"net_arch": [16]})
    model.learn(8)
    assert (model.gamma, model.ent_coef, model.gradient_steps) == (0.0, REFINE_ENT_COEF, SETTINGS["gradient_steps"])


def test_an_episode_s_end_is_stored_as_terminal():
    model = make_sac(Problem(0).make(4, steps_per_episode=2), 0, learning_starts=4, gradient_steps=1, batch_size=8)
    model.learn(16)
    assert model.replay_buffer.dones[:4].tolist() == [[0] * 4, [1] * 4] * 2
    assert not model.replay_buffer.timeouts[:4].any()


@pytest.mark.parametrize(("rows", "updates"), [(256, 48), (64, 12), (16, 3), (1, 1)])
def test_there_are_as_many_updates_for_each_sample_whatever_the_number_of_rows(rows, updates):
    model = make_sac(Problem(0).make(rows), 0, buffer_size=rows, policy_kwargs={"net_arch": [8]})
    assert (model.train_freq.frequency, model.gradient_steps) == (1, updates)


class LocalProblem:
    """A decoder with convolutions, drawn at random, and a judge that looks for eight patterns of 5 x 5 pixels.

    Four are wanted and four are not; each counts where it is seen most plainly, wherever that is.
    """

    def __init__(self, seed, dim=128, size=16):
        generator = torch.Generator().manual_seed(seed)
        layers: list[nn.Linear | nn.Conv2d]
        layers = [nn.Linear(dim, 512), nn.Conv2d(32, 16, 3, padding=1), nn.Conv2d(16, 3, 3, padding=1)]
        decoder = nn.Sequential(
            *(layers[0], nn.Unflatten(1, (32, 4, 4)), nn.SiLU()),
            *(nn.Upsample(scale_factor=2), layers[1], nn.SiLU()),
            *(nn.Upsample(scale_factor=2), layers[2]),
        )
        with torch.no_grad():
            for layer in layers:
                scale = (2 / layer.weight[0].numel()) ** 0.5
                layer.weight.copy_(torch.randn(layer.weight.shape, generator=generator) * scale)
                layer.bias.zero_()
            layers[2].weight.mul_(0.25 / decoder(torch.randn(500, dim, generator=generator)).std())
            layers[2].bias.fill_(0.5)
        self.vae = VAE(LinearEncoder(size, dim), decoder, size, dim)
        patterns = torch.randn(8, 3, 5, 5, generator=generator)
        patterns -= patterns.mean((1, 2, 3), keepdim=True)
        self.patterns = patterns / patterns.flatten(1).norm(dim=1)[:, None, None, None]
        self.wanted = torch.tensor([1.0, -1.0] * 4)

    def judge(self, pictures):
        found = torch.conv2d(pictures, self.patterns).relu().flatten(2).amax(2)
        return 10 * (found * self.wanted).mean(1)

    def reached(self, policy, seed):
        """Mean reward, on latents that it was not trained on, after 1,920 corrections and 174 updates."""
        make = {"vae": self.vae, "judge": self.judge, "autoreset_mode": "SameStep"}
        env, test = (gym.make_vec("HandRefine-v0", num_envs=rows, **make) for rows in (64, 512))
        settings = {"learning_rate": 5e-4, "batch_size": 16, "gradient_steps": 6}
        model = make_sac(env, seed, policy=policy, policy_kwargs={"net_arch": [64, 64]}, **settings)
        model.learn(64 * 30)
        latents, _ = test.reset(seed=10_000)
        return float(test.step(model.predict(latents, deterministic=True)[0])[1].mean())


@pytest.mark.slow(seconds=40)
def test_with_as_many_samples_and_updates_sac_learns_far_more_from_pictures_than_from_latents():
    for seed in range(2):
        problem = LocalProblem(seed)
        pictures, latents = (problem.reached(policy, seed) for policy in (RefinePolicy, "MlpPolicy"))
        assert pictures > 0.5
        assert pictures > 1.5 * latents  # when this was written: 0.66 and 0.29, 0.98 and 0.23
