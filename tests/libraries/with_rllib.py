"""Train RLlib's PPO in both forms of HandLatent-v0: rows as in examples/06_rllib.py, and the flat single form."""

import runpy
from pathlib import Path

import numpy as np
import ray
from hands import HANDS, ran
from ray.rllib.algorithms.ppo import PPOConfig

EXAMPLE = Path(__file__).parents[2] / "examples" / "06_rllib.py"


def single() -> float:
    """Train for eight episodes, and return their mean return."""
    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False)
    config = (
        PPOConfig()
        .environment("hand_env:HandLatent-v0", env_config=HANDS | {"flat": True, "reward": "loss_change"})
        .env_runners(num_env_runners=0)
        .training(train_batch_size_per_learner=48, minibatch_size=16, num_epochs=1)
    )
    algorithm = config.build_algo()
    try:
        return float(algorithm.train()["env_runners"]["episode_return_mean"])
    finally:
        algorithm.stop()
        ray.shutdown()


if __name__ == "__main__":
    assert single() > 0, "the VAE did not learn: its loss falls in each episode"
    rows = runpy.run_path(str(EXAMPLE))["main"](iterations=1)
    assert np.isfinite(rows).all()
    ran("PPO: single, flat; rows")
