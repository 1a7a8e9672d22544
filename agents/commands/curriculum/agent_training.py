"""Train VAEs in environments of their own, with an agent that learns meanwhile or has learned before."""

from collections.abc import Sequence

from stable_baselines3.common.callbacks import BaseCallback

from agents.commands.curriculum.args import CurriculumArgs
from agents.commands.curriculum.jobs import Job
from agents.rl.sac import make_sac
from agents.rl.schedule_agent import N_DRAWN, epochs_per_decision, load_agent
from hand_env import HandLatentVectorEnv, HandScheduleVectorEnv
from hand_env.anatomy import Judge
from vae.progress import Bar, progress_bar
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
    steps = job.epochs * -(-len(job.images) // job.batch_size)
    with progress_bar(title="Training 1 VAE", total=steps) as bar:
        model, first = make_sac(env, job.seed, device), _FirstEpisode(env, bar)
        model.learn(steps * job.batch_size, callback=first)
    assert first.trainer is not None, "learning begins with a reset"
    return first.trainer


def train_with_agent(jobs: Sequence[Job], args: CurriculumArgs, device: str) -> list[Trainer]:
    """Train VAEs side by side in HandSchedule-v0, with its trained agent.

    Args:
        jobs: Jobs of one N, number of epochs and method.
        args: Settings; `agent` names the agent's file.
        device: Device of the VAEs.

    Returns:
        The trainers, at the end of their episodes.
    """
    assert args.agent is not None, "checked by check_args"
    env = HandScheduleVectorEnv(
        len(jobs),
        images=[job.images for job in jobs],
        batch_size=jobs[0].batch_size,
        epochs_per_episode=jobs[0].epochs,
        epochs_per_step=epochs_per_decision(jobs[0].epochs),
        latent_dim=args.latent_dim,
        training={"learning_rate": args.learning_rate, "kl_weight": jobs[0].method.kl_weight},
        judge=Judge.load(args.parser, device=device).correct,
        n_drawn=N_DRAWN,
        drawn_from="mixture",
        device=device,
    )
    agent = load_agent(args.agent)
    observations, _ = env.reset(seed=[job.seed for job in jobs])
    trainers = [row.env.trainer for row in env.envs]
    decisions = range(-(-jobs[0].epochs // env.envs[0].epochs_per_step))
    for _ in progress_bar(decisions, f"Training {len(jobs)} VAEs", unit="decisions"):
        actions, _ = agent.predict(observations, deterministic=True)
        observations, *_ = env.step(actions)
    return trainers


class _FirstEpisode(BaseCallback):
    """Keep the trainer of the first episode, since the reset at its end makes another, and count the steps."""

    def __init__(self, env: HandLatentVectorEnv, bar: Bar) -> None:
        super().__init__()
        self.env, self.bar = env, bar
        self.trainer: Trainer | None = None

    def _on_training_start(self) -> None:
        self.trainer = self.env.env.trainer

    def _on_step(self) -> bool:
        self.bar.update()
        return True
