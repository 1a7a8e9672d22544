"""Stable-Baselines3's SAC with faster updates, which on a CPU give the same numbers bit for bit."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import torch
from stable_baselines3 import SAC
from stable_baselines3.common.type_aliases import ReplayBufferSamples
from stable_baselines3.common.utils import polyak_update
from stable_baselines3.sac.policies import Actor
from torch import Tensor, nn
from torch.distributions import Distribution
from torch.nn import functional

from agents.rl.adam import AdamSteps

_RANDOM = nn.modules.dropout._DropoutNd, nn.RReLU


class FastSAC(SAC):
    """Stable-Baselines3's SAC, with the same arguments, methods and files; only `train` is another.

    Each can load what the other saved: `SAC.load`, `FastSAC.load`. On a CPU, an update gives stock SAC's numbers bit
    for bit, with any policy, for less work:

    - The actor's loss computes no gradients of the critics' weights, which SAC discards.
    - With gamma 0, nothing is computed about next observations, because SAC multiplies it by 0. Where it is infinite,
      SAC's weights become NaN, and these do not. Policies with layers that keep statistics or draw random numbers, and
      actors that draw actions in their own way, are left out.
    - Adam, the target networks and the log take fewer calls (`AdamSteps`).
    - `torch.distributions` does not check its arguments in an update. If the weights become NaN, the next action raises
      its error instead.

    Adam in one pass, `policy_kwargs={"optimizer_kwargs": {"fused": True}}`, is faster still. It rounds differently, so
    the weights soon differ from those of stock Adam.

    With `use_sde=True`, updates are stock SAC's own.

    Besides what SAC logs, the means over a call of `train`, the log has the largest value of each:
    `train/critic_loss_max` and so on.
    """

    def train(self, gradient_steps: int, batch_size: int = 64) -> None:
        """Make updates; `learn` calls this.

        Args:
            gradient_steps: Number of updates.
            batch_size: Transitions in an update.
        """
        if self.use_sde:
            return super().train(gradient_steps, batch_size)
        self.policy.set_training_mode(True)
        optimizers = [self.actor.optimizer, self.critic.optimizer]
        if self.ent_coef_optimizer is not None:
            optimizers.append(self.ent_coef_optimizer)
        self._update_learning_rate(optimizers)
        networks = self._networks()
        with _unchecked_distributions():
            notes = [
                self._update(networks, self._sample(batch_size), step % self.target_update_interval == 0)
                for step in range(gradient_steps)
            ]
        networks.settle()
        self._n_updates += gradient_steps
        self._log(notes)
        return None

    def _sample(self, batch_size: int) -> ReplayBufferSamples:
        assert self.replay_buffer is not None, "SAC makes one"
        return self.replay_buffer.sample(batch_size, env=self._vec_normalize_env)

    def _update(self, networks: "_Networks", data: ReplayBufferSamples, follow: bool) -> tuple[Tensor, ...]:
        """Make one update, and return what to log: temperature, actor's and critics' loss, and the temperature's.

        Args:
            networks: This model's.
            data: A minibatch.
            follow: Whether the target networks move.
        """
        actions, log_probs = self.actor.action_log_prob(data.observations)  # .....(batch, action), (batch,)
        log_probs = log_probs.reshape(-1, 1)  # ...................................(batch, 1)
        temperature, temperature_loss = self._temper(networks, log_probs)
        targets = self._targets(networks, data, temperature)  # ...................(batch, 1)

        values = self.critic(data.observations, data.actions)  # ..................(batch, 1) each
        critic_loss = 0.5 * sum(functional.mse_loss(value, targets) for value in values)
        assert isinstance(critic_loss, Tensor), "there is at least one critic"
        networks.critic.step(critic_loss)

        values = torch.cat(self.critic(data.observations, actions), dim=1)  # ......(batch, critic)
        smallest, _ = torch.min(values, dim=1, keepdim=True)  # ...................(batch, 1)
        actor_loss = (temperature * log_probs - smallest).mean()
        networks.actor.step(actor_loss)

        if follow:
            self._follow(networks)
        return temperature.reshape(()), actor_loss.detach(), critic_loss.detach(), *temperature_loss

    def _temper(self, networks: "_Networks", log_probs: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Return the temperature, and its loss if it learns; then let it learn."""
        if networks.temperature is None:
            return self.ent_coef_tensor, ()
        assert self.log_ent_coef is not None, "it learns"
        assert isinstance(self.target_entropy, float), "SAC has made it one"
        temperature = torch.exp(self.log_ent_coef.detach())
        loss = -(self.log_ent_coef * (log_probs + self.target_entropy).detach()).mean()
        networks.temperature.step(loss)
        return temperature, (loss.detach(),)

    @torch.no_grad()
    def _targets(self, networks: "_Networks", data: ReplayBufferSamples, temperature: Tensor) -> Tensor:
        discounts = getattr(data, "discounts", None)  # of n steps; Stable-Baselines3 has them since 2.7
        if discounts is None and not networks.looks_ahead:
            torch.empty(data.actions.shape).normal_()  # what the actor would draw
            return data.rewards
        actions, log_probs = self.actor.action_log_prob(data.next_observations)
        values = torch.cat(self.critic_target(data.next_observations, actions), dim=1)
        smallest, _ = torch.min(values, dim=1, keepdim=True)
        following = smallest - temperature * log_probs.reshape(-1, 1)
        return data.rewards + (1 - data.dones) * (self.gamma if discounts is None else discounts) * following

    @torch.no_grad()
    def _follow(self, networks: "_Networks") -> None:
        torch._foreach_mul_(networks.followers, 1 - self.tau)
        torch._foreach_add_(networks.followers, networks.leaders, alpha=self.tau)
        polyak_update(self.batch_norm_stats, self.batch_norm_stats_target, 1.0)

    def _networks(self) -> "_Networks":
        temperature = None if self.ent_coef_optimizer is None else AdamSteps(self.ent_coef_optimizer)
        return _Networks(
            AdamSteps(self.actor.optimizer),
            AdamSteps(self.critic.optimizer),
            temperature,
            list(self.critic.parameters()),
            list(self.critic_target.parameters()),
            self.gamma != 0 or not _is_stateless(self.actor, self.critic_target),
        )

    def _log(self, notes: Sequence[tuple[Tensor, ...]]) -> None:
        names = ("ent_coef", "actor_loss", "critic_loss", "ent_coef_loss")
        numbers = torch.stack([number for note in notes for number in note]).view(len(notes), -1).T.tolist()
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")
        for name, column in zip(names, numbers, strict=False):  # the last only if the temperature learns
            self.logger.record(f"train/{name}", np.mean(column))
            self.logger.record(f"train/{name}_max", np.max(column))


class _Networks(NamedTuple):
    """What an update changes, looked up once for all updates of a call."""

    actor: AdamSteps
    critic: AdamSteps
    temperature: AdamSteps | None
    leaders: list[Tensor]  # the critics' weights
    followers: list[Tensor]  # the target critics'
    looks_ahead: bool  # whether next observations matter

    def settle(self) -> None:
        for steps in (self.actor, self.critic, self.temperature):
            if steps is not None:
                steps.settle()


def _is_stateless(actor: Actor, critic: nn.Module) -> bool:
    """Return whether nothing else changes if both are left uncalled, other than the random numbers of the actions."""
    modules = [module for network in (actor, critic) for module in network.modules()]
    return type(actor) is Actor and not any(isinstance(module, _RANDOM) or module._buffers for module in modules)


@contextmanager
def _unchecked_distributions() -> Iterator[None]:
    before = Distribution._validate_args
    Distribution.set_default_validate_args(False)
    try:
        yield
    finally:
        Distribution.set_default_validate_args(before)
