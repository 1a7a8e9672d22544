"""The vector form of HandLatent-v0: each latent of the batch is a row of its own, and all rows share one VAE."""

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray
from torch import Tensor

from hand_env.checks import resolve_autoreset_mode, rows_to_reset, state_in
from hand_env.latent_env import Array, HandLatentEnv, Rewards
from vae.checks import check_bool, integer

Flags = NDArray[np.bool_]


class HandLatentVectorEnv(VectorEnv[Array, Array, NDArray[Any]]):
    """Steer each latent of a minibatch separately: `gym.make_vec("hand_env:HandLatent-v0", num_envs=B)`.

    ## Description

    The rows are the B pictures of the next minibatch. The episode is that of `HandLatentEnv` with `batch_size=B`, bit
    for bit on the CPU: the same seed and actions give the same VAE. Only the view differs. A flat network over B x D
    latents grows with B; a network over one row's D latents does not. Each picture also gets a reward of its own.

    ## Spaces

    | space | a row's | meaning |
    | --- | --- | --- |
    | action | `Box(-1, 1, (D,), float32)` | delta of its picture's latent |
    | observation | `Box(-inf, inf, (D,), float32)` | its picture's posterior mean; the next one belongs to another picture, so an action affects it only through the weights of the VAE |

    ## Reward

    Each row gets its own, float64. The mean over rows is the reward of `HandLatentEnv`.

    ## Episode end

    All rows end together, because they share one VAE. What happens then depends on `autoreset_mode`:

    | mode | what Gymnasium means by it |
    | --- | --- |
    | "NextStep", the default | the step after the end ignores its action, resets, and its reward is 0 |
    | "SameStep" | the last step returns the next episode's first observation; the last observation is in `infos["final_obs"]` |
    | "Disabled" | call `reset`; a `reset_mask` must be true for all rows |

    ## Info

    The terms of `HandLatentEnv`, each as a (B,) array with a mask `_name`, in Gymnasium's layout.

    ## Arguments

    | name | default | meaning |
    | --- | --- | --- |
    | `num_envs` | 1 | B, replaces `batch_size` |
    | `autoreset_mode` | "NextStep" | as above, by name or as `gymnasium.vector.AutoresetMode`; only the name can be saved in a JSON spec |
    | `flat` | False | changes nothing: a row is flat in any case |
    | others | | those of `HandLatentEnv` |
    """  # noqa: E501 - a table's row is one line

    def __init__(
        self,
        num_envs: int = 1,
        *,
        autoreset_mode: str | AutoresetMode = AutoresetMode.NEXT_STEP,
        flat: bool = False,
        **settings: Any,
    ) -> None:
        """Build the single form, whose rows this form shows.

        Raises:
            ValueError: If an argument is out of its range.
        """
        for name in ("batch_size", "minibatch_size"):
            if name in settings:
                raise ValueError(f"{name} must be left out: the batch is num_envs={num_envs!r} rows.")
        self.autoreset_mode = resolve_autoreset_mode(autoreset_mode)
        num_envs = integer("num_envs", num_envs, 1)
        check_bool(flat=flat)
        self.env = HandLatentEnv(batch_size=num_envs, **settings)
        self.num_envs, self.render_mode = num_envs, self.env.render_mode
        self.metadata = {**HandLatentEnv.metadata, "autoreset_mode": self.autoreset_mode}
        dim = self.env.latent_dim
        self.single_observation_space = gym.spaces.Box(-np.inf, np.inf, (dim,), np.float32)
        self.single_action_space = gym.spaces.Box(-1.0, 1.0, (dim,), np.float32)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._reset_is_due = False

    @property
    def np_random(self) -> np.random.Generator:
        """The generator of the episodes' seeds, the single form's."""
        return self.env.np_random

    @np_random.setter
    def np_random(self, value: np.random.Generator) -> None:
        self.env.np_random = value

    @property
    def np_random_seed(self) -> int | None:
        """The seed of `np_random`, -1 if unknown."""
        return self.env.np_random_seed

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Array, dict[str, Any]]:
        """Start a new episode, or continue a saved one; see `HandLatentEnv.reset`.

        Args:
            seed: >= 0; one seed for all rows, because they share one VAE.
            options: As in the single form; a "reset_mask", (B,) bool, must be true for all rows.

        Returns:
            (B, D) float32 observations and infos.

        Raises:
            TypeError: If the seed is no integer, or the options or their state are no dict.
            ValueError: If the seed is a list, the mask leaves out a row, or the state is of another environment.
        """
        state_in(options)
        if seed is not None and np.ndim(seed):
            raise ValueError(f"seed must be one number, got {seed!r}: the rows share one VAE.")
        options = dict(options or {})
        mask = options.pop("reset_mask", None)
        if not rows_to_reset(mask, self.num_envs, is_open=True).all():
            raise ValueError(f"reset_mask must be true for all {self.num_envs} rows, got {mask!r}: they end together.")
        observations, info = self.env.reset(seed=seed, options=options)
        self._reset_is_due = self.env.has_ended and self.autoreset_mode is AutoresetMode.NEXT_STEP
        self.closed = False
        return observations, self._infos(info)

    def step(self, actions: Array | Tensor) -> tuple[Array, Rewards, Flags, Flags, dict[str, Any]]:
        """Shift each row's latent, and train the VAE on all of them.

        Args:
            actions: (B, D) float32 in [-1, 1], an array or a tensor.

        Returns:
            (B, D) float32 observations, (B,) float64 rewards, (B,) bool terminations and truncations, infos.

        Raises:
            gymnasium.error.ResetNeeded: Before the first reset, and after the end with autoreset disabled.
            TypeError: If the actions do not consist of numbers.
            ValueError: If the actions have another shape, or a value that is not finite or not in [-1, 1].
        """
        if self._reset_is_due:
            observations, infos = self.reset()
            return observations, np.zeros(self.num_envs), self._flags(False), self._flags(False), infos
        observations, rewards, terminated, truncated, info = self.env.step_rows(actions)
        infos = self._infos(info)
        ended = terminated or truncated
        if ended and self.autoreset_mode is AutoresetMode.SAME_STEP:
            final = np.empty(self.num_envs, dtype=object)
            for row, observation in enumerate(observations):  # at once, NumPy would take tensors apart
                final[row] = observation
            observations, following = self.reset()
            infos = {"final_obs": final, "final_info": infos, **following}
            infos |= {"_final_obs": self._flags(True), "_final_info": self._flags(True)}
        self._reset_is_due = ended and self.autoreset_mode is AutoresetMode.NEXT_STEP
        return observations, rewards, self._flags(terminated), self._flags(truncated), infos

    def render(self) -> tuple[NDArray[np.uint8], ...] | None:
        """Return a picture for each row, (S, S, 3) uint8, decoded now from normal latents, or None without a mode."""
        if self.render_mode is None:
            return None
        return tuple(self.env.draw(self.num_envs).permute(0, 2, 3, 1).contiguous().numpy())

    def close_extras(self, **_: Any) -> None:
        """Release the VAE and its training state; `reset` opens the environment again."""
        self._reset_is_due = False
        if hasattr(self, "env"):  # Gymnasium 1.1 and 1.2 close it even if `__init__` raised
            self.env.close()

    def state_dict(self) -> dict[str, Any]:
        """Copy the running episode; `reset` of this form or of the single form continues it."""
        return self.env.state_dict()

    def _flags(self, value: bool) -> Flags:
        return np.full(self.num_envs, value)

    def _infos(self, info: dict[str, Any]) -> dict[str, Any]:
        infos: dict[str, Any] = {name: np.full(self.num_envs, term) for name, term in info.items()}
        return infos | {f"_{name}": self._flags(True) for name in info}
