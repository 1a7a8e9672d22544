"""Train VAEs in environments of their own, with an agent that learns meanwhile or has learned before."""

from collections.abc import Sequence
from pathlib import Path

from gymnasium import spaces
from safetensors import SafetensorError
from safetensors.torch import load_file
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.sac.policies import SACPolicy

from agents.commands.curriculum.args import CurriculumArgs
from agents.commands.curriculum.jobs import Job
from agents.rl.sac import build_policy, make_sac
from hand_env import HandLatentVectorEnv, HandScheduleVectorEnv
from hand_env.anatomy import Judge
from vae.training import Trainer

ROWS_KAPPA = 2.0
DECISIONS = 10  # of the agent of HandSchedule-v0 in a training, at most one an epoch


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
        epochs_per_step=-(-jobs[0].epochs // DECISIONS),
        latent_dim=args.latent_dim,
        training={"learning_rate": args.learning_rate, "kl_weight": jobs[0].method.kl_weight},
        judge=Judge.load(args.parser, device=device).correct,
        n_drawn=128,
        drawn_from="neighbours",
        device=device,
    )
    agent = load_agent(args.agent, env)
    observations, _ = env.reset(seed=[job.seed for job in jobs])
    trainers = [row.env.trainer for row in env.envs]
    for _ in range(-(-jobs[0].epochs // env.envs[0].epochs_per_step)):
        actions, _ = agent.predict(observations, deterministic=True)
        observations, *_ = env.step(actions)
    return trainers


def load_agent(path: Path, env: HandScheduleVectorEnv) -> SACPolicy:
    """Read the weights of SAC's policy for HandSchedule-v0; nothing is unpickled.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it does not hold such a policy.
    """
    if not path.is_file():
        raise FileNotFoundError(f"--agent '{path}' must be the file of a trained agent, and there is none.")
    row = env.envs[0]
    assert isinstance(row.observation_space, spaces.Box), "HandSchedule-v0 has one"
    assert isinstance(row.action_space, spaces.Box), "likewise"
    try:
        return build_policy(row.observation_space, row.action_space, load_file(path))
    except (SafetensorError, RuntimeError, KeyError) as error:
        raise ValueError(
            f"--agent '{path}' must hold the weights of SAC's policy for HandSchedule-v0, got: {error}. Save "
            "model.policy.state_dict() as .safetensors."
        ) from error


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
