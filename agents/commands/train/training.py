"""One run of `handlatent train`: environment, agent, training log and checkpoints, kept in step."""

import hashlib
import io
import shutil
import sys
import time
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from gymnasium import spaces
from stable_baselines3 import SAC
from stable_baselines3.common.callbacks import BaseCallback

from agents.command_line.flags import flag
from agents.command_line.shell_words import command
from agents.commands.train.args import TrainArgs
from agents.draw.hands import draw_both
from agents.figures.plots import Panel, save_curves
from agents.rl.baselines import NoAction, RandomAction
from agents.rl.sac import make_sac, reset_sac, restore_sac, sac_state
from agents.rl.schedule_actor import KAPPA, ScheduleActor
from agents.rl.schedule_agent import PACKAGED, PACKAGED_FOR_DRAWN, load_agent
from agents.runs import run_folder
from agents.runs.checkpointing import Checkpointer
from agents.runs.ctrl_c import Interrupted
from agents.runs.json_rules import NUMBER, NUMBERS, OBJECT, OBJECTS
from agents.runs.pictures import SYNTHETIC, Pictures
from agents.runs.run import read_parts
from agents.runs.training_log import TrainingLog, metrics_csv
from hand_env import HandLatentEnv
from hand_env.anatomy import Judge
from vae.acceleration import parallel
from vae.device import resolve_device
from vae.evaluation import encode_all
from vae.files import save_bytes, save_hashed_json, save_tensors, save_text
from vae.model import count_parameters
from vae.sampling.mixture import Mixture

CURVES = (
    Panel(
        "loss, nats per image",
        {"loss_nats": "training", "validation_loss_nats": "other people"},
        "95 % interval over steps or pictures",
    ),
    Panel("KL divergence, nats per image", {"kl_nats": "KL divergence"}, "95 % interval over steps"),
    Panel("reward, sum over the epoch", {"reward": "reward"}, "95 % interval over steps"),
    Panel("share of wrong hands, rewarding judge", {"drawn_wrong": "when it decided"}, "95 % interval over hands"),
    Panel("the agent's decision", {name: name for name in ("reach", "mix", "pull")}),
)
StepAgent = NoAction | RandomAction | ScheduleActor
_STATE = {
    "env": OBJECT,
    "agent": OBJECT,
    "training_log.rows": OBJECTS,
    "training_log.sums": NUMBERS,
    "training_log.agent_log": NUMBERS,
    "training_log.seconds": NUMBER,
}


def make_env(args: TrainArgs, pictures: Pictures) -> HandLatentEnv:
    """Return the environment that trains the VAE, before its first reset."""
    return HandLatentEnv(
        pictures.train,
        latent_dim=args.latent_dim,
        width=args.width,
        batch_size=args.batch_size,
        epochs_per_episode=args.epochs,
        delta_scale=KAPPA if args.agent == "sac" else args.delta_scale,
        reward_scale=args.reward_scale,
        training={"learning_rate": args.learning_rate, "kl_weight": args.kl_weight},
        device=resolve_device(args.device),
    )


class TrainingRun:
    """Hold one run: environment, agent, training log, checkpoints."""

    def __init__(self, args: TrainArgs, pictures: Pictures) -> None:
        """Build everything, from the seed or from the last checkpoint.

        Args:
            args: Settings; `resume` names the run to resume.
            pictures: Pictures to train on.

        Raises:
            ValueError: If the run to resume was trained on other pictures.
        """
        self.run, self.args, self.pictures = args.out, args, pictures
        self.device = resolve_device(args.device)
        self.digest = hashlib.sha256(pictures.train.numpy().tobytes()).hexdigest()
        self.checkpoints = Checkpointer(self.run / run_folder.CHECKPOINTS, args.checkpoint_seconds)
        state = self._checkpoint()
        parallel.from_main(lambda: state and state["env"])  # for those that follow
        self.env = make_env(args, pictures)
        self.agent: StepAgent | SAC = self._agent()
        self.observation = self._start(state)
        self.trainer = self.env.trainer
        self.log = TrainingLog(self.run, self.trainer, pictures.validation)
        if state is not None:
            self.log.load_state_dict(state["training_log"])
            self.checkpoints.resumed_at(self.trainer.steps_done)
        self.epoch_ended, self.stopped = False, False
        if args.resume is None:
            self._write_settings()  # last, so that a refused setting leaves the folder free for another try
        self._keep_agent()

    def train(self) -> None:
        """Take the steps that are left; Ctrl-C saves and raises `Interrupted`."""
        left = self.trainer.total_steps - self.trainer.steps_done
        self.log.open()
        try:
            with self.checkpoints.ctrl_c:
                self.between_steps()
                if isinstance(self.agent, SAC):
                    self.agent.learn(left, callback=_Follow(self), reset_num_timesteps=False)
                else:
                    self._loop(self.agent, left)
                if self.stopped:
                    raise Interrupted(command("train", "--resume", self.run))
        finally:
            self.log.close()

    def after_step(self, reward: float, terminated: bool, info: dict[str, Any]) -> None:
        """Log a step; the end of an epoch makes a checkpoint due.

        Raises:
            ValueError: If the VAE diverged.
        """
        if terminated:
            lower = ["learning_rate"]
            if self.args.kl_weight > TrainArgs.kl_weight:
                lower.append("kl_weight")
            if self.args.agent in ("random", "sac-flat"):
                lower.append("delta_scale")
            ways = ", or ".join(f"a lower {flag(name)} than {getattr(self.args, name)!r}" for name in lower)
            raise ValueError(
                f"The VAE diverged in epoch {info['epoch']} of '{self.run}'. Start again with another --out, and with "
                f"{ways}."
            )
        self.epoch_ended |= self.log.note_step(reward, info)

    def between_steps(self) -> None:
        """Write a checkpoint if one is due: between two steps, all parts of the run agree."""
        at_once = self.checkpoints.ctrl_c.pressed or self.checkpoints.step < 0
        if at_once or (self.epoch_ended and self.checkpoints.waited):
            self._save_checkpoint()

    def finish(self, began: float) -> None:
        """Fit the sampler, draw hands with and without the agent, and write the results.

        Args:
            began: `time.monotonic()` at the start of the command.
        """
        vae = self.trainer.averaged_vae
        sampler = Mixture.fit(*encode_all(vae, self.trainer.images), seed=self.args.seed)
        save_tensors(self.run / run_folder.VAE_WEIGHTS, vae.state_dict())
        sampler.save(self.run / run_folder.SAMPLER)
        if isinstance(self.agent, SAC):
            save_tensors(self.run / run_folder.AGENT_WEIGHTS, self.agent.policy.state_dict())
            zipped = io.BytesIO()
            self.agent.save(zipped)
            save_bytes(self.run / "agent.zip", zipped.getvalue())
        save_text(self.run / "metrics.csv", metrics_csv(self.log.rows))
        save_curves(self.run / run_folder.CURVES, self.log.rows, "epoch", CURVES)
        draw_both(read_parts(self.run), n=20, seed=self.args.seed, path=self.run / "grid.png")
        save_hashed_json(self.run / run_folder.REPORT, self._report(self.log.seconds_before + time.monotonic() - began))
        shutil.rmtree(self.run / run_folder.CHECKPOINTS)

    def _write_settings(self) -> None:
        settings = {item.name: getattr(self.args, item.name) for item in fields(self.args)}
        plain = {name: str(value) if isinstance(value, Path) else value for name, value in settings.items()}
        config = {"settings": plain, "versions": run_folder.versions(), "pictures_sha256": self.digest}
        save_hashed_json(self.run / run_folder.CONFIG, config)  # the first file: it shows whose folder this is

    def _keep_agent(self) -> None:
        """Write the weights of the trained agent, before the first checkpoint: a resumed run reads them here."""
        if isinstance(self.agent, ScheduleActor) and not (self.run / run_folder.AGENT_WEIGHTS).is_file():
            save_tensors(self.run / run_folder.AGENT_WEIGHTS, self.agent.policy.state_dict())

    def _checkpoint(self) -> dict[str, Any] | None:
        if self.args.resume is None:
            return None
        config = run_folder.read_config(self.run)
        if config["pictures_sha256"] != self.digest:
            raise ValueError(
                f"The pictures in '{self.args.data}' are not those that '{self.run}' was trained on. Put them back, or "
                "name their folder with --data."
            )
        if config["settings"]["data"] != self.args.data:  # they have moved
            config["settings"]["data"] = self.args.data
            save_hashed_json(self.run / run_folder.CONFIG, config)
        return self.checkpoints.load(_STATE)

    def _agent(self) -> StepAgent | SAC:
        space = self.env.action_space
        assert isinstance(space, spaces.Box), "HandLatent-v0 has a Box"
        if self.args.agent == "none":
            return NoAction(space)
        if self.args.agent == "random":
            return RandomAction(space, self.args.seed)
        if self.args.agent == "sac":
            packaged = PACKAGED_FOR_DRAWN if self.args.data == SYNTHETIC else PACKAGED
            policy = load_agent(self.args.agent_weights or packaged, "--agent-weights")
            return ScheduleActor(self.env, policy, Judge.load(device=self.device).correct)
        return make_sac(self.env, self.args.seed, self.device)

    def _start(self, state: dict[str, Any] | None) -> Any:
        if isinstance(self.agent, SAC):
            if state is None:
                reset_sac(self.agent)
                return None
            with self.checkpoints.restoring("agent"):
                restore_sac(self.agent, state["agent"], state["env"])
            return None
        if state is None:
            return self.env.reset(seed=self.args.seed)[0]
        with self.checkpoints.restoring("agent"):
            self.agent.load_state_dict(state["agent"])
        with self.checkpoints.restoring("env"):
            return self.env.reset(seed=self.args.seed, options={"state": state["env"]})[0]

    def _loop(self, agent: StepAgent, steps: int) -> None:
        for _ in range(steps):
            if isinstance(agent, ScheduleActor) and agent.decides_now:
                self.log.note_decision(agent.decide(self.log.last_loss))
            action, _ = agent.predict(self.observation)
            self.observation, reward, terminated, _, info = self.env.step(action)
            self.after_step(float(reward), terminated, info)
            stops = parallel.flag_of_main(self.checkpoints.ctrl_c.pressed)
            self.between_steps()
            if stops and self.trainer.steps_done < self.trainer.total_steps:
                self.stopped = True
                break

    def _save_checkpoint(self) -> None:
        agent = sac_state(self.agent) if isinstance(self.agent, SAC) else self.agent.state_dict()
        state = {
            "env": self.env.state_dict(),
            "agent": agent,
            "training_log": self.log.state_dict(),
        }
        self.checkpoints.save(self.trainer.steps_done, state)
        self.epoch_ended = False

    def _report(self, seconds: float) -> dict[str, Any]:
        trainer, last = self.trainer, self.log.rows[-1]
        report: dict[str, Any] = {
            "pictures": self.pictures.counts,
            "notes": list(self.pictures.notes),
            "not_usable": list(self.pictures.problems),
            "vae_parameters": count_parameters(trainer.vae),
            "last_epoch": last,
            "images_per_second": last["images_per_second"],
            "seconds": seconds,
            "peak_memory_gb": peak_memory_gb(),
            "device": torch.cuda.get_device_name(trainer.device) if trainer.device.type == "cuda" else "cpu",
        }
        for name in ("validation", "test"):
            pixels = getattr(self.pictures, name)
            if len(pixels):
                losses = trainer.measure(pixels, averaged=True)
                report[f"{name}_loss_nats"] = float(losses.total.mean())
                report[f"{name}_kl_nats"] = float(losses.kl.mean())
        return report


def peak_memory_gb() -> float | None:
    """Return the most memory that this process has held, or None on a system that does not say."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "linux" else 2**30)


class _Follow(BaseCallback):
    """Tell the training about Stable-Baselines3's steps."""

    def __init__(self, training: TrainingRun) -> None:
        super().__init__()
        self.training = training

    def _on_rollout_start(self) -> None:
        self.training.log.note_agent(self.logger.name_to_value)
        self.training.between_steps()

    def _on_step(self) -> bool:
        training = self.training
        if training.checkpoints.discards(training.trainer.steps_done - 1):  # even if it is the last
            training.stopped = True
            return False
        info = self.locals["infos"][0]
        terminated = bool(self.locals["dones"][0]) and not info.get("TimeLimit.truncated", False)
        training.after_step(float(self.locals["rewards"][0]), terminated, info)
        return training.trainer.steps_done < training.trainer.total_steps  # a rollout may go past the end
