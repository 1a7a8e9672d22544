import numpy as np
import pytest
import torch
from gymnasium import spaces

from agents import GradientSteps, NoAction, RandomAction
from hand_env import HandLatentVectorEnv

SPACE = spaces.Box(-1.0, 1.0, (3, 4), np.float32)


@pytest.mark.parametrize("lead", [(), (5,)])
def test_baselines_give_an_action_for_each_observation(lead):
    observation = np.ones((*lead, 3, 4), np.float32)
    for agent in (NoAction(SPACE), RandomAction(SPACE)):
        action, state = agent.predict(observation, deterministic=True)
        assert action.shape == (*lead, 3, 4)
        assert action.dtype == np.float32
        assert state is None
        assert np.abs(action).max() <= 1


def test_no_action_is_zeros_and_random_fills_the_range():
    many = np.ones((200, 3, 4), np.float32)
    assert not NoAction(SPACE).predict(many)[0].any()
    drawn = RandomAction(SPACE).predict(many)[0]
    assert drawn.min() < -0.99
    assert drawn.max() > 0.99
    assert abs(drawn.mean()) < 0.05


def test_random_fills_other_bounds_and_needs_finite_ones():
    low, high = np.array([[0, -3], [1, 5]], np.float32), np.array([[2, -2], [1, 9]], np.float32)
    drawn = RandomAction(spaces.Box(low, high)).predict(np.ones((500, 2, 2), np.float32))[0]
    assert np.allclose(drawn.min(0), low, atol=0.05)
    assert np.allclose(drawn.max(0), high, atol=0.05)
    assert all(map(spaces.Box(low, high).contains, drawn))
    with pytest.raises(
        ValueError, match=r"action_space must have finite bounds, got Box.* Rescale its actions to \[-1, 1\]"
    ):
        RandomAction(spaces.Box(-1.0, np.inf, (2,)))


def test_random_draws_from_the_environments_actions_what_it_did_before_bounds_counted():
    drawn = RandomAction(SPACE, seed=4).predict(np.ones((50, 3, 4), np.float32))[0]
    assert np.array_equal(drawn, np.random.default_rng(4).uniform(-1.0, 1.0, (50, 3, 4)).astype(np.float32))


def test_random_repeats_by_seed_and_goes_on_from_its_state():
    observation = np.ones((3, 4), np.float32)
    first, second = RandomAction(SPACE, seed=1), RandomAction(SPACE, seed=1)
    assert np.array_equal(first.predict(observation)[0], second.predict(observation)[0])
    resumed = RandomAction(SPACE, seed=2)
    resumed.load_state_dict(first.state_dict())
    assert np.array_equal(resumed.predict(observation)[0], first.predict(observation)[0])


@pytest.fixture
def rows(tiny_images):
    env = HandLatentVectorEnv(
        4,
        images=tiny_images,
        latent_dim=6,
        reward="counterfactual",
        delta_scale=0.5,
        autoreset_mode="SameStep",
        training={"learning_rate": 3e-3, "warmup_steps": 0},
    )
    env.reset(seed=0)
    for _ in range(25):  # an untrained decoder hardly looks at its latents
        env.step(np.zeros((4, 6), np.float32))
    return env


@pytest.mark.usefixtures("real_channels")
def test_gradient_steps_lower_the_loss_and_more_steps_lower_it_more(rows):
    state, gains = rows.state_dict(), []
    for steps in (1, 10):
        observation, _ = rows.reset(options={"state": state})
        agent = GradientSteps(rows, steps)
        paid = []
        for _ in range(8):
            action, _ = agent.predict(observation)
            assert action.shape == observation.shape
            assert action.dtype == np.float32
            observation, rewards, *_ = rows.step(action)
            paid.append(rewards.mean())
        gains.append(np.mean(paid))
    assert 0 < gains[0] < gains[1]


def test_gradient_steps_repeat_by_seed_go_on_from_their_state_and_train_nothing(rows):
    observation = rows.env.trainer.encode().numpy()
    before = [p.clone() for p in rows.env.trainer.vae.parameters()]
    agent, same = GradientSteps(rows, seed=3), GradientSteps(rows, seed=3)
    assert np.array_equal(agent.predict(observation)[0], same.predict(observation)[0])
    same.load_state_dict(agent.state_dict())
    assert np.array_equal(agent.predict(observation)[0], same.predict(observation)[0])
    assert all(torch.equal(a, b) for a, b in zip(before, rows.env.trainer.vae.parameters(), strict=True))
    assert np.abs(agent.predict(observation)[0]).max() <= 1


def test_gradient_steps_are_those_of_torch_s_adam_within_rounding(rows, monkeypatch):
    generator = torch.Generator().manual_seed(0)
    gradients = torch.randn(10, 4, 6, generator=generator) * torch.logspace(-6, 3, 6)
    left = iter(gradients)
    monkeypatch.setattr(rows.env.trainer, "loss_gradient", lambda delta, generator: next(left))
    found, _ = GradientSteps(rows, 10, step_size=0.2).predict(np.zeros((4, 6), np.float32))
    delta = torch.zeros(4, 6)
    adam = torch.optim.Adam([delta], lr=0.2, betas=(0.9, 0.99), eps=1e-12)
    for gradient in gradients:
        delta.grad = 0.5 * gradient  # the environment's delta_scale
        adam.step()
        delta.clamp_(-1, 1)
    np.testing.assert_allclose(found, delta.numpy(), rtol=0, atol=1e-5)
    assert 0 < np.mean(np.abs(found) < 1) < 1  # some are clipped, not all


def test_gradient_steps_take_a_batch_of_one_as_stable_baselines3_gives_it(make_env):
    env = make_env()
    observation, _ = env.reset(seed=0)
    action, _ = GradientSteps(env, 2).predict(observation[None])
    assert action.shape == (1, 4, 6)
    assert env.action_space.contains(action[0])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steps": 0}, "steps must be at least 1, got 0"),
        ({"step_size": 0.0}, "step_size must be a finite number above 0, got 0.0"),
        ({"step_size": float("nan")}, "step_size must be a finite number above 0, got nan"),
    ],
)
def test_wrong_gradient_steps_raise(make_env, settings, message):
    with pytest.raises(ValueError, match=message):
        GradientSteps(make_env(), **settings)


def test_the_gradient_is_taken_at_kappa_times_delta(make_env, monkeypatch):
    env, seen = make_env(delta_scale=0.25), []
    env.reset(seed=0)

    def gradient(shift, generator):
        seen.append(shift.clone())
        return torch.ones_like(shift)

    monkeypatch.setattr(env.trainer, "loss_gradient", gradient)
    GradientSteps(env, 3, step_size=5.0).predict(np.zeros((4, 6), np.float32))
    assert [float(shift.abs().max()) for shift in seen] == [0, 0.25, 0.25]
