"""Train a VAE in an environment of its own, with an agent that learns meanwhile."""

from stable_baselines3.common.callbacks import BaseCallback

from agents.commands.curriculum.args import CurriculumArgs
from agents.commands.curriculum.jobs import Job
from agents.rl.sac import make_sac
from hand_env import HandLatentVectorEnv
from vae.training import Trainer

ROWS_KAPPA = 2.0


def train_rows(job: Job, args: CurriculumArgs, device: str) -> Trainer:
    """Train a VAE while SAC learns in the row form of HandLatent-v0, with kappa 2 and the default reward.

    Args:
        job: What to train.
        args: Settings.
        device: Device of the VAE and of the agent's networks.

    Returns:
        The trainer of the first episode, at its end.
    """
    env = HandLatentVectorEnv(
        job.batch_size,
        autoreset_mode="SameStep",
        images=job.images,
        latent_dim=args.latent_dim,
        epochs_per_episode=job.epochs,
        delta_scale=ROWS_KAPPA,
        training={"learning_rate": args.learning_rate},
        device=device,
    )
    model, first = make_sac(env, job.seed, device), _FirstEpisode(env)
    model.learn(job.epochs * -(-len(job.images) // job.batch_size) * job.batch_size, callback=first)
    assert first.trainer is not None, "learning begins with a reset"
    return first.trainer


class _FirstEpisode(BaseCallback):
    """Keep the trainer of the first episode; the reset at its end makes another."""

    def __init__(self, env: HandLatentVectorEnv) -> None:
        super().__init__()
        self.env = env
        self.trainer: Trainer | None = None

    def _on_training_start(self) -> None:
        self.trainer = self.env.env.trainer

    def _on_step(self) -> bool:
        return True
