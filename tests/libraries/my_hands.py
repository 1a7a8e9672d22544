"""HandLatent-v0 with arguments of one's own, for scripts that call `gym.make(id)`: the id is my_hands:HandLatent-v0."""

import gymnasium as gym
from hands import HANDS

gym.spec("HandLatent-v0").kwargs.update(HANDS | {"flat": True, "epochs_per_episode": 50})
