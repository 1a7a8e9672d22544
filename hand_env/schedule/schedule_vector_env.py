"""The vector form of HandSchedule-v0: several VAEs, which train side by side."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from hand_env.checks import (
    check_action,
    reading_state,
    resolve_autoreset_mode,
    row_seeds,
    rows_to_reset,
    rows_to_step,
    state_in,
)
from hand_env.drawn_score import wrong_together
from hand_env.schedule.features import FEATURES, Array
from hand_env.schedule.schedule_env import NO_DELTAS, HandScheduleEnv, Step
from hand_env.schedule.train_epochs import pays_only_at_the_end, train
from vae.checks import integer
from vae.side_by_side import SideBySide
from vae.torch_modes import usual_modes

Flags = NDArray[np.bool_]


class HandScheduleVectorEnv(VectorEnv[Array, Array, NDArray[Any]]):
    """Train several VAEs side by side, each with its own agent's choices: `gym.make_vec("hand_env:HandSchedule-v0", num_envs=K)`.

    ## Description

    The rows are K episodes of `HandScheduleEnv`, each with its own VAE, seed, data order and actions. With seed s, row i
    is the single form with seed s + i, bit for bit on the CPU. On a GPU all VAEs take their steps in one CUDA graph
    (`vae.side_by_side.SideBySide`), if the reward is "drawn_change" and there are no `validation_images`. Then the hands
    of all rows are judged together.

    ## Spaces

    | space | a row's | meaning |
    | --- | --- | --- |
    | action | `Box(-1, 1, (3,), float32)` | as in `HandScheduleEnv` |
    | observation | `Box(-inf, inf, (14,), float32)` | as in `HandScheduleEnv` |

    ## Reward

    Each row gets its own, float64.

    ## Episode end

    Rows end together, because they have equally many pictures and epochs; only a row that diverges ends before the
    others. What happens then depends on `autoreset_mode`:

    | mode | what Gymnasium means by it |
    | --- | --- |
    | "NextStep", the default | the step after a row's end ignores its action, resets it, and its reward is 0 |
    | "SameStep" | the last step returns the next episode's first observation; the last observation is in `infos["final_obs"]` |
    | "Disabled" | call `reset` with a `reset_mask` of the rows that have ended, or without a mask to reset all rows |

    ## Info

    The keys of `HandScheduleEnv`, each as a (K,) array with a mask `_name`, in Gymnasium's layout.

    ## Rendering

    One grid of pictures for each row, as in `HandScheduleEnv`.

    ## Arguments

    | name | default | meaning |
    | --- | --- | --- |
    | `num_envs` | 1 | K, at least 1 |
    | `autoreset_mode` | "NextStep" | as above, by name or as `gymnasium.vector.AutoresetMode`; only the name can be saved in a JSON spec |
    | `images` | None | as in `HandScheduleEnv`, for all rows; or a list of K such sets of the same shape, one for each row |
    | others | | those of `HandScheduleEnv` |
    """  # noqa: E501 - a table's row is one line

    def __init__(
        self,
        num_envs: int = 1,
        *,
        autoreset_mode: str | AutoresetMode = AutoresetMode.NEXT_STEP,
        images: Any = None,
        **settings: Any,
    ) -> None:
        """Build the rows.

        Raises:
            TypeError: If an argument has a wrong type.
            ValueError: If an argument is out of its range.
        """
        num_envs = integer("num_envs", num_envs, 1)
        self.autoreset_mode = resolve_autoreset_mode(autoreset_mode)
        self.envs, shared = [], dict[int, torch.Tensor]()
        for own in _one_each(images, num_envs):
            self.envs.append(HandScheduleEnv(shared.get(id(own), own), **settings))
            training = self.envs[-1].env
            training.images = shared.setdefault(id(own), training.images)  # one copy for all rows that share them
        first = self.envs[0]
        self.num_envs, self.render_mode = num_envs, first.render_mode
        self.metadata = {**HandScheduleEnv.metadata, "autoreset_mode": self.autoreset_mode}
        self.single_observation_space, self.single_action_space = first.observation_space, first.action_space
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._shape = (num_envs, *NO_DELTAS.shape)  # of the actions
        self._observations = np.zeros((num_envs, len(FEATURES)), np.float32)
        self._ended = np.zeros(num_envs, np.bool_)
        self._is_open = False
        self._together: SideBySide | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what takes the rows' steps together: it can be made again from their trainers."""
        return {**self.__dict__, "_together": None}

    @property  # type: ignore[misc]  # read-only, as SyncVectorEnv's
    def np_random(self) -> tuple[np.random.Generator, ...]:  # type: ignore[override]  # a row has its own
        """Each row's generator, as in `gymnasium.vector.SyncVectorEnv`."""
        return tuple(env.np_random for env in self.envs)

    @property
    def np_random_seed(self) -> tuple[int, ...]:  # type: ignore[override]  # likewise
        """Each row's seed, as in `gymnasium.vector.SyncVectorEnv`."""
        return tuple(env.np_random_seed for env in self.envs)

    @usual_modes()
    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Array, dict[str, Any]]:
        """Start new episodes, or continue saved ones; see `HandScheduleEnv.reset`.

        Args:
            seed: s >= 0 seeds row i with s + i; or a list with one seed per row.
            options: "reset_mask", (K,) bool, the rows to reset; or "state", what `state_dict` returned.

        Returns:
            Observations of all rows, (K, 14) float32, and infos of the rows that were reset.

        Raises:
            gymnasium.error.ResetNeeded: If the first reset leaves out a row.
            TypeError: If a seed is no integer, or the options or their state are no dict.
            ValueError: If the seeds or the mask are not one for each row, or the state is of another environment.
        """
        state, options, seeds = state_in(options), options or {}, row_seeds(seed, self.num_envs)
        infos: dict[str, Any] = {}
        mask = rows_to_reset(options.get("reset_mask"), self.num_envs, self._is_open)
        states = [None] * self.num_envs if state is None else self._rows_of(state)
        for env, own, chosen in zip(self.envs, states, mask, strict=True):
            if chosen and own is not None:
                env.check_state(own)  # of all rows before any of them is replaced
        for row, info in self._restart(np.flatnonzero(mask).tolist(), seeds, states).items():
            infos = self._add_info(infos, info, row)
        self._ended[mask] = [
            state is not None and state["ended"] for state, own in zip(states, mask, strict=True) if own
        ]
        self.closed = False
        return self._observations.copy(), infos

    @usual_modes()
    def step(self, actions: Array) -> tuple[Array, NDArray[np.float64], Flags, Flags, dict[str, Any]]:
        """Train each row's VAE for a stretch of epochs.

        Args:
            actions: (K, 3) float32 in [-1, 1].

        Returns:
            Observations, (K, 14) float32, (K,) float64 rewards, (K,) bool terminations and truncations, infos.

        Raises:
            gymnasium.error.ResetNeeded: Before the first reset, and after a row's end with autoreset disabled.
            TypeError: If the actions do not consist of numbers.
            ValueError: If the actions have another shape, or a value that is not finite or not in [-1, 1].
        """
        if not self._is_open:
            raise gym.error.ResetNeeded("Call reset() first: it builds the VAEs.")
        acting = rows_to_step(self._ended, self.autoreset_mode)
        steps = self._train(check_action(actions, self._shape, acting), acting)
        rewards, (terminations, truncations) = np.zeros(self.num_envs), np.zeros((2, self.num_envs), np.bool_)
        nothing, infos = [None] * self.num_envs, dict[str, Any]()
        resets = self._restart([row for row in range(self.num_envs) if self._is_due(steps.get(row))], nothing, nothing)
        for row in range(self.num_envs):
            outcome = self._outcome(row, steps.get(row), resets.get(row))
            rewards[row], terminations[row], truncations[row], info = outcome
            infos = self._add_info(infos, info, row)
        return self._observations.copy(), rewards, terminations, truncations, infos

    def render(self) -> tuple[NDArray[np.uint8], ...] | None:
        """Return a grid of pictures for each row, (height, width, 3) uint8, or None without a render mode."""
        frames = [frame for env in self.envs if (frame := env.render()) is not None]
        return tuple(frames) or None

    def close_extras(self, **_: Any) -> None:
        """Release the VAEs and their training states; `reset` opens the environment again."""
        self._is_open, self._together = False, None
        for env in getattr(self, "envs", []):  # Gymnasium 1.1 and 1.2 close it even if `__init__` raised
            env.close()

    def state_dict(self) -> dict[str, Any]:
        """Copy the running episodes, to continue them with `reset`."""
        return {"rows": [env.state_dict() for env in self.envs]}

    def _train(self, actions: Array, acting: Flags) -> dict[int, Step]:
        """Train the rows that act. Those that have done as many steps train together; usually these are all rows."""
        steps: dict[int, Step] = {}
        choices = {int(row): self.envs[row].decode(actions[row]) for row in np.flatnonzero(acting)}
        for _, group in groupby(sorted(choices, key=self._steps_done), key=self._steps_done):
            rows = list(group)
            envs = [self.envs[row].env for row in rows]
            together = self._take_together(rows)
            paid = train(envs, together, [choices[row] for row in rows], self.envs[rows[0]].steps_to_do)
            for row, own in zip(rows, paid, strict=True):
                steps[row] = self.envs[row].conclude(actions[row], choices[row], own)
        return steps

    def _is_due(self, step: Step | None) -> bool:
        """Whether a row is reset now: in NextStep mode without a step, in SameStep mode after an episode's last one."""
        return step is None or (self.autoreset_mode is AutoresetMode.SAME_STEP and (step[2] or step[3]))

    def _outcome(
        self, row: int, step: Step | None, of_reset: dict[str, Any] | None
    ) -> tuple[float, bool, bool, dict[str, Any]]:
        """Keep what a row's step gave, unless the row was reset after it."""
        if step is None:
            assert of_reset is not None, "the reset was due"
            return 0.0, False, False, of_reset
        observation, reward, terminated, truncated, info = step
        if of_reset is not None:
            return reward, terminated, truncated, {"final_obs": observation, "final_info": info, **of_reset}
        self._observations[row], self._ended[row] = observation, terminated or truncated
        return reward, terminated, truncated, info

    def _restart(
        self, rows: Sequence[int], seeds: Sequence[int | None], states: Sequence[Mapping[str, Any] | None]
    ) -> dict[int, dict[str, Any]]:
        """Reset some rows, measure the first W of all of them together, and return their infos."""
        if rows:
            self._together = None  # it holds the VAEs of the episodes that end here
            self._is_open = False  # until all rows have begun
        for row in rows:
            self.envs[row].start(seeds[row], states[row], first_drawn=False)
        new = [self.envs[row].env for row in rows if states[row] is None]
        scores = [env.drawn_score for env in new if env.drawn_score is not None]  # all or none
        for env, wrong in zip(new, wrong_together(scores), strict=False):
            env.scorer.last_drawn = wrong
        infos: dict[int, dict[str, Any]] = {}
        for row in rows:
            self._observations[row], infos[row] = self.envs[row].observe_first(states[row])
            self._ended[row] = False
        self._is_open = True
        return infos

    def _take_together(self, rows: Sequence[int]) -> SideBySide:
        """Return what takes these rows' steps; it is kept for as long as their episodes run."""
        trainers = [self.envs[row].env.trainer for row in rows]
        if self._together is None or self._together.trainers != trainers:
            together = pays_only_at_the_end(self.envs[0].env)
            self._together = SideBySide(trainers, stacked=None if together else False)
        return self._together

    def _steps_done(self, row: int) -> int:
        return self.envs[row].env.trainer.steps_done

    def _rows_of(self, state: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        with reading_state():
            rows = list(state["rows"])
            if len(rows) != self.num_envs or not all(isinstance(own, Mapping) for own in rows):
                raise ValueError(f"it has {len(rows)} rows, not {self.num_envs}, or one is no dict")
        return rows


def _one_each(images: Any, num_envs: int) -> list[Any]:
    """Return each row's pictures; a list holds one set for each row, of the same shape."""
    if not isinstance(images, list | tuple):
        return [images] * num_envs
    shapes = [tuple(np.shape(own)) if not isinstance(own, torch.Tensor) else tuple(own.shape) for own in images]
    if len(images) != num_envs or len(set(shapes)) > 1:
        raise ValueError(
            f"images must be one set for all rows, or {num_envs} sets of the same shape, got {len(images)} of the "
            f"shapes {sorted(set(shapes))}."
        )
    return list(images)
