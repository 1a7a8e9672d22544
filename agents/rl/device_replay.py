"""A replay buffer in the memory of the device that learns from it."""

import copyreg
import math
import warnings
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.type_aliases import ReplayBufferSamples
from stable_baselines3.common.vec_env import VecNormalize
from torch import Tensor

from agents.rl.picture_policy import OneStepReplay, Sight, shifted, shown_side

ARRAYS = ("observations", "next_observations", "actions", "rewards", "dones", "timeouts")
FREE_SHARE, PICTURES_SHARE = 0.8, 0.4  # of a GPU's free memory that a buffer may take, and its pictures
DECODED = 256  # latents at a time, if rows are shorter
_KINDS = (ReplayBuffer, OneStepReplay)


class DeviceReplay(ReplayBuffer):
    """Stable-Baselines3's replay buffer, its arrays as tensors on its device.

    The arrays have the same names, shapes and types. A minibatch is drawn and gathered on the device: its indices come
    from the device's default generator. Pickled, it is the buffer that it was made from, so stock SAC reads it.

    Attributes:
        pictures: (rows, environments, 2, 3, s, s) uint8: those of each observation and of the one that followed it,
            decoded once and not in each update. None if it replaces a buffer without a `Sight`, or without room.
    """

    observations: Any
    next_observations: Any
    actions: Any
    rewards: Any
    dones: Any
    timeouts: Any

    def __init__(self, host: ReplayBuffer) -> None:
        """Copy a buffer to its device.

        Args:
            host: The buffer. For some kinds this is impossible: `obstacle` says why.
        """
        vars(self).update(vars(host))
        self.kind, rows = type(host), host.size()
        for name in ARRAYS:
            array = getattr(host, name)
            tensor = torch.zeros(array.shape, dtype=torch.from_numpy(array[:0]).dtype, device=self.device)
            tensor[:rows] = torch.from_numpy(array[:rows])
            setattr(self, name, tensor)
        self.sight: Sight | None = getattr(host, "sight", None)
        self.pictures: Tensor | None = None
        if self.sight is not None:
            shape = (*self.observations.shape[:2], 2, 3, *[shown_side(self.sight.vae)] * 2)
            needed, free = math.prod(shape), _free(self.device)
            if needed > PICTURES_SHARE * free:
                warnings.warn(
                    f"{needed / 1e9:.2g} GB of pictures for the replay buffer do not fit into {free / 1e9:.2g} GB of "
                    "free memory, so each update decodes its own and is slower. Choose a smaller buffer_size.",
                    stacklevel=2,
                )
            else:
                self.pictures = torch.zeros(shape, dtype=torch.uint8, device=self.device)
                self.decode(0, rows)

    def decode(self, first: int, end: int) -> None:
        """Decode what is stored in rows `first` to `end` - 1; `add` does so for what it stores."""
        if self.pictures is None or self.sight is None:
            return
        together = max(1, DECODED // self.n_envs)  # rows; a vector environment's one by one, as they were stored
        with torch.no_grad():
            for start in range(first, end, together):
                rows = slice(start, min(start + together, end))
                for moment, seen in enumerate((self.observations, self.next_observations)):
                    shown = (self.sight.pictures(seen[rows].flatten(0, 1).float()) * 255).round().byte()
                    self.pictures[rows, :, moment] = shown.unflatten(0, (-1, self.n_envs))

    def add(
        self,
        obs: NDArray[Any] | Tensor,
        next_obs: NDArray[Any] | Tensor,
        action: NDArray[Any] | Tensor,
        reward: NDArray[Any] | Tensor,
        done: NDArray[Any] | Tensor,
        infos: list[dict[str, Any]],
    ) -> None:
        """Store a step of all environments: arrays, or tensors of any device."""
        handled = self.handle_timeout_termination
        timeouts = np.array([handled and info.get("TimeLimit.truncated", False) for info in infos])
        for name, value in zip(ARRAYS, (obs, next_obs, action, reward, done, timeouts), strict=True):
            row = getattr(self, name)[self.pos]
            row.copy_(torch.as_tensor(value if isinstance(value, Tensor) else np.array(value)).reshape(row.shape))
        self.decode(self.pos, self.pos + 1)
        self.pos += 1
        if self.pos == self.buffer_size:
            self.full, self.pos = True, 0

    def draw(self, count: int, batch_size: int) -> Tensor:
        """Draw the places of minibatches, all stored transitions alike.

        Args:
            count: Number of minibatches.
            batch_size: Transitions in each.

        Returns:
            (count, batch_size) int64 on the device, for `at`.
        """
        return torch.randint(self.size() * self.n_envs, (count, batch_size), device=self.device)

    def at(self, places: Tensor) -> ReplayBufferSamples:
        """Gather a minibatch.

        Args:
            places: (batch,) int64 on the device: row x environments + environment.
        """

        def picked(name: str) -> Tensor:
            tensor: Tensor = getattr(self, name).flatten(0, 1)
            return tensor[places]

        observations, actions = picked("observations"), picked("actions")
        if self.sight is not None:
            if self.pictures is None:
                shown = [self.sight.pictures(each) for each in (observations, picked("next_observations"))]
            else:
                shown = [each.float() / 255 for each in picked("pictures").unbind(1)]
            before, after = map(shifted, shown)
            self.sight.remember(observations, before, actions, after)
        return ReplayBufferSamples(
            observations=observations,
            actions=actions,
            next_observations=observations if self.kind is OneStepReplay else picked("next_observations"),
            dones=(picked("dones") * (1 - picked("timeouts")))[:, None],
            rewards=picked("rewards")[:, None],
        )

    def sample(self, batch_size: int, env: VecNormalize | None = None) -> ReplayBufferSamples:
        """Draw a minibatch; `env` normalises it, on the CPU."""
        return self._normalised(self.at(self.draw(1, batch_size)[0]), env)

    def _normalised(self, samples: ReplayBufferSamples, env: VecNormalize | None) -> ReplayBufferSamples:
        if env is None:
            return samples
        observations, following = (
            self.to_torch(env.normalize_obs(each.cpu().numpy()))  # type: ignore[arg-type]  # it may take dicts
            for each in (samples.observations, samples.next_observations)
        )
        rewards = self.to_torch(env.normalize_reward(samples.rewards.cpu().numpy()).astype(np.float32))
        return samples._replace(observations=observations, next_observations=following, rewards=rewards)

    def __reduce__(self) -> Any:
        """Pickle as the buffer that this was made from."""
        state = {**vars(self), **{name: getattr(self, name).cpu().numpy() for name in ARRAYS}}
        del state["pictures"], state["sight"]
        return copyreg._reconstructor, (state.pop("kind"), object, None), state  # type: ignore[attr-defined]  # no stub


def replay_of(model: OffPolicyAlgorithm) -> ReplayBuffer:
    """Return a model's replay buffer."""
    assert model.replay_buffer is not None, "SAC makes one"
    return model.replay_buffer


def obstacle(buffer: ReplayBuffer) -> str | None:
    """Return why a buffer cannot be a `DeviceReplay`; None if it can."""
    if type(buffer) not in _KINDS:
        return f"its replay buffer is a {type(buffer).__name__}"
    if buffer.optimize_memory_usage:
        return "optimize_memory_usage=True overlaps observations"
    if buffer.device.type != "cuda":
        return None
    needed, free = sum(getattr(buffer, name).nbytes for name in ARRAYS), _free(buffer.device)
    if needed > FREE_SHARE * free:
        return f"its replay buffer of {needed / 1e9:.2g} GB does not fit into {free / 1e9:.2g} GB of free memory"
    return None


def _free(device: torch.device) -> float:
    """Return a GPU's free memory in bytes; a CPU's is not limited here."""
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else math.inf
