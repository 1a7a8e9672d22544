"""The steps of `handlatent schedule`: rounds of VAEs side by side, random schedules first, then SAC's own."""

import csv
import io
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from stable_baselines3 import SAC
from stable_baselines3.common.callbacks import BaseCallback
from torch import Tensor

from agents.commands.curriculum.args import CurriculumArgs
from agents.commands.curriculum.material import read_material
from agents.commands.schedule.args import ScheduleArgs, check_args
from agents.rl.sac import make_sac
from agents.rl.schedule_agent import explore, random_schedules
from agents.rl.vec_env import GymnasiumVecEnv
from hand_env import HandScheduleVectorEnv
from hand_env.anatomy import Judge
from vae.checkpoint import save_tensors, save_text
from vae.device import resolve_device
from vae.progress import progress_bar

AGENT, ROUNDS = "agent.safetensors", "rounds.csv"
CHOICES = ("reach", "mix", "pull")


@dataclass(eq=False)
class Course:
    """One N: its environment, and the observations at the start of its next episodes."""

    n: int
    env: GymnasiumVecEnv
    decisions: int
    observations: Any


def schedule(args: ScheduleArgs) -> str:
    """Train the agent.

    Args:
        args: Settings.

    Returns:
        A sentence that says where the agent is and what the last rounds gained.

    Raises:
        FileNotFoundError: If the photographs do not exist.
        ValueError: If a setting is wrong.
    """
    check_args(args)
    began, device = time.monotonic(), resolve_device(args.device)
    people = _pictures(args).to(device)
    score = Judge.load(args.parser, device=device).correct
    courses = [_course(n, people, score, args, device) for n in args.n]
    model = make_sac(courses[0].env.env, args.seed)
    args.out.mkdir(parents=True, exist_ok=True)
    generator, rows = np.random.default_rng(args.seed), list[dict[str, float]]()
    for number in progress_bar(range(args.rounds), "Agent", unit="rounds"):
        spent = time.monotonic() - began
        if args.seconds and number and spent * (number + 1) / number > args.seconds:
            break
        course, explores = courses[number % len(courses)], number < args.explore
        infos = _explore(model, course, generator) if explores else _learn(model, course)
        rows.append({"round": number, "n": course.n, "explores": int(explores), **_means(infos)})
        save_tensors(args.out / AGENT, model.policy.state_dict())
        save_text(args.out / ROUNDS, _table(rows))
    return f"The agent is in {args.out / AGENT}; {args.out / ROUNDS} has the share of right hands after each round."


def _pictures(args: ScheduleArgs) -> Tensor:
    """Return the pictures to train VAEs on: of validation and test people, so that the training people stay unseen."""
    material = read_material(CurriculumArgs(data=args.data, images=args.images, pack=args.pack, size=args.size))
    return torch.cat([material.validation, material.held_out])


def _course(n: int, people: Tensor, score: Any, args: ScheduleArgs, device: str) -> Course:
    if n > len(people):
        raise ValueError(f"--n must be at most {len(people)}, the pictures of validation and test people, got {n}.")
    epochs = max(args.decisions, round(args.steps / math.ceil(n / args.batch_size)))
    per_decision = math.ceil(epochs / args.decisions)
    generator = np.random.default_rng((args.seed, n))
    chosen = [torch.from_numpy(generator.permutation(len(people))[:n]) for _ in range(args.rows)]
    env = HandScheduleVectorEnv(
        args.rows,
        autoreset_mode="SameStep",
        images=[people[rows.to(people.device)] for rows in chosen],
        batch_size=args.batch_size,
        epochs_per_episode=epochs,
        epochs_per_step=per_decision,
        latent_dim=args.latent_dim,
        judge=score,
        n_drawn=args.drawn,
        drawn_from="neighbours",
        device=device,
    )
    wrapped = GymnasiumVecEnv(env)
    wrapped.seed(args.seed)
    return Course(n, wrapped, math.ceil(epochs / per_decision), wrapped.reset())


def _explore(model: SAC, course: Course, generator: np.random.Generator) -> list[list[dict[str, Any]]]:
    schedules = random_schedules(course.decisions, course.env.num_envs, generator)
    infos: list[list[dict[str, Any]]] = []
    for actions in schedules:
        course.observations, last = explore(model, course.env, course.observations, actions[None])
        infos.append(last)
    return infos


def _learn(model: SAC, course: Course) -> list[list[dict[str, Any]]]:
    model.set_env(course.env, force_reset=False)
    model._last_obs = course.observations  # the environment has reset itself; another reset would build all VAEs again
    kept = _Keep()
    model.learn(course.decisions * course.env.num_envs, callback=kept, reset_num_timesteps=False)
    course.observations = model._last_obs
    return kept.infos


def _means(infos: Sequence[Sequence[dict[str, Any]]]) -> dict[str, float]:
    """Summarise a round: the share of right hands at the end, and how the first and the last half acted.

    The info of a row that just diverged says neither.
    """
    right = [1 - info["drawn_wrong"] for info in infos[-1] if "drawn_wrong" in info]
    means = {"right": _mean(right), "right_sd": float(np.std(right, ddof=1)) if len(right) > 1 else 0.0}
    half = max(1, len(infos) // 2)
    for part, steps in (("first", infos[:half]), ("last", infos[-half:])):
        for name in CHOICES:
            means[f"{name}_{part}"] = _mean([info[name] for step in steps for info in step if name in info])
    return means


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else math.nan


def _table(rows: list[dict[str, float]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0].keys(), lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: round(value, 4) for name, value in row.items()} for row in rows)
    return text.getvalue()


class _Keep(BaseCallback):
    """Keep the infos of each step."""

    def __init__(self) -> None:
        super().__init__()
        self.infos: list[list[dict[str, Any]]] = []

    def _on_step(self) -> bool:
        self.infos.append(self.locals["infos"])
        return True
