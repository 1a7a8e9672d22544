"""Train a refiner: Stable-Baselines3's SAC on the rows of HandRefine-v0, with training log and checkpoints in step."""

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import gymnasium as gym
import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.callbacks import BaseCallback
from torch import Tensor

from agents.command_line.shell_words import typed
from agents.commands.refine.args import RefineArgs
from agents.commands.refine.start_latents import Starts
from agents.rl.first_scores import teach_scores
from agents.rl.picture_policy import RefinePolicy, Sight
from agents.rl.row_agent import RowAgent
from agents.rl.sac import REFINE_PICTURE_UPDATES_PER_SAMPLE, make_sac, reset_sac, restore_sac, sac_state
from agents.runs.checkpointing import Checkpointer
from agents.runs.json_rules import NUMBER, NUMBERS, OBJECT, OBJECTS, whole
from agents.runs.log_intervals import ends_of_mean, ends_of_share
from agents.runs.run import Run
from hand_env import HandRefineVectorEnv, LogitScore
from hand_env.anatomy.judge import default_judge
from hand_env.refinement import Scores, score_latents
from hand_env.scoring import ScoreFn
from vae.progress import in_chunks, progress_bar
from vae.sampling.sampler import Pool

ENV_ID = "HandRefine-v0"
POINTS = 40  # in the training log, if there are that many steps
POOL = 150_000  # most latents drawn in advance, 180 MB at D = 300; their small pictures take 1.8 GB
SCORED = 1024  # of them between two updates of the progress bar: whole chunks of `score_latents` on any device
DRAWN = {"pictures": 5, "latents": 2}  # drawn in advance per correction to learn from, up to POOL, by policy
FUSING_PAYS = 10_000  # updates: torch.compile takes half a minute, as long as it once saved in 7,000 on an H100
TRAINING_LOG_COLUMNS: dict[str, tuple[str, str]] = {
    # key in refine.json's training log: (unit, good direction); means are over all steps since the last point
    "samples": ("corrections learned from", "-"),
    "reward": ("mean: score_after - score_before, log-odds or verdicts of the rewarding judge", "up"),
    "score_before": ("mean, before a step's correction", "-"),
    "score_after": ("mean, after the correction, with SAC's exploration and none dropped", "up"),
    "raised": ("share of corrections that raised the score", "up"),
    "later": ("share of corrections after a latent's first round", "-"),
    "entropy_coefficient": ("SAC's temperature", "-"),
    **{
        f"{name}_{end}": (f"{end} end of the 95 % interval of {name} over corrections", "-")
        for name in ("score_before", "score_after", "raised", "later")
        for end in ("low", "high")
    },
}
_STATE = {
    "env": OBJECT,
    "agent": OBJECT,
    "training_log.points": OBJECTS,
    "training_log.sums": NUMBERS,
    "training_log.steps_summed": whole(0, 2**63),
    "seconds": NUMBER,
}
_MEANS = ("reward", "score_before", "score_after", "raised", "later")
_SCORES, _SHARES = ("score_before", "score_after"), ("raised", "later")


class RefinerTraining:
    """Hold one training: environment, agent, training log, checkpoints."""

    def __init__(self, run: Run, args: RefineArgs, checkpoints: Path) -> None:
        """Build everything, from the seed or from the last checkpoint.

        Args:
            run: The run that gives the VAE and the sampler.
            args: Settings, with `sampler` chosen and `device` resolved.
            checkpoints: Folder of the checkpoints.

        Raises:
            ValueError: If a checkpoint is damaged.
        """
        self.args, self.checkpoints = args, Checkpointer(checkpoints, args.checkpoint_seconds)
        state, judge = _load(self.checkpoints), _judge(args)
        drawn = _draw(run, args, judge)
        self.starts = Starts(drawn.pool, args.rows, args.learned_below, known=drawn.known)
        env = gym.make_vec(
            ENV_ID,
            num_envs=args.rows,
            vae=run.vae,
            sampler=self.starts,
            judge=judge,
            delta_scale=args.delta_scale,
            steps_per_episode=args.steps_per_episode,
            device=args.device,
            autoreset_mode="SameStep",
        )
        self.env = cast(HandRefineVectorEnv, env.unwrapped)
        policy: Any = RefinePolicy if args.policy == "pictures" else "MlpPolicy"
        fused = args.samples * REFINE_PICTURE_UPDATES_PER_SAMPLE >= FUSING_PAYS
        sees = {"vae": Sight(self.env.env.vae, fused)} if args.policy == "pictures" else {}
        self.model = make_sac(env, args.seed, args.device, policy, policy_kwargs={"net_arch": [args.width] * 2, **sees})
        self.log: list[dict[str, float]] = []
        self.sums, self.steps_summed = _nothing(), 0
        self.started, self.seconds_before = time.monotonic(), 0.0
        self.stopped = False
        if state is not None:
            self._restore(state)
        else:
            reset_sac(self.model)
            self._teach(drawn)

    @property
    def samples(self) -> int:
        """Corrections learned from so far, including the earlier parts of a resumed training."""
        return self.model.num_timesteps

    @property
    def seconds(self) -> float:
        """Time spent on training so far, including the earlier parts of a resumed training."""
        return self.seconds_before + time.monotonic() - self.started

    @property
    def total(self) -> int:
        """Corrections to learn from: whole steps of all rows."""
        return -(-self.args.samples // self.args.rows) * self.args.rows

    def train(self) -> bool:
        """Take the steps that are left.

        Returns:
            Whether the training is finished; if not, Ctrl-C was pressed and a checkpoint is written.
        """
        self.started = time.monotonic()
        self.bar = progress_bar(
            title="Learning", unit="corrections", total=self.total, initial=self.samples, leave=True
        )
        with self.checkpoints.ctrl_c, self.bar:
            self.between_steps()
            self.model.learn(
                self.total - self.samples,
                callback=_Follow(self),
                log_interval=self.total + 1,  # never, because nobody reads that log
                reset_num_timesteps=False,
            )
            if not self.stopped:
                self._save()  # what follows takes time and may be stopped too
            return not self.checkpoints.ctrl_c.pressed  # also in the last step

    def agent(self) -> RowAgent:
        """Copy the agent as trained so far."""
        args = self.args
        return RowAgent.of(
            self.model,
            env_id=ENV_ID,
            delta_scale=args.delta_scale,
            steps_per_episode=args.steps_per_episode,
            sampler=args.sampler,
            seed=args.seed,
        )

    def after_step(self, rewards: Any, infos: list[dict[str, Any]]) -> None:
        """Add a step of all rows to the training log."""
        before, after = (np.array([info[name] for info in infos]) for name in ("score_before", "score_after"))
        for name, values in zip(_MEANS, (rewards, before, after, after > before, self.starts.later), strict=True):
            self.sums[name] += float(np.mean(values))
        for name, values in zip(_SCORES, (before, after), strict=True):
            self.sums[f"{name}_squares"] += float(np.mean(np.square(values, dtype=np.float64)))
        self.steps_summed += 1
        ends = None
        if "terminal_observation" in infos[0]:  # all rows end together
            ends = np.stack([info["terminal_observation"] for info in infos])[:, : self.env.env.latent_dim]
        self.starts.after_step(rewards, after, ends)
        self.bar.update(len(infos))
        steps_a_point = -(-self.total // self.args.rows // POINTS)
        if self.steps_summed == steps_a_point or self.samples == self.total:
            self._close_point()

    def between_steps(self) -> None:
        """Write a checkpoint if one is due: between two steps, all parts of the training agree."""
        if self.checkpoints.due:
            self._save()

    def _close_point(self) -> None:
        assert self.model.log_ent_coef is not None, "make_sac sets an automatic one"
        means = {name: self.sums[name] / self.steps_summed for name in _MEANS}
        entropy_coefficient = float(self.model.log_ent_coef.detach().exp())
        point = {"samples": self.samples, **means, "entropy_coefficient": entropy_coefficient}
        self.log.append(point | self._ends(means))
        self.sums, self.steps_summed = _nothing(), 0
        self.bar.set_postfix(score=f"{point['score_before']:+.2f} to {point['score_after']:+.2f}", refresh=False)

    def _ends(self, means: dict[str, float]) -> dict[str, float]:
        """Return the ends of the intervals over the corrections since the last point."""
        rows, ends = self.args.rows, dict[str, float]()
        n = self.steps_summed * rows
        for name in _SCORES:
            ends |= ends_of_mean(name, rows * self.sums[name], rows * self.sums[f"{name}_squares"], n)
        for name in _SHARES:
            ends |= ends_of_share(name, means[name], n)
        return ends

    def _teach(self, drawn: "_Drawn") -> None:
        """Teach the critics the scores that are known already."""
        policy, epochs = self.model.policy, self.args.taught_epochs
        if isinstance(policy, RefinePolicy) and epochs:
            scores, low = torch.from_numpy(drawn.scores).float(), torch.from_numpy(drawn.low)
            teach_scores(policy, drawn.latents, scores, low, epochs, self.args.seed)

    def _save(self) -> None:
        state = {
            "env": self.env.state_dict(),
            "starts": self.starts.state_dict(),
            "agent": sac_state(self.model),
            "training_log": {"points": self.log, "sums": self.sums, "steps_summed": self.steps_summed},
            "seconds": self.seconds,
        }
        self.checkpoints.save(self.samples, state)

    def _restore(self, state: dict[str, Any]) -> None:
        with self.checkpoints.restoring("agent"):
            restore_sac(self.model, state["agent"], state["env"])
        with self.checkpoints.restoring("starts"):
            self.starts.load_state_dict(state["starts"])
        log = state["training_log"]
        self.log, self.sums, self.steps_summed = log["points"], _nothing() | log["sums"], log["steps_summed"]
        self.seconds_before = state["seconds"]
        self.checkpoints.resumed_at(self.samples)


def _nothing() -> dict[str, float]:
    return dict.fromkeys([*_MEANS, *(f"{name}_squares" for name in _SCORES)], 0.0)


class _Follow(BaseCallback):
    """Tell the training about Stable-Baselines3's steps."""

    def __init__(self, training: RefinerTraining) -> None:
        super().__init__()
        self.training = training

    def _on_rollout_start(self) -> None:
        self.training.between_steps()

    def _on_step(self) -> bool:
        training = self.training
        if training.checkpoints.discards(training.samples - training.args.rows):
            training.stopped = True
            return False
        training.after_step(self.locals["rewards"], self.locals["infos"])
        return True


def _judge(args: RefineArgs) -> ScoreFn:
    """Return what pays: the log-odds, or the verdict of all rules of the judge, which has no gradient."""
    return default_judge("parser", args.device).correct if args.reward == "verdict" else LogitScore()


@dataclass(frozen=True, eq=False)
class _Drawn:
    """Hold what was drawn in advance.

    Attributes:
        pool: The latents to learn from.
        latents: (n, D) float32, all that were drawn.
        scores: (n,) float64, their scores; empty if nobody asked the judge.
        low: (n,) bool, which of them are in the pool.
    """

    pool: Pool
    latents: Tensor
    scores: Scores
    low: NDArray[np.bool_]

    @property
    def known(self) -> dict[bytes, float]:
        """The scores of the pool's latents, by their bytes."""
        keys = (latent.tobytes() for latent in self.pool.latents.numpy())
        return dict(zip(keys, self.scores[self.low].tolist(), strict=True)) if len(self.scores) else {}


def _draw(run: Run, args: RefineArgs, judge: ScoreFn) -> _Drawn:
    """Draw latents, and let SAC learn from those that `generate` would correct.

    If most hands are correct already, an agent trained on all latents would learn to raise the score of correct
    hands.

    Raises:
        ValueError: If there are no such latents.
    """
    pool = Pool(run.samplers[args.sampler], min(DRAWN[args.policy] * args.samples, POOL), args.seed)
    latents, scores = pool.latents, np.empty(0)
    low = np.ones(len(latents), bool)
    if args.learned_below < np.inf:
        parts = in_chunks(latents, SCORED, "Scoring", "latents")
        scores = np.concatenate([score_latents(run.vae, judge, rows.numpy()) for rows in parts])
        low = scores < args.learned_below
        if not low.any():
            is_low = "is wrong" if args.reward == "verdict" else f"scores below --refine-below {args.refine_below!r}"
            everything = typed("refine", replace(args, reward="logit", refine_below=np.inf))
            raise ValueError(
                f"None of {len(low):,} latents of the sampler {args.sampler!r} {is_low}: there is nothing to learn. "
                f"To learn from all: {everything}"
            )
        pool.latents = latents[torch.from_numpy(low)]
    return _Drawn(pool, latents, scores, low)


def _load(checkpoints: Checkpointer) -> dict[str, Any] | None:
    state = checkpoints.load(_STATE)
    if state is not None and "scores" not in state.get("starts", {}):
        raise ValueError(
            f"The checkpoint in '{checkpoints.folder}' is from an earlier version and does not hold the starts "
            "of episodes with their scores. Remove it to start over."
        )
    return state
