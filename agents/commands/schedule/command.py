"""The steps of `handlatent schedule`: rounds of VAEs side by side, random schedules first, then SAC's own."""

import math
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from stable_baselines3 import SAC
from stable_baselines3.common.callbacks import BaseCallback

from agents.commands.schedule.args import ScheduleArgs, check_args
from agents.commands.schedule.round_figures import Row, as_csv, summarise
from agents.commands.schedule.tasks import Task, make_tasks
from agents.rl.sac import load_learner, make_sac, sac_state
from agents.rl.schedule_agent import explore, random_schedules
from agents.runs.checkpointing import Checkpointer
from agents.runs.ctrl_c import Interrupted
from agents.runs.json_rules import OBJECT, OBJECTS
from agents.runs.lock import held
from agents.runs.run_folder import check_folder
from hand_env.anatomy import Judge
from vae.device import resolve_device
from vae.files import save_tensors, save_text
from vae.progress import Bar, progress_bar

_STATE = {"settings": OBJECT, "agent": OBJECT, "generator": OBJECT, "rows": OBJECTS}
AGENT, ROUNDS, CHECKPOINTS = "agent.safetensors", "rounds.csv", "checkpoints"
# What may differ when a training is resumed. Tasks too: the replay buffer keeps what the agent saw on others.
TASK_SETTINGS = ("n", "drawn_n", "steps", "batch_size", "learning_rate", "kl_weight", "drawn", "updates", "explore")
MAY_DIFFER = ("data", "pack", "parser", "rounds", "seconds", "out", "device", *TASK_SETTINGS)

Infos = list[list[dict[str, Any]]]


def schedule(args: ScheduleArgs) -> str:
    """Train the agent, or resume its training.

    Args:
        args: Settings.

    Returns:
        A sentence that says where the agent is and what the last rounds gained.

    Raises:
        FileNotFoundError: If the photographs do not exist.
        ValueError: If a setting is wrong, or the folder holds a training with other settings, or other files.
        Interrupted: After Ctrl-C, once the running round is saved.
    """
    check_args(args)
    with held(args.out):
        return _schedule(args)


def _schedule(args: ScheduleArgs) -> str:
    began, device = time.monotonic(), resolve_device(args.device)
    checkpoints = Checkpointer(args.out / CHECKPOINTS, 0)
    state = checkpoints.load(_STATE)
    _check_settings(args, state)
    check_folder(args.out, is_own=lambda _: state is not None)
    tasks = make_tasks(args, Judge.load(args.parser, device=device).correct, device)
    model = make_sac(tasks[0].env.env, args.seed, gradient_steps=args.updates)
    generator, rows = np.random.default_rng(args.seed), list[Row]()
    if state is not None:
        rows = state["rows"]
        with checkpoints.restoring("generator"):
            generator.bit_generator.state = state["generator"]
    with checkpoints.restoring("rows"):
        episodes = Counter(row["n"] for row in rows)
    for task in tasks:
        task.begin(episodes[task.name])
    if state is not None:
        with checkpoints.restoring("agent"):
            load_learner(model, state["agent"])
        with checkpoints.restoring("rows"):
            _write(args, model, rows)  # it may have been killed between the checkpoint and these
    done = len(rows)
    with checkpoints.ctrl_c, _bar(tasks, done, args.rounds) as bar:
        for number in range(done, args.rounds):
            if args.seconds and number > done and _ends_at(began, number - done) > args.seconds:
                break
            task, explores = tasks[number % len(tasks)], number < args.explore
            task.seed_next()
            infos = _explore(model, task, generator, bar) if explores else _learn(model, task, bar)
            task.episodes += 1
            figures = summarise(infos)
            _refuse_divergence(args, number, figures)
            rows.append({"round": number, "n": task.name, "explores": int(explores), **figures})
            checkpoints.save(len(rows), _state(args, model, generator, rows))  # first: it shows whose folder this is
            _write(args, model, rows)
            if checkpoints.ctrl_c.pressed:
                raise Interrupted(f"the same command, which resumes '{args.out}'")
    return f"The agent is in {args.out / AGENT}; {args.out / ROUNDS} has the share of right hands after each round."


def _refuse_divergence(args: ScheduleArgs, number: int, figures: Mapping[str, float]) -> None:
    """Refuse a round without figures: no VAE of it reached a decision or the end."""
    if not all(map(math.isfinite, figures.values())):
        raise ValueError(
            f"All VAEs of round {number} diverged. Start again with another --out, and with a lower --learning-rate "
            f"than {args.learning_rate!r} or a lower --kl-weight than {args.kl_weight!r}."
        )


def _write(args: ScheduleArgs, model: SAC, rows: list[Row]) -> None:
    save_tensors(args.out / AGENT, model.policy.state_dict())
    save_text(args.out / ROUNDS, as_csv(rows))


def _ends_at(began: float, rounds: int) -> float:
    """Return when the next round will probably end, in seconds from the start."""
    return (time.monotonic() - began) * (rounds + 1) / rounds


def _state(args: ScheduleArgs, model: SAC, generator: np.random.Generator, rows: list[Row]) -> dict[str, Any]:
    random = generator.bit_generator.state
    return {"settings": _settings(args), "agent": sac_state(model), "generator": random, "rows": rows}


def _settings(args: ScheduleArgs) -> dict[str, Any]:
    return {name: value for name, value in asdict(args).items() if name not in MAY_DIFFER}


def _check_settings(args: ScheduleArgs, state: dict[str, Any] | None) -> None:
    for name, value in _settings(args).items():
        if state is not None and state["settings"].get(name) != value:
            raise ValueError(
                f"--out '{args.out}' holds a training with --{name.replace('_', '-')} {state['settings'].get(name)!r}, "
                f"got {value!r}. Choose another folder, or the same settings to resume."
            )


def _bar(tasks: Sequence[Task], done: int, rounds: int) -> Bar:
    decisions = [tasks[number % len(tasks)].decisions for number in range(max(done, rounds))]
    return progress_bar(
        title="Learning", unit="decisions", total=sum(decisions), initial=sum(decisions[:done]), leave=True
    )


def _explore(model: SAC, task: Task, generator: np.random.Generator, bar: Bar) -> Infos:
    schedules = random_schedules(task.decisions, task.env.num_envs, generator)
    infos: Infos = []
    for actions in schedules:
        task.observations, last = explore(model, task.env, task.observations, actions[None])
        infos.append(last)
        bar.update()
    return infos


def _learn(model: SAC, task: Task, bar: Bar) -> Infos:
    model.set_env(task.env, force_reset=False)
    model._last_obs = task.observations  # the environment has reset itself; another reset would build all VAEs again
    keep = _KeepInfos(bar)
    model.learn(task.decisions * task.env.num_envs, callback=keep, reset_num_timesteps=False)
    task.observations = model._last_obs
    return keep.infos


class _KeepInfos(BaseCallback):
    """Keep the infos of each step, and count it."""

    def __init__(self, bar: Bar) -> None:
        super().__init__()
        self.bar = bar
        self.infos: Infos = []

    def _on_step(self) -> bool:
        self.infos.append(self.locals["infos"])
        self.bar.update()
        return True
