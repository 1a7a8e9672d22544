"""Let SAC see random schedules of HandSchedule-v0 before it acts; `agents.rl.sac` has its settings."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from stable_baselines3 import SAC
from stable_baselines3.common.vec_env import VecEnv

Actions = NDArray[np.float32]


def random_schedules(steps: int, rows: int, generator: np.random.Generator) -> Actions:
    """Draw whole schedules at random: each number of the action follows a line, or means none of it.

    Independent actions would average out over an episode, and all episodes would look alike.

    Args:
        steps: Decisions in an episode.
        rows: Episodes.
        generator: Source of random numbers.

    Returns:
        (steps, rows, 3) float32 in [-1, 1].
    """
    first, last = generator.uniform(-1, 1, (2, 1, rows, 3))
    done = np.linspace(0, 1, steps)[:, None, None]
    lines = first + done * np.where(generator.random((1, rows, 3)) < 0.5, 0, last - first)
    none = generator.random((1, rows, 3)) < 0.3
    return np.where(none, -1.0, lines).astype(np.float32)


def explore(model: SAC, env: VecEnv, observations: NDArray[np.float32], schedules: Actions) -> Any:
    """Act on an environment by schedules, and store what happens in the model's replay buffer.

    Args:
        model: SAC for this environment.
        env: The environment, at an episode's start.
        observations: (rows, ...) float32, its observations.
        schedules: (steps, rows, ...) float32, from `random_schedules`.

    Returns:
        The environment's observations after the last step, and the infos of that step.
    """
    assert model.replay_buffer is not None, "SAC makes one"
    infos: list[dict[str, Any]] = []
    for actions in schedules:
        following, rewards, dones, infos = env.step(actions)
        assert isinstance(following, np.ndarray), "HandSchedule-v0 has a Box"
        ends = [
            info["terminal_observation"] if done else own
            for info, done, own in zip(infos, dones, following, strict=True)
        ]
        model.replay_buffer.add(observations, np.stack(ends), actions, rewards, dones, infos)
        observations = following
    return observations, infos
