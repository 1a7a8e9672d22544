"""Collect a Minari data set with infos from each environment, and read it back."""

import os
import tempfile
import warnings
from typing import Any

import gymnasium as gym
import numpy as np
from hands import HANDS, ran

SCHEDULE = {"n_images": 16, "latent_dim": 4, "epochs_per_episode": 2, "epochs_per_step": 1, "n_drawn": 2}
ENVIRONMENTS: dict[str, dict[str, Any]] = {
    "HandLatent-v0": HANDS | {"reward": "loss_change"},  # a name: Minari writes the arguments to JSON
    "HandRefine-v0": {"steps_per_episode": 3},
    "HandSchedule-v0": SCHEDULE,
}


def collect(name: str, settings: dict[str, Any]) -> None:
    """Collect two episodes, and see that they come back whole and that the data set makes the environment again."""
    import minari

    env = minari.DataCollector(gym.make(name, **settings), record_infos=True)
    steps = 0
    for seed in range(2):
        _, first = env.reset(seed=seed)
        ended = False
        while not ended:
            *_, terminated, truncated, _ = env.step(env.action_space.sample())
            ended, steps = terminated or truncated, steps + 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about authors and an environment for evaluation
        written = env.create_dataset(f"hands/{name[:-3].lower()}-v0", algorithm_name="random")
    read = minari.load_dataset(written.id)
    assert (read.total_episodes, read.total_steps) == (2, steps)
    for episode in read.iterate_episodes():
        assert set(episode.infos) == set(first)
        assert {len(values) for values in episode.infos.values()} == {len(episode) + 1}
        assert np.isfinite(episode.rewards).all()
    assert read.recover_environment().observation_space == env.observation_space
    ran(f"`DataCollector(record_infos=True)`: {name}, single")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        os.environ["MINARI_DATASETS_PATH"] = folder  # before Minari is imported
        for name, settings in ENVIRONMENTS.items():
            collect(name, settings)
