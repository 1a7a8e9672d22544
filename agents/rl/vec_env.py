"""Adapt Gymnasium's vector environments to Stable-Baselines3's VecEnv."""

import copy
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv, VectorEnv, VectorWrapper
from numpy.typing import NDArray
from stable_baselines3.common.env_util import is_wrapped
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvObs, VecEnvStepReturn
from torch import Tensor


class GymnasiumVecEnv(VecEnv):
    """Present any `gymnasium.vector.VectorEnv` as a Stable-Baselines3 VecEnv.

        SAC("MlpPolicy", GymnasiumVecEnv(gym.make_vec("hand_env:HandLatent-v0", num_envs=64, ...)))

    Stable-Baselines3 needs an environment that has ended to reset within the same step. It reads the last observation
    of the episode from info["terminal_observation"]. It bootstraps only if info["TimeLimit.truncated"] is True, which
    means that the episode was truncated and not terminated. The autoreset modes SAME_STEP (final_obs and final_info
    are moved) and DISABLED (a reset with "reset_mask" follows) allow this. NEXT_STEP does not, because it spends a step
    on the reset.

    What `get_attr`, `set_attr`, `env_method` and `env_is_wrapped` act on:

    - SyncVectorEnv: the sub-environments, as with DummyVecEnv.
    - AsyncVectorEnv: all sub-environments at once, so `set_attr` and `env_method` refuse a subset of the indices.
      `env_is_wrapped` cannot ask them. HerReplayBuffer asks one at a time, so it needs SyncVectorEnv.
    - Any other: one object stands for all environments. It is called once, and each index gets its answer. Where a
      vector form holds a single form with its settings, as HandLatent-v0's and HandRefine-v0's do, these count too.
    """

    def __init__(self, env: VectorEnv[Any, Any, Any]) -> None:
        """Wrap the environment; closing the one closes the other.

        Args:
            env: A vector environment with autoreset mode SAME_STEP or DISABLED in its metadata.

        Raises:
            TypeError: If it is not a vector environment.
            ValueError: If it has another autoreset mode, or none.
        """
        if not isinstance(env, VectorEnv):
            raise TypeError(
                f"env must be a gymnasium.vector.VectorEnv, got {type(env).__name__}. Make it with gym.make_vec."
            )
        mode = env.metadata.get("autoreset_mode")
        if mode not in (AutoresetMode.SAME_STEP, AutoresetMode.DISABLED):
            raise ValueError(
                f"env's autoreset mode must be AutoresetMode.SAME_STEP or AutoresetMode.DISABLED, got {mode}. Call "
                "gym.make_vec(..., autoreset_mode='SameStep') for an environment with its own vector form, such as "
                "HandLatent-v0, or gym.make_vec(..., vector_kwargs={'autoreset_mode': 'SameStep'}) for others."
            )
        self.env = env
        self.spec = env.spec
        self._same_step = mode is AutoresetMode.SAME_STEP
        self._actions: NDArray[Any] | None = None
        super().__init__(env.num_envs, env.single_observation_space, env.single_action_space)
        self.metadata = {**env.metadata, **self.metadata}  # with render_fps, which VecVideoRecorder needs

    def reset(self) -> VecEnvObs:
        """Reset every environment with the seed and options that were set last; both are used once.

        Returns:
            Observations, (env, ...), copied; a dict or tuple of them if the space is one. Infos are in `reset_infos`.

        Raises:
            ValueError: If the options differ between environments, since a vector environment takes one dict, or their
                number is not the environments'.
        """
        if len(self._options) != self.num_envs:
            raise ValueError(
                f"options must be one dict, or a list of {self.num_envs}, one for each environment, got "
                f"{len(self._options)} in a list. Set one dict."
            )
        options = self._options[0]
        if not all(_alike(other, options) for other in self._options):
            raise ValueError(f"options must be the same for every environment, got {self._options!r}. Set one dict.")
        seed = None if self._seeds[0] is None else int(self._seeds[0])  # both libraries count up from the first
        observations, infos = self.env.reset(seed=seed, options=options or None)
        self._reset_seeds()
        self._reset_options()
        self.reset_infos = _rows(copy.deepcopy(infos), self.num_envs)
        first: VecEnvObs = _copied(observations)
        return first

    def step_async(self, actions: NDArray[Any]) -> None:
        """Keep the actions, (env, ...), for `step_wait`."""
        self._actions = actions

    def step_wait(self) -> VecEnvStepReturn:
        """Take the step, and reset the environments that have ended.

        Returns:
            Observations (env, ...), from the next episode if one ended; rewards (env,) float32; dones (env,) bool; and
            one info per environment.
        """
        observations, rewards, terminated, truncated, infos = self.env.step(self._actions)
        observations, rows = _copied(observations), _rows(copy.deepcopy(infos), self.num_envs)
        terminated, truncated = np.asarray(terminated, bool), np.asarray(truncated, bool)
        dones = terminated | truncated
        if dones.any():
            if self._same_step:
                self._take_final(rows, dones)
            else:
                observations = self._reset_ended(observations, rows, dones)
        for row, cut_off in zip(rows, truncated & ~terminated, strict=True):
            row["TimeLimit.truncated"] = bool(cut_off)
        return observations, np.array(rewards, np.float32), dones, rows

    def close(self) -> None:
        """Close the vector environment."""
        self.env.close()

    def get_images(self) -> Sequence[NDArray[np.uint8] | None]:
        """Return a picture for each environment, (height, width, 3) uint8, or the single picture that there is."""
        if self.render_mode != "rgb_array":
            warnings.warn(f"The render mode is {self.render_mode!r}, but only 'rgb_array' gives images.", stacklevel=2)
            return [None] * self.num_envs
        frames: Any = self.env.render()
        return [frames] if isinstance(frames, np.ndarray) and frames.ndim == 3 else list(frames)

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """Return an attribute for each index; the class docstring says which object has it.

        Raises:
            AttributeError: If it does not exist.
        """
        base, chosen = self.env.unwrapped, list(self._get_indices(indices))
        if isinstance(base, SyncVectorEnv):
            return [base.envs[index].get_wrapper_attr(attr_name) for index in chosen]
        if isinstance(base, AsyncVectorEnv):
            _check_has(base, attr_name)
            values = base.call("get_wrapper_attr", attr_name)
            return [values[index] for index in chosen]
        return [getattr(self._owner(attr_name), attr_name)] * len(chosen)

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Set an attribute on the object that has it, or a new one; the class docstring says on which object."""
        base = self.env.unwrapped
        if isinstance(base, SyncVectorEnv):
            for index in self._get_indices(indices):
                base.envs[index].set_wrapper_attr(attr_name, value)
            return
        self._check_all(indices)
        if isinstance(base, AsyncVectorEnv):
            base.set_attr(attr_name, [value] * self.num_envs)
        else:
            setattr(self._owner(attr_name), attr_name, value)

    def env_method(
        self, method_name: str, *method_args: Any, indices: VecEnvIndices = None, **method_kwargs: Any
    ) -> list[Any]:
        """Call a method and return its result for each index; the class docstring says on which object.

        Raises:
            AttributeError: If it does not exist.
        """
        base, chosen = self.env.unwrapped, list(self._get_indices(indices))
        if isinstance(base, SyncVectorEnv):
            return [base.envs[i].get_wrapper_attr(method_name)(*method_args, **method_kwargs) for i in chosen]
        if isinstance(base, AsyncVectorEnv):
            self._check_all(indices)
            _check_has(base, method_name)
            return list(base.call(method_name, *method_args, **method_kwargs))
        return [getattr(self._owner(method_name), method_name)(*method_args, **method_kwargs)] * len(chosen)

    def env_is_wrapped(
        self, wrapper_class: type[gym.Wrapper[Any, Any, Any, Any]], indices: VecEnvIndices = None
    ) -> list[bool]:
        """Return whether sub-environments have the wrapper.

        Only those of SyncVectorEnv can be asked. For others, AsyncVectorEnv's too, it returns False, wrapped or not.
        """
        base, chosen = self.env.unwrapped, list(self._get_indices(indices))
        if isinstance(base, SyncVectorEnv):
            return [is_wrapped(base.envs[index], wrapper_class) for index in chosen]
        return [False] * len(chosen)

    def _owner(self, name: str) -> Any:
        layer: Any = self.env
        while isinstance(layer, VectorWrapper | VectorEnv | gym.Env):
            if hasattr(layer, name):
                return layer
            layer = getattr(layer, "env", None)
        return self.env.unwrapped

    def _check_all(self, indices: VecEnvIndices) -> None:
        chosen = list(self._get_indices(indices))
        if sorted(chosen) != list(range(self.num_envs)):
            raise ValueError(
                f"Only all environments can be reached at once, got indices {chosen}. Leave indices out, or use "
                "SyncVectorEnv or Stable-Baselines3's SubprocVecEnv."
            )

    def _take_final(self, rows: list[dict[str, Any]], dones: NDArray[np.bool_]) -> None:
        """If an episode ended, replace the reset's info by the last step's, and store the reset's."""
        for index in np.flatnonzero(dones):
            of_reset = rows[index]
            if "final_obs" not in of_reset:
                raise ValueError(f"{self.env} has autoreset mode SAME_STEP but gave no 'final_obs' when it ended.")
            of_step = {"terminal_observation": of_reset.pop("final_obs"), **of_reset.pop("final_info", {})}
            if "episode" in of_reset:  # RecordEpisodeStatistics writes beside final_info, not into it
                of_step["episode"] = of_reset.pop("episode")
            rows[index], self.reset_infos[index] = of_step, of_reset

    def _reset_ended(self, observations: Any, rows: list[dict[str, Any]], dones: NDArray[np.bool_]) -> Any:
        """Reset the environments that ended, keep their last observations, and return the new observations."""
        fresh, infos = self.env.reset(options={"reset_mask": dones.copy()})
        of_resets = _rows(copy.deepcopy(infos), self.num_envs)
        for index in np.flatnonzero(dones):
            rows[index]["terminal_observation"] = _pick(observations, int(index))
            self.reset_infos[index] = of_resets[index]
        return _copied(fresh)


def _check_has(env: AsyncVectorEnv, name: str) -> None:
    """Refuse a name that a sub-environment lacks; asking for it would end the processes."""
    if not all(env.call("has_wrapper_attr", name)):
        raise AttributeError(f"The sub-environments have no attribute {name!r}.")


def _alike(one: Any, other: Any) -> bool:
    """Return whether options are equal; they may hold arrays and tensors, at any depth."""
    if one is other:
        return True
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_alike(value, other[key]) for key, value in one.items())
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return type(one) is type(other) and len(one) == len(other) and all(map(_alike, one, other))
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return one.device == other.device and torch.equal(one, other)
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        return np.array_equal(one, other)
    return bool(one == other)


def _copied(observations: Any) -> Any:
    if isinstance(observations, Tensor):
        return observations.clone()
    if isinstance(observations, Mapping):
        return {key: np.array(value) for key, value in observations.items()}
    if isinstance(observations, tuple):
        return tuple(np.array(value) for value in observations)
    return np.array(observations)


def _pick(observations: Any, index: int) -> Any:
    if isinstance(observations, dict):
        return {key: value[index] for key, value in observations.items()}
    if isinstance(observations, tuple):
        return tuple(value[index] for value in observations)
    return observations[index]


def _rows(infos: dict[str, Any], num_envs: int) -> list[dict[str, Any]]:
    """Turn a dict of arrays into a dict for each environment.

    "_key" masks the environments that have "key"; without a mask all have it. An array of `num_envs` values gives one
    to each environment. A nested dict is split in the same way. Any other value goes to every environment.
    """
    rows: list[dict[str, Any]] = [{} for _ in range(num_envs)]
    for key, value in infos.items():
        if key.startswith("_") and key[1:] in infos:
            continue  # a mask
        has_key = infos.get(f"_{key}", np.ones(num_envs, bool))
        if isinstance(value, dict):
            values: Any = _rows(value, num_envs)
        else:
            each = isinstance(value, np.ndarray) and value.shape[:1] == (num_envs,)
            values = value if each else [value] * num_envs
        for index in np.flatnonzero(has_key):
            rows[index][key] = values[index]
    return rows
