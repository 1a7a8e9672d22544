"""Stable-Baselines3's SAC with faster updates: the same numbers on a CPU, CUDA graphs on a GPU."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, NamedTuple

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3 import SAC
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.noise import ActionNoise
from stable_baselines3.common.type_aliases import ReplayBufferSamples
from stable_baselines3.common.utils import is_vectorized_observation, polyak_update
from stable_baselines3.sac.policies import Actor
from torch import Tensor, nn
from torch.nn import functional

from agents.rl.adam import AdamSteps, as_stock, is_capturable, is_watched, make_capturable
from agents.rl.device_replay import ARRAYS, DeviceReplay, obstacle, replay_of
from agents.rl.picture_policy import show_shifted
from agents.rl.unchecked import UNCHECKED
from vae.acceleration.cuda_graphs import GraphedSteps, Step
from vae.device import tensor_float_32

_KNOWN = ("torch.nn.", "stable_baselines3.", "agents.")
_RANDOM = nn.modules.dropout._DropoutNd, nn.RReLU


class FastSAC(SAC):
    """Stable-Baselines3's SAC, with the same arguments, methods and files; updates are faster.

    Each can load what the other saved: `SAC.load`, `FastSAC.load`. On a CPU, an update gives stock SAC's numbers bit
    for bit, with any policy, for less work. (If `make_sac` did not build it, stock SAC with a
    `OneStepReplay` sees pictures unshifted: see `agents.rl.picture_policy.show_shifted`.)

    - The actor's loss computes no gradients of the critics' weights, which SAC discards.
    - With gamma 0, nothing is computed about next observations, because SAC multiplies it by 0. Where it is infinite,
      SAC's weights become NaN, and these do not. FastSAC still calls layers that keep
      statistics or draw random numbers, a user's own layers, and actors that draw actions in their own way.
    - Adam, the target networks and the log take fewer calls (`AdamSteps`).
    - `torch.distributions` does not check its arguments in an update. If the weights become NaN, the next action raises
      its error instead.

    Adam in one pass, `policy_kwargs={"optimizer_kwargs": {"fused": True}}`, is a little faster on layers of 1,024. It
    rounds differently, so the weights soon differ from those of stock Adam.

    On a GPU, the replay buffer lies in its memory, and an update is one CUDA graph. Nothing waits for the GPU until the
    log is read, once per call of `train`. Minibatches come from the GPU's generator, Adam makes one pass, and matrix
    products round their factors to 10 bits, so the numbers are not stock SAC's. Training resumes exactly from
    `sac_state` nevertheless. With `use_sde`, n steps, observations in dicts, `VecNormalize`, other replay buffers or
    other optimisers, updates are made one by one, and a warning says so. So are those of a policy that a graph cannot
    hold because it reads numbers from the GPU. `FastSAC.graphed = False` does without graphs.

    With `use_sde=True`, updates are stock SAC's own.

    Other updates leave no gradients: after `train`, each weight's `.grad` is None. Stock SAC keeps the last ones.

    Observations may be tensors (`HandLatentVectorEnv(tensors=True)` in a `GymnasiumVecEnv`). Then actions are tensors,
    too. With environment and replay buffer on one GPU, neither passes through NumPy after the warm-up, except action
    noise. `VecMonitor` takes tensors; `VecNormalize` and `VecCheckNan` do not. A model that was saved with observations
    on a GPU begins a new episode when it is loaded.

    Besides what SAC logs, the means over a call of `train`, the log has the largest value of each:
    `train/critic_loss_max` and so on. With `use_sde=True` it has not.
    """

    graphed = True  # whether updates on a GPU are CUDA graphs; a subclass or an instance may say no

    def train(self, gradient_steps: int, batch_size: int = 64) -> None:
        """Make updates; `learn` calls this.

        Args:
            gradient_steps: Number of updates.
            batch_size: Transitions in an update.
        """
        if self.use_sde:
            return super().train(gradient_steps, batch_size)
        self.policy.set_training_mode(True)
        self._update_learning_rate(self._optimizers())
        follows = [step % self.target_update_interval == 0 for step in range(gradient_steps)]
        with UNCHECKED:
            graphs = self._graphs if self._vec_normalize_env is None else None
            notes = (
                self._one_by_one(follows, batch_size) if graphs is None else self._on_gpu(graphs, follows, batch_size)
            )
        self._n_updates += gradient_steps
        self._log(notes)
        return None

    def predict(
        self,
        observation: Any,
        state: tuple[NDArray[Any], ...] | None = None,
        episode_start: NDArray[Any] | None = None,
        deterministic: bool = False,
    ) -> tuple[Any, tuple[NDArray[Any], ...] | None]:
        """Return actions and the state, as stock SAC does; for a tensor, a tensor on the agent's device.

        Raises:
            ValueError: If the observation has another shape than the space, with or without a batch.
        """
        if not isinstance(observation, Tensor):
            return super().predict(observation, state, episode_start, deterministic)
        self.policy.set_training_mode(False)
        is_batch = is_vectorized_observation(observation, self.observation_space)  # type: ignore[arg-type]  # any shape
        rows, of_action = observation.to(self.device), self.action_space.shape
        assert of_action is not None, "SAC's actions are of a Box"
        with torch.no_grad():
            scaled = self.policy._predict(rows if is_batch else rows[None], deterministic)
        actions = self._unscaled(scaled.reshape(-1, *of_action))
        return (actions if is_batch else actions[0]), state

    def get_parameters(self) -> dict[str, dict[str, Any]]:
        """Return the state dicts of networks and optimisers, as stock SAC's on any machine."""
        parameters = super().get_parameters()
        for name in parameters:
            if name.endswith("optimizer"):
                parameters[name] = as_stock(attrgetter(name)(self), parameters[name])
        return parameters

    def load_replay_buffer(self, path: Any, truncate_last_traj: bool = True) -> None:
        """Load a replay buffer that `save_replay_buffer` wrote, of FastSAC or of stock SAC."""
        super().load_replay_buffer(path, truncate_last_traj)
        self._move_replay()

    def _setup_model(self) -> None:
        super()._setup_model()
        self._graphs = _Graphs.on(self.device) if self.device.type == "cuda" else None
        self._move_replay()

    def _sample_action(
        self, learning_starts: int, action_noise: ActionNoise | None = None, n_envs: int = 1
    ) -> tuple[Any, Any]:
        """Return actions, and what the replay buffer stores of them; tensors if the last observations are."""
        seen: Any = self._last_obs
        is_warm_up = self.num_timesteps < learning_starts and not (self.use_sde and self.use_sde_at_warmup)
        if is_warm_up or not isinstance(seen, Tensor):
            return super()._sample_action(learning_starts, action_noise, n_envs)
        actions = self.predict(seen)[0]
        low, width = self._bounds()
        scaled = 2.0 * ((actions - low) / width) - 1.0  # stock SAC rounds so, too
        if action_noise is not None:
            scaled = (scaled + torch.as_tensor(action_noise(), device=self.device)).clamp(-1, 1)
        return self._unscaled(scaled), scaled

    def _store_transition(
        self,
        replay_buffer: ReplayBuffer,
        buffer_action: Any,
        new_obs: Any,
        reward: NDArray[Any],
        dones: NDArray[Any],
        infos: list[dict[str, Any]],
    ) -> None:
        """Store a step of all environments; Stable-Baselines3's own replay buffers take arrays."""
        if not isinstance(new_obs, Tensor) or isinstance(replay_buffer, DeviceReplay):
            return super()._store_transition(replay_buffer, buffer_action, new_obs, reward, dones, infos)
        ends = [{name: _array(value) for name, value in info.items()} for info in infos]
        self._last_obs = _array(self._last_obs)
        super()._store_transition(replay_buffer, _array(buffer_action), _array(new_obs), reward, dones, ends)
        self._last_obs = new_obs  # type: ignore[assignment]  # Stable-Baselines3 knows arrays alone
        return None

    def _unscaled(self, actions: Tensor) -> Tensor:
        low, width = self._bounds()
        return low + (0.5 * (actions + 1.0) * width)

    def _bounds(self) -> tuple[Tensor, Tensor]:
        """Return the lowest action, and the width of the action space."""
        space = self.action_space
        assert isinstance(space, spaces.Box), "SAC takes no other"
        return torch.as_tensor(space.low, device=self.device), torch.as_tensor(
            space.high - space.low, device=self.device
        )

    def _excluded_save_params(self) -> list[str]:
        last = [name for name in ("_last_obs", "_last_original_obs") if getattr(getattr(self, name), "is_cuda", False)]
        return [*super()._excluded_save_params(), "_graphs", *last]  # a tensor of a GPU cannot be read without one

    def _move_replay(self) -> None:
        """Hold the replay buffer on the GPU; if something forbids it, make updates one by one and say why."""
        show_shifted(self.policy, self.replay_buffer)
        if self._graphs is None:
            return
        reason = self._obstacle()
        if reason is None:
            self.replay_buffer = DeviceReplay(replay_of(self))
        else:
            self._graphs = None
            warnings.warn(f"FastSAC holds its replay buffer in host memory and is slower: {reason}.", stacklevel=2)

    def _obstacle(self) -> str | None:
        others = [type(each).__name__ for each in self._optimizers() if not is_capturable(each)]
        if self.use_sde:
            return "use_sde=True"
        if others:
            return f"its optimiser is {others[0]}, not Adam"
        if self._vec_normalize_env is not None:
            return "VecNormalize normalises on the CPU"
        return obstacle(replay_of(self))

    def _one_by_one(self, follows: Sequence[bool], batch_size: int) -> list[Tensor]:
        """Make updates on a CPU, or on a GPU without graphs; return what to log."""
        networks = self._networks()
        try:
            return [
                self._update(networks, replay_of(self).sample(batch_size, env=self._vec_normalize_env), follow)
                for follow in follows
            ]
        finally:
            networks.write_counts()

    def _on_gpu(self, graphs: "_Graphs", follows: Sequence[bool], batch_size: int) -> list[Tensor]:
        """Make updates without waiting for the GPU in between; return what to log, as tensors there."""
        buffer = self.replay_buffer
        assert isinstance(buffer, DeviceReplay), "_move_replay made it one"
        for optimizer, rate in zip(self._optimizers(), graphs.rates, strict=False):
            make_capturable(optimizer, rate)
        networks, launch = self._networks(), graphs.launch
        launch.wanted &= self.graphed and not any(map(is_watched, self._optimizers()))  # a replay calls no Python
        if self._baked(batch_size) != graphs.baked:
            launch.forget()
        places = buffer.draw(len(follows), batch_size)
        with tensor_float_32():
            notes = [
                launch(follow, self._graphed_update(networks, buffer, follow), {"places": each})["numbers"].clone()
                for each, follow in zip(places, follows, strict=True)
            ]
        graphs.baked = self._baked(batch_size)  # the first updates have made the optimisers' states
        return notes

    def _graphed_update(self, networks: "_Networks", buffer: DeviceReplay, follow: bool) -> Step:
        return lambda inputs: {"numbers": self._update(networks, buffer.at(inputs["places"]), follow)}

    def _baked(self, batch_size: int) -> tuple[Any, ...]:
        """Return the addresses and constants that graphs hold; if one changes, they are captured again."""
        states = [state for optimizer in self._optimizers() for state in optimizer.state.values()]
        stored = [getattr(self.replay_buffer, name) for name in (*ARRAYS, "pictures")]
        tensors = [
            *self.policy.parameters(),
            *self.policy.buffers(),
            *[array for array in stored if array is not None],
            *[tensor for state in states for tensor in state.values()],
            self.ent_coef_tensor if self.log_ent_coef is None else self.log_ent_coef,
        ]
        addresses = [tensor.data_ptr() for tensor in tensors]
        learn = [weight.requires_grad for weight in self.policy.parameters()]
        return batch_size, self.gamma, self.tau, self.target_entropy, *learn, *addresses

    def _optimizers(self) -> list[torch.optim.Optimizer]:
        learned = [] if self.ent_coef_optimizer is None else [self.ent_coef_optimizer]
        return [self.actor.optimizer, self.critic.optimizer, *learned]

    def _update(self, networks: "_Networks", data: ReplayBufferSamples, follow: bool) -> Tensor:
        """Make one update.

        Args:
            networks: This model's.
            data: A minibatch.
            follow: Whether the target networks move.

        Returns:
            (3,) or (4,) float32: the temperature, the actor's and the critics' loss, and the temperature's if it
            learns.
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
        return torch.stack([temperature.reshape(()), actor_loss.detach(), critic_loss.detach(), *temperature_loss])

    def _temper(self, networks: "_Networks", log_probs: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Return the temperature, and its loss if it is learned; then take its optimiser step."""
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
            if self.device.type == "cpu":
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

    def _log(self, notes: Sequence[Tensor]) -> None:
        names = ("ent_coef", "actor_loss", "critic_loss", "ent_coef_loss")
        numbers = torch.stack(list(notes)).T.tolist() if notes else []  # the only wait for a GPU
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")
        for name, column in zip(names, numbers, strict=False):  # the last only if the temperature learns
            self.logger.record(f"train/{name}", np.mean(column))
            self.logger.record(f"train/{name}_max", np.max(column))


@dataclass
class _Graphs:
    """What updates on a GPU keep from call to call."""

    launch: GraphedSteps
    rates: Sequence[Tensor]  # the learning rates of the optimisers, which the graphs read
    baked: tuple[Any, ...] = ()  # the addresses and constants in the graphs

    @classmethod
    def on(cls, device: torch.device) -> "_Graphs":
        rates = torch.zeros(3, device=device).unbind()
        return cls(GraphedSteps(device, torch.cuda.default_generators[rates[0].get_device()]), rates)


class _Networks(NamedTuple):
    """What an update changes, looked up once for all updates of a call."""

    actor: AdamSteps
    critic: AdamSteps
    temperature: AdamSteps | None
    leaders: list[Tensor]  # the critics' weights
    followers: list[Tensor]  # the target critics'
    looks_ahead: bool  # whether next observations matter

    def write_counts(self) -> None:
        for steps in (self.actor, self.critic, self.temperature):
            if steps is not None:
                steps.write_counts()


def _is_stateless(actor: Actor, critic: nn.Module) -> bool:
    """Return whether skipping both changes nothing but the random numbers of the actions."""
    modules = [module for network in (actor, critic) for module in network.modules()]
    known = all(type(module).__module__.startswith(_KNOWN) for module in modules)
    changing = any(isinstance(module, _RANDOM) or module._buffers for module in modules)
    return type(actor) is Actor and known and not changing


def _array(value: Any) -> Any:
    """Return a tensor as an array, and all else as it is."""
    return value.cpu().numpy() if isinstance(value, Tensor) else value
