"""The trained agent of HandSchedule-v0, acting on a VAE's training one minibatch at a time."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.sac.policies import SACPolicy

from agents.rl.schedule_agent import N_DRAWN, epochs_per_decision
from hand_env import HandLatentEnv
from hand_env.drawn_score import DrawnScore
from hand_env.schedule import Deltas, shift_latents, step_generator
from hand_env.schedule.features import Latents, loss_without_shift, observe, per_value
from hand_env.scoring import ScoreFn

Array = NDArray[np.float32]

KAPPA = 2.0**10  # far above every shift; a power of two, so that a shift divided by it and multiplied again is the same


class ScheduleActor:
    """Choose the actions of HandLatent-v0 as an agent of HandSchedule-v0 decides.

    The VAE's training is the same as in HandSchedule-v0 with this agent, bit for bit on the CPU. But the caller sees
    each training step, so it can log and save in the middle of a stretch of epochs. Call `decide` whenever
    `decides_now`, then `predict` for each step.
    """

    def __init__(self, env: HandLatentEnv, policy: SACPolicy, judge: ScoreFn | None = None) -> None:
        """Store all; nothing is measured yet.

        Args:
            env: The unwrapped environment, with `delta_scale=KAPPA`.
            policy: Maps observations of HandSchedule-v0 to its actions, as `load_agent` reads it.
            judge: Scores the hands that are drawn at each decision; None: the packaged rewarding judge.

        Raises:
            ValueError: If the environment has another `delta_scale`.
        """
        if env.delta_scale != KAPPA:
            raise ValueError(f"ScheduleActor needs an environment with delta_scale={KAPPA}, got {env.delta_scale!r}.")
        self.env, self.policy, self.judge = env, policy, judge
        self.action, self.loss = np.full(3, -1.0, np.float32), 0.0

    @property
    def decides_now(self) -> bool:
        """Whether the next training step is the first of a stretch of epochs."""
        trainer = self.env.trainer
        return trainer.steps_done % (epochs_per_decision(trainer.config.epochs) * trainer.steps_per_epoch) == 0

    def decide(self, loss_nats: float | None) -> dict[str, float]:
        """Measure what HandSchedule-v0 observes, and ask the policy.

        Args:
            loss_nats: Nats per image, mean over the last epoch; None before the first.

        Returns:
            The decision, as in that environment's info: "reach", "mix", "pull", and "drawn_wrong", which is W now.

        Raises:
            ValueError: If the VAE diverged.
        """
        trainer, before = self.env.trainer, self.loss
        self.loss = loss_without_shift(trainer) if loss_nats is None else per_value(trainer, loss_nats)
        change = 0.0 if loss_nats is None else self.loss - before
        drawn = DrawnScore(trainer, N_DRAWN, self.judge, "mixture")
        wrong = drawn.wrong()
        seen = observe(trainer, self.loss, change, Latents.measure(trainer, drawn.posteriors), wrong, self.action)
        if not np.isfinite(seen).all():
            raise ValueError(f"The VAE diverged before epoch {trainer.epoch + 1}. Lower its learning rate.")
        self.action = self.policy.predict(seen, deterministic=True)[0]
        return {**vars(self._choice), "drawn_wrong": wrong}

    def predict(
        self, observation: Array, state: Any = None, episode_start: Any = None, deterministic: bool = False
    ) -> tuple[Array, None]:
        """Make the shift of the next minibatch as decided.

        Args:
            observation: (B, D) float32, the minibatch's posterior means.
            state: Unused; for Stable-Baselines3's signature.
            episode_start: Unused.
            deterministic: Unused: the random numbers depend on the trainer's seed and step only.

        Returns:
            (B, D) float32 in [-1, 1], the shift divided by kappa, and no state.
        """
        trainer = self.env.trainer
        latents = torch.from_numpy(observation).to(trainer.device)
        shift = shift_latents(latents, self._choice, step_generator(trainer))
        actions: Array = (shift / KAPPA).clamp(-1, 1).cpu().numpy()
        return actions, None

    def state_dict(self) -> dict[str, Any]:
        """Return the last decision and the loss that it saw, to resume exactly."""
        return {"action": self.action.copy(), "loss": self.loss}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self.action, self.loss = np.array(state["action"], np.float32), float(state["loss"])

    @property
    def _choice(self) -> Deltas:
        return Deltas.from_action(self.action)
