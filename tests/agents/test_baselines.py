import numpy as np
import pytest
from gymnasium import spaces

from agents import NoAction, RandomAction

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


def test_random_repeats_by_seed_and_goes_on_from_its_state():
    observation = np.ones((3, 4), np.float32)
    first, second = RandomAction(SPACE, seed=1), RandomAction(SPACE, seed=1)
    assert np.array_equal(first.predict(observation)[0], second.predict(observation)[0])
    resumed = RandomAction(SPACE, seed=2)
    resumed.load_state_dict(first.state_dict())
    assert np.array_equal(resumed.predict(observation)[0], first.predict(observation)[0])
