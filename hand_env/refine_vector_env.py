"""The vector form of HandRefine-v0: one VAE and one judge decode and score the latents of all rows together."""

from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from hand_env.checks import (
    check_action,
    check_finite,
    generator_in_state,
    reading_state,
    resolve_autoreset_mode,
    row_seeds,
    rows_to_reset,
    rows_to_step,
    state_in,
)
from hand_env.refine_env import HandRefineEnv
from hand_env.refinement import Array, Scores, correct, observe
from vae.checks import integer

Flags = NDArray[np.bool_]


class HandRefineVectorEnv(VectorEnv[Array, Array, NDArray[Any]]):
    """Correct latents in parallel: `gym.make_vec("hand_env:HandRefine-v0", num_envs=B)`.

    ## Description

    The rows are B episodes of `HandRefineEnv`, which share one frozen VAE and one judge. A step decodes and judges all
    rows together. With seed s, row i has the same latents, bit for bit, as the single form with seed s + i. The scores
    may differ by rounding, because the batch size changes the order of summation.

    ## Spaces

    | space | a row's | meaning |
    | --- | --- | --- |
    | action | `Box(-1, 1, (D,), float32)` | as in `HandRefineEnv` |
    | observation | `Box(-inf, inf, (D,), float32)`, with several steps per episode D + 1 numbers | as in `HandRefineEnv` |

    ## Reward

    Each row gets its own, float64.

    ## Episode end

    Each row has its own episode, which always ends as terminated. The rows end together, unless a `reset_mask` has
    restarted some of them. What happens then depends on `autoreset_mode`:

    | mode | what Gymnasium means by it |
    | --- | --- |
    | "NextStep", the default | the step after a row's end ignores its action, resets it, and its reward is 0 |
    | "SameStep" | the last step returns the next episode's first observation; the last observation is in `infos["final_obs"]` |
    | "Disabled" | call `reset` with a `reset_mask` of the rows that have ended, or without a mask to reset all rows |

    ## Info

    The keys of `HandRefineEnv`, each as a (B,) array with a mask `_name`, in Gymnasium's layout. If a step resets a
    row, both scores are those of the new latent. With "SameStep", both scores of the ended episode are in
    `infos["final_info"]`.

    ## Rendering

    One picture per row: that of its latent as drawn (top) and as corrected so far (bottom). With "SameStep", a step
    that ends an episode still shows that episode.

    ## Arguments

    | name | default | meaning |
    | --- | --- | --- |
    | `num_envs` | 1 | B, at least 1 |
    | `autoreset_mode` | "NextStep" | as above, by name or as `gymnasium.vector.AutoresetMode`; only the name can be saved in a JSON spec |
    | others | | those of `HandRefineEnv` |
    """  # noqa: E501 - a table's row is one line

    def __init__(
        self, num_envs: int = 1, *, autoreset_mode: str | AutoresetMode = AutoresetMode.NEXT_STEP, **settings: Any
    ) -> None:
        """Build the single form, which holds the VAE and the judge, and the state of each row.

        Raises:
            TypeError: If an argument has a wrong type.
            ValueError: If an argument is out of its range.
        """
        num_envs = integer("num_envs", num_envs, 1)
        self.autoreset_mode = resolve_autoreset_mode(autoreset_mode)
        self.env = HandRefineEnv(**settings)
        self.num_envs, self.render_mode = num_envs, self.env.render_mode
        self.metadata = {**HandRefineEnv.metadata, "autoreset_mode": self.autoreset_mode}
        self.single_observation_space = self.env.observation_space
        self.single_action_space = self.env.action_space
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._generators = [np.random.default_rng(0)] * num_envs  # each row's own from the first reset on
        self._seeds = [-1] * num_envs
        self._is_seeded = self._is_open = False
        self._first = np.zeros((num_envs, self.env.latent_dim), np.float32)  # latents as drawn
        self._latents = self._first.copy()  # as corrected so far
        self._scores, self._left = np.zeros(num_envs), np.zeros(num_envs, np.int64)
        self._shown = np.stack([self._first, self._latents])  # what `render` decodes

    @property  # type: ignore[misc]  # read-only, as SyncVectorEnv's
    def np_random(self) -> tuple[np.random.Generator, ...]:  # type: ignore[override]  # a row has its own
        """Each row's generator, as in `gymnasium.vector.SyncVectorEnv`."""
        return tuple(self._generators)

    @property
    def np_random_seed(self) -> tuple[int, ...]:  # type: ignore[override]  # likewise
        """Each row's seed, as in `gymnasium.vector.SyncVectorEnv`."""
        return tuple(self._seeds)

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Array, dict[str, Any]]:
        """Start new episodes, or continue saved ones; see `HandRefineEnv.reset`.

        Args:
            seed: s >= 0 seeds row i with s + i; or a list with one seed per row.
            options: "reset_mask", (B,) bool, the rows to reset; or "state", what `state_dict` returned.

        Returns:
            Observations of all rows, (B, D) or (B, D + 1) float32, and infos of the rows that were reset.

        Raises:
            gymnasium.error.ResetNeeded: If the first reset leaves out a row.
            TypeError: If a seed is no integer, or the options or their state are no dict.
            ValueError: If the seeds or the mask are not one for each row, or the state is of another environment.
        """
        state, options = state_in(options), options or {}
        mask = rows_to_reset(options.get("reset_mask"), self.num_envs, self._is_open)
        seeds = row_seeds(seed, self.num_envs)
        if state is not None:
            self._load(state, mask)
        else:
            self._seed(seeds, mask)
            self._begin(mask)
        self._shown = np.stack([self._first, self._latents])
        self._is_open, self.closed = True, False
        return self._observe(), _laid_out(self._scores, self._scores, mask)

    def step(self, actions: Array) -> tuple[Array, Scores, Flags, Flags, dict[str, Any]]:
        """Correct each row's latent, decode and judge them all.

        Args:
            actions: (B, D) float32 in [-1, 1].

        Returns:
            Observations, (B, D) or (B, D + 1) float32, (B,) float64 rewards, (B,) bool terminations and truncations,
            infos.

        Raises:
            gymnasium.error.ResetNeeded: Before the first reset, and after a row's end with autoreset disabled.
            TypeError: If the actions do not consist of numbers.
            ValueError: If the actions have another shape, or a value that is not finite or not in [-1, 1]; or if
                float32 cannot hold a corrected latent or a reward.
        """
        self._check_open()
        acting, before = rows_to_step(self._left == 0, self.autoreset_mode), self._scores.copy()
        rewards = self._correct(check_action(actions, self._latents.shape, acting), acting)
        ended = acting & (self._left == 0)
        if not acting.all():  # NextStep
            self._begin(~acting)
        self._shown = np.stack([self._first, self._latents])
        stepped, infos = acting, {}
        if ended.any() and self.autoreset_mode is AutoresetMode.SAME_STEP:
            infos = self._final(ended, before)
            self._begin(ended)
            stepped = acting & ~ended
        infos |= _laid_out(np.where(stepped, before, self._scores), self._scores, np.ones_like(stepped))
        return self._observe(), rewards, ended, np.zeros(self.num_envs, np.bool_), infos

    def render(self) -> tuple[NDArray[np.uint8], ...] | None:
        """Return a picture for each row, (height, width, 3) uint8, or None without a mode."""
        if self.render_mode is None:
            return None
        self._check_open()
        return tuple(self.env.picture(*pair) for pair in self._shown.swapaxes(0, 1))

    def close_extras(self, **_: Any) -> None:
        """Release the episodes; `reset` opens the environment again."""
        self._is_open = False

    def state_dict(self) -> dict[str, Any]:
        """Copy the running episodes into arrays and numbers, to continue them with `reset`."""
        self._check_open()
        return {
            "first": self._first.copy(),
            "latents": self._latents.copy(),
            "scores": self._scores.copy(),
            "left": self._left.copy(),
            "np_random": [generator.bit_generator.state for generator in self._generators],
        }

    def _load(self, state: Mapping[str, Any], mask: Flags) -> None:
        shape, steps = self._latents.shape, self.env.steps_per_episode
        with reading_state():
            first, latents = (check_finite(name, state[name], shape) for name in ("first", "latents"))
            scores = check_finite("scores", state["scores"], self._scores.shape, np.float64)
            left = [integer("left", own, 0, steps) for own in state["left"]]
            pairs = zip(left, state["np_random"], self._generators, strict=True)
            generators = [generator_in_state(generator, random) for _, random, generator in pairs]
        self._first[mask], self._latents[mask], self._scores[mask] = first[mask], latents[mask], scores[mask]
        self._left[mask] = np.array(left)[mask]
        for row in np.flatnonzero(mask):
            self._generators[row], self._seeds[row] = generators[row], -1  # as of a generator of unknown seed
        self._is_seeded = True

    def _seed(self, seeds: list[int | None], mask: Flags) -> None:
        """Give each row of the mask a new generator if it gets a seed, or if no row has been seeded yet."""
        for row in np.flatnonzero(mask):
            if seeds[row] is not None or not self._is_seeded:
                self._generators[row], self._seeds[row] = seeding.np_random(seeds[row])
        self._is_seeded = True

    def _check_open(self) -> None:
        if not self._is_open:
            raise gym.error.ResetNeeded("Call reset() first: it draws latents.")

    def _begin(self, mask: Flags) -> None:
        latents = np.stack([self.env.draw(self._generators[row]) for row in np.flatnonzero(mask)])
        self._scores[mask] = self.env.first_scores(latents)
        self._first[mask] = self._latents[mask] = latents
        self._left[mask] = self.env.steps_per_episode

    def _correct(self, actions: Array, mask: Flags) -> Scores:
        """Correct the rows of the mask and return all rows' rewards; if something raises, no row has changed."""
        rewards = np.zeros(self.num_envs)
        if mask.any():
            latents = correct(self._latents[mask], actions[mask], self.env.delta_scale)
            scores = self.env.score(latents)
            rewards[mask] = self.env.pay(scores - self._scores[mask])
            self._scores[mask], self._latents[mask] = scores, latents
            self._left[mask] -= 1
        return rewards

    def _observe(self) -> Array:
        return observe(self._latents, self._left, self.env.steps_per_episode)

    def _final(self, ended: Flags, before: Scores) -> dict[str, Any]:
        last, observations = np.full(self.num_envs, None, dtype=object), self._observe()
        for row in np.flatnonzero(ended):
            last[row] = observations[row]
        info = _laid_out(before, self._scores, ended)
        return {"final_obs": last, "_final_obs": ended.copy(), "final_info": info, "_final_info": ended.copy()}


def _laid_out(before: Scores, after: Scores, mask: Flags) -> dict[str, Any]:
    """Lay out both scores as Gymnasium's vector environments do: 0 where the mask is false."""
    scores = {"score_before": before, "score_after": after}
    infos: dict[str, Any] = {name: np.where(mask, values, 0.0) for name, values in scores.items()}
    return infos | {f"_{name}": mask.copy() for name in scores}
