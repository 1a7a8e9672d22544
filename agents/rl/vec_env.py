"""From Gymnasium's vector environments to Stable-Baselines3's VecEnv, which refuses them as they are."""

import copy
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv, VectorEnv, VectorWrapper
from numpy.typing import NDArray
from stable_baselines3.common.env_util import is_wrapped
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvObs, VecEnvStepReturn


class GymnasiumVecEnv(VecEnv):
    """Present any `gymnasium.vector.VectorEnv` as a Stable-Baselines3 VecEnv.

        SAC("MlpPolicy", GymnasiumVecEnv(gym.make_vec("HandLatent-v0", num_envs=64, ...)))

    Stable-Baselines3 wants an environment that has ended to be reset within the same step, the last observation of the
    episode in info["terminal_observation"], and info["TimeLimit.truncated"] True where the episode was cut off but not
    over: there, and only there, it bootstraps. Autoreset modes SAME_STEP (Gymnasium's final_obs and final_info are
    moved) and DISABLED (a reset with "reset_mask" follows) give exactly that; NEXT_STEP cannot, since it spends a step
    on the reset.

    What a single environment's `get_attr`, `set_attr`, `env_method` and `env_is_wrapped` reach:

    - SyncVectorEnv: the sub-environments, as with DummyVecEnv.
    - AsyncVectorEnv: all of them at once, so `set_attr` and `env_method` refuse a part of the indices.
    - Any other: one object is behind all environments, so it is asked once, and its answer given for each index.
    """

    def __init__(self, env: VectorEnv[Any, Any, Any]) -> None:
        """Wrap the environment; closing the one closes the other.

        Args:
            env: With autoreset mode SAME_STEP or DISABLED in its metadata.

        Raises:
            TypeError: If it is no vector environment.
            ValueError: If it has another autoreset mode, or names none.
        """
        if not isinstance(env, VectorEnv):
            raise TypeError(
                f"env must be a gymnasium.vector.VectorEnv, got {type(env).__name__}. Make it with gym.make_vec."
            )
        mode = env.metadata.get("autoreset_mode")
        if mode not in (AutoresetMode.SAME_STEP, AutoresetMode.DISABLED):
            raise ValueError(
                f"env's autoreset mode must be AutoresetMode.SAME_STEP or AutoresetMode.DISABLED, got {mode}. Call "
                "gym.make_vec(..., autoreset_mode='SameStep') for an environment with a vector form of its own, as "
                "HandLatent-v0 has, or gym.make_vec(..., vector_kwargs={'autoreset_mode': 'SameStep'}) for others."
            )
        self.env = env
        self.spec = env.spec
        self._same_step = mode is AutoresetMode.SAME_STEP
        self._actions: NDArray[Any] | None = None
        super().__init__(env.num_envs, env.single_observation_space, env.single_action_space)
        self.metadata = {**env.metadata, **self.metadata}  # with render_fps, which VecVideoRecorder looks for

    def reset(self) -> VecEnvObs:
        """Reset every environment, with the seed and options set last; both are used once.

        Returns:
            Observations, (env, ...), copied; a dict or tuple of them if the space is one. Infos are in `reset_infos`.

        Raises:
            ValueError: If options were set that differ between environments: a vector environment takes one dict.
        """
        options = self._options[0]
        if not all(other is options or other == options for other in self._options):
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
        """Take the step, and reset what has ended.

        Returns:
            Observations (env, ...), of the next episode where one ended; rewards (env,) float32; dones (env,) bool; and
            an info for each environment.
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
        """Return a picture for each environment, (height, width, 3) uint8, as far as there is one each."""
        if self.render_mode != "rgb_array":
            warnings.warn(f"The render mode is {self.render_mode!r}, but only 'rgb_array' gives images.", stacklevel=2)
            return [None] * self.num_envs
        frames: Any = self.env.render()
        return [frames] if isinstance(frames, np.ndarray) and frames.ndim == 3 else list(frames)

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """Look an attribute up; see the class for where.

        Raises:
            AttributeError: If it does not exist.
        """
        base, chosen = self.env.unwrapped, list(self._get_indices(indices))
        if isinstance(base, SyncVectorEnv):
            return [base.envs[index].get_wrapper_attr(attr_name) for index in chosen]
        if isinstance(base, AsyncVectorEnv):
            if not all(base.call("has_wrapper_attr", attr_name)):  # asking for it would end the processes
                raise AttributeError(f"The sub-environments have no attribute {attr_name!r}.")
            values = base.call("get_wrapper_attr", attr_name)
            return [values[index] for index in chosen]
        return [getattr(self._owner(attr_name), attr_name)] * len(chosen)

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Set an attribute where it is, or anew; see the class for which environments it reaches."""
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
        """Call a method and return what it returns for each index; see the class."""
        base, chosen = self.env.unwrapped, list(self._get_indices(indices))
        if isinstance(base, SyncVectorEnv):
            return [base.envs[i].get_wrapper_attr(method_name)(*method_args, **method_kwargs) for i in chosen]
        if isinstance(base, AsyncVectorEnv):
            self._check_all(indices)
            return list(base.call(method_name, *method_args, **method_kwargs))
        return [getattr(self._owner(method_name), method_name)(*method_args, **method_kwargs)] * len(chosen)

    def env_is_wrapped(
        self, wrapper_class: type[gym.Wrapper[Any, Any, Any, Any]], indices: VecEnvIndices = None
    ) -> list[bool]:
        """Tell whether sub-environments have the wrapper; False where they cannot be looked into."""
        base, chosen = self.env.unwrapped, list(self._get_indices(indices))
        if isinstance(base, SyncVectorEnv):
            return [is_wrapped(base.envs[index], wrapper_class) for index in chosen]
        return [False] * len(chosen)

    def _owner(self, name: str) -> Any:
        env: Any = self.env
        while not hasattr(env, name) and isinstance(env, VectorWrapper):
            env = env.env
        return env

    def _check_all(self, indices: VecEnvIndices) -> None:
        chosen = list(self._get_indices(indices))
        if sorted(chosen) != list(range(self.num_envs)):
            raise ValueError(f"Only all environments can be reached at once, got indices {chosen}. Leave indices out.")

    def _take_final(self, rows: list[dict[str, Any]], dones: NDArray[np.bool_]) -> None:
        """Put the last step's info, where an episode ended, in the place of the reset's, and keep that."""
        for index in np.flatnonzero(dones):
            of_reset = rows[index]
            if "final_obs" not in of_reset:
                raise ValueError(f"{self.env} has autoreset mode SAME_STEP but gave no 'final_obs' where it ended.")
            of_step = {"terminal_observation": of_reset.pop("final_obs"), **of_reset.pop("final_info", {})}
            if "episode" in of_reset:  # RecordEpisodeStatistics writes beside final_info, not into it
                of_step["episode"] = of_reset.pop("episode")
            rows[index], self.reset_infos[index] = of_step, of_reset

    def _reset_ended(self, observations: Any, rows: list[dict[str, Any]], dones: NDArray[np.bool_]) -> Any:
        """Reset where an episode ended, keep the last observation, and return observations to go on from."""
        fresh, infos = self.env.reset(options={"reset_mask": dones.copy()})
        of_resets = _rows(copy.deepcopy(infos), self.num_envs)
        for index in np.flatnonzero(dones):
            rows[index]["terminal_observation"] = _pick(observations, int(index))
            self.reset_infos[index] = of_resets[index]
        return _copied(fresh)


def _copied(observations: Any) -> Any:
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

    "_key" masks the environments that have "key"; without a mask all have it. An array of `num_envs` values has one for
    each environment, a dict is taken apart likewise, and anything else is every environment's.
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
