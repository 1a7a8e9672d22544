"""The tasks of `handlatent schedule`: on each, VAEs train side by side on equally many pictures."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from agents.commands.schedule.args import ScheduleArgs
from agents.rl.vec_env import GymnasiumVecEnv
from agents.runs.packed_pictures import read_packed
from hand_env import HandScheduleVectorEnv
from hand_env.scoring import ScoreFn
from vae.images.synthetic import generate_hands
from vae.seeds import Purpose, stream_seed

DRAWN_PER_CHOSEN = 2  # so that each row chooses other synthetic hands


@dataclass(eq=False)
class Task:
    """One N on one kind of pictures: its environment, and the observations at the start of its next episodes.

    Attributes:
        name: "80" for 80 pictures of --data, "drawn-2000" for 2,000 synthetic hands.
        number: Its place in the list of tasks, from 0.
        env: The vector environment.
        decisions: Steps of an episode.
        seed: Seed of all episodes.
        episodes: Episodes of each row that have begun.
        observations: (rows, 14) float32.
    """

    name: str
    number: int
    env: GymnasiumVecEnv
    decisions: int
    seed: int
    episodes: int = 0
    observations: Any = None

    def begin(self, episodes: int) -> None:
        """Reset the environment at its start, or where an earlier training stopped.

        Args:
            episodes: Episodes of each row that have ended.
        """
        self.episodes = episodes
        self.seed_next()
        self.observations = self.env.reset()
        self.episodes += 1

    def seed_next(self) -> None:
        """Seed the next episodes; call it before the running ones end, since the last step resets the rows."""
        env = self.env.env
        assert isinstance(env, HandScheduleVectorEnv), "make_tasks wraps one"
        for row, own in enumerate(env.envs):
            own.env.np_random = np.random.default_rng((self.seed, self.number, self.episodes, row))


def make_tasks(args: ScheduleArgs, score: ScoreFn, device: str) -> list[Task]:
    """Read and draw the pictures, and build an environment for each task.

    Args:
        args: Settings.
        score: Pays for the hands that are drawn.
        device: Device of the VAEs.

    Returns:
        The tasks, not yet begun.

    Raises:
        FileNotFoundError: If the photographs do not exist.
        ValueError: If there are fewer pictures than a task needs.
    """
    kinds = [(f"{n}", n, None) for n in args.n] + [(f"drawn-{n}", n, n) for n in args.drawn_n]
    people = _pictures(args).to(device)
    if wrong := [n for n in args.n if n > len(people)]:
        raise ValueError(
            f"--n must be at most {len(people)}, the pictures of validation and test people, got {wrong[0]}."
        )
    drawn = _drawn(args, device) if args.drawn_n else people
    return [
        _task(number, name, n, people if of_drawn is None else drawn, score, args, device)
        for number, (name, n, of_drawn) in enumerate(kinds)
    ]


def _pictures(args: ScheduleArgs) -> Tensor:
    """Return the pictures to train VAEs on: of validation and test people, so that the training people stay unseen."""
    packed = read_packed(args.data, args.images, args.size, args.pack)
    return torch.cat([packed.validation, packed.held_out])


def _drawn(args: ScheduleArgs, device: str) -> Tensor:
    count = DRAWN_PER_CHOSEN * max(args.drawn_n)
    seed = stream_seed(args.seed, Purpose.TASK_HANDS)
    return generate_hands(count, args.size, seed=seed, device=device).images


def _task(number: int, name: str, n: int, pool: Tensor, score: ScoreFn, args: ScheduleArgs, device: str) -> Task:
    steps = args.steps[number] if len(args.steps) > 1 else args.steps[0]
    epochs = max(args.decisions, round(steps / math.ceil(n / args.batch_size)))
    per_decision = math.ceil(epochs / args.decisions)
    generator = np.random.default_rng((args.seed, n))
    chosen = [torch.from_numpy(generator.permutation(len(pool))[:n]).to(pool.device) for _ in range(args.rows)]
    env = HandScheduleVectorEnv(
        args.rows,
        autoreset_mode="SameStep",
        images=[pool[rows] for rows in chosen],
        batch_size=args.batch_size,
        epochs_per_episode=epochs,
        epochs_per_step=per_decision,
        latent_dim=args.latent_dim,
        training={"learning_rate": args.learning_rate, "kl_weight": args.kl_weight},
        judge=score,
        n_drawn=args.drawn,
        drawn_from="mixture",
        device=device,
    )
    return Task(name, number, GymnasiumVecEnv(env), math.ceil(epochs / per_decision), args.seed)
