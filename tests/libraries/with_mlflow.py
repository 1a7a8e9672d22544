"""Log SAC's training in HandLatent-v0 to MLflow, in a file of this machine."""

import tempfile
from pathlib import Path
from typing import Any

import gymnasium as gym
import mlflow
from hands import HANDS, SEEN, ran
from stable_baselines3.common.logger import KVWriter, Logger

from agents import make_sac


class ToMLflow(KVWriter):
    """Send what Stable-Baselines3 logs to the active run."""

    def write(self, key_values: dict[str, Any], key_excluded: dict[str, Any], step: int = 0) -> None:
        """Send the numbers of one step."""
        mlflow.log_metrics({name: float(value) for name, value in key_values.items()}, step=step)

    def close(self) -> None:
        """Leave the run to its owner."""


def main(folder: Path) -> None:
    """Train SAC for four episodes, and see that the run has its curves."""
    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
    mlflow.create_experiment("hands", artifact_location=str(folder))
    mlflow.set_experiment("hands")
    with mlflow.start_run() as run:
        env = gym.make_vec("HandLatent-v0", num_envs=4, autoreset_mode="SameStep", **HANDS)
        agent = make_sac(env, seed=0, learning_starts=8, batch_size=8)
        agent.set_logger(Logger(None, [ToMLflow()]))
        agent.learn(4 * 24, log_interval=1)
        for step, loss in enumerate(SEEN.losses):
            mlflow.log_metric("vae_loss_nats", loss, step=step)
    client = mlflow.MlflowClient()
    assert {"rollout/ep_rew_mean", "train/critic_loss"} <= set(client.get_run(run.info.run_id).data.metrics)
    assert len(client.get_metric_history(run.info.run_id, "vae_loss_nats")) == len(SEEN.losses)
    SEEN.check(24)
    ran("`make_sac`, logged: rows")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        main(Path(folder))
