"""Log SAC's training in HandLatent-v0 to Weights & Biases, offline: a folder that `wandb sync` can send later."""

import tempfile
from pathlib import Path

import gymnasium as gym
import wandb
from hands import HANDS, SEEN, ran
from stable_baselines3 import SAC
from wandb.integration.sb3 import WandbCallback


def main(folder: Path) -> None:
    """Train SAC for four episodes with its TensorBoard log sent to the run, and see that the run was written."""
    with wandb.init(mode="offline", dir=folder, sync_tensorboard=True, config={"env": "HandLatent-v0"}) as run:
        env = gym.make("HandLatent-v0", flat=True, **HANDS)
        settings = {"learning_starts": 4, "buffer_size": 50, "batch_size": 4}
        agent = SAC("MlpPolicy", env, seed=0, tensorboard_log=str(folder / "tensorboard"), **settings)
        agent.learn(24, callback=WandbCallback(), log_interval=1)
        for step, loss in enumerate(SEEN.losses):  # and what the library does not log by itself
            run.log({"vae/loss_nats": loss, "step": step})
        summary = dict(run.summary)
    assert list(folder.glob("wandb/offline-run-*/run-*.wandb")), "nothing was written"
    assert summary["vae/loss_nats"] == SEEN.losses[-1]
    SEEN.check(24)
    ran("Stable-Baselines3's SAC, logged offline: single, flat")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        main(Path(folder))
