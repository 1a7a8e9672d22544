"""HandRefine-v0: correct latents from a sampler before a frozen VAE decodes them."""

import copy
from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import gymnasium as gym
import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray

from hand_env.checks import (
    MOST,
    built,
    check_action,
    check_finite,
    check_judge,
    check_render_mode,
    check_scale,
    check_vae,
    fits_float32,
    generator_in_state,
    reading_state,
    state_in,
)
from hand_env.refinement import Array, LogitScore, Scores, correct, decode, observe, score_latents
from hand_env.rendering import image_grid
from hand_env.scoring import ScoreFn
from vae.checks import integer
from vae.device import resolve_device
from vae.images.image_set import to_uint8
from vae.model import VAE, VAEConfig, build_vae, check_contract
from vae.sampling.sampler import Sampler, StandardNormal
from vae.torch_modes import usual_modes

PLACEHOLDER = VAEConfig(size=32, latent_dim=16)


@runtime_checkable
class KnowsScores(Protocol):
    """A sampler that knows what the environment's judge says of its latents, perhaps because it chose them by that."""

    def scores(self, latents: Array) -> Scores:
        """Return (n,) float64 scores of (n, D) float32 latents that it has drawn last; NaN where it knows none."""
        ...


class HandRefineEnv(gym.Env[Array, Array]):
    """Correct a latent before a frozen VAE decodes it, so that its picture is a better hand.

    ## Description

    A sampler draws a latent, and the agent observes it. The agent adds a bounded correction. A judge scores the decoded
    picture before and after. The VAE is never trained: the environment copies it, in evaluation mode and without
    gradients. `gym.make_vec("hand_env:HandRefine-v0", num_envs=B)` corrects B latents in parallel; see `HandRefineVectorEnv`. At
    generation, `hand_env.refine` lets a trained agent correct latents and drops each correction that does not raise the
    score. Do not report results with the judge that gives the reward; use another one.

    ## Action space

    `Box(-1, 1, (D,), float32)`: delta. Zeros do not change the latent, and the reward is exactly 0. NaN, infinity,
    another shape or a value out of bounds raises a `ValueError`, and anything but real numbers a `TypeError`, before any
    decoding.

    | index | meaning | unit | min | max |
    | --- | --- | --- | --- | --- |
    | j | added, times kappa = `delta_scale`, to dimension j of the latent | kappa | -1 | 1 |

    ## Observation space

    `Box(-inf, inf, (D,), float32)`; with `steps_per_episode` above 1, a Box of D + 1 numbers. The latent has no bounds,
    because a Gaussian has none.

    | index | meaning | unit | min | max |
    | --- | --- | --- | --- | --- |
    | j | dimension j of the latent, corrected so far | 1 | -inf | inf |
    | D, only with several steps per episode | steps left / `steps_per_episode`: 1 at the start, 0 after the last step | 1 | 0 | 1 |

    ## Reward

    lambda * (`judge`'s score of the picture after the correction - its score before), where lambda is `reward_scale`.
    The rewards of an episode add up to lambda * (the last score - the first).

    | `judge` | score | range of the reward |
    | --- | --- | --- |
    | None | `LogitScore()`: the packaged judge "parser" gives s in [0, 1]; the score is ln(s / (1 - s)), but at least -12 and at most 12. s itself hardly changes near 0, where most latents start | 24 lambda on either side of 0 |
    | `hand_env.anatomy.default_judge().score` | s itself | lambda on either side of 0 |
    | `LogitScore(function)` | the same log-odds for a function of your own, whose scores lie in [0, 1] | 24 lambda on either side of 0 |
    | a function of your own | what it returns | depends on the function |

    ## Starting state

    One draw of the sampler: `sampler.sample(1, seed)`, with a seed from `np_random`. To continue a saved episode, call
    `reset(options={"state": state})`, where `state` is what `env.unwrapped.state_dict()` returned.

    ## Episode end

    | flag | when | then |
    | --- | --- | --- |
    | terminated | `steps_per_episode` corrections are made; their number is part of the task, not a limit outside it, so an agent must not bootstrap | the observation is the corrected latent |
    | truncated | never | |

    ## Info

    | key | unit | meaning |
    | --- | --- | --- |
    | `score_before` | the judge's | score of the picture before this step's correction |
    | `score_after` | the judge's | score of the picture as corrected so far |

    After a reset, nothing is corrected yet: both are the score of the first picture.

    ## Arguments

    | name | default | meaning |
    | --- | --- | --- |
    | `vae` | None | a trained `vae.VAE`, or a function from a seed to one, called once, with 0. None: an untrained placeholder, 32 pixels, D = 16, to try the environment. It draws no hands; with the packaged judge, nearly all rewards are 0 |
    | `sampler` | None | anything with `sample(n, seed)` -> (n, D) latents, such as `vae.Mixture`; None: `vae.StandardNormal(D)`. The environment asks for one latent at a time; wrap a slow sampler in a `vae.Pool`. If it also has `scores(latents)`, the environment does not judge what it knows: `hand_env.refine_env.KnowsScores` |
    | `judge` | None | as above; a function from (batch, 3, S, S) float32 pictures in [0, 1], a tensor on `device`, to (batch,) finite scores, higher is better. It gets at most 64 pictures at a time on the CPU, 1,024 on a GPU |
    | `delta_scale` | 1.0 | kappa, above 0 and within float32: 1.2e-38 to 3.4e38 |
    | `reward_scale` | 1.0 | lambda, likewise; a reward that float32 cannot hold raises a `ValueError` |
    | `steps_per_episode` | 1 | at least 1 |
    | `device` | "cpu" | "cpu", "cuda", "cuda:N" or "auto"; only the CPU repeats an episode bit for bit, with the same number of threads |
    | `render_mode` | None | None or "rgb_array": the picture of the latent as drawn (top) and as corrected so far (bottom) |

    ## Sources

    Mutzig 2024, "Generating Hands with Reinforcement Learning", for an agent that acts on a VAE's latents; the frozen
    VAE and the judge are this project's.

    ## Version history

    - v0: first version.
    """  # noqa: E501 - a table's row is one line

    metadata = {  # noqa: RUF012 - Gymnasium declares it so
        "render_modes": ["rgb_array"],
        "render_fps": 4,
    }

    @usual_modes()
    def __init__(
        self,
        vae: VAE | Callable[[int], VAE] | None = None,
        *,
        sampler: Sampler | None = None,
        judge: ScoreFn | None = None,
        delta_scale: float = 1.0,
        reward_scale: float = 1.0,
        steps_per_episode: int = 1,
        device: str = "cpu",
        render_mode: str | None = None,
    ) -> None:
        """Check the arguments and build the spaces; the class docstring explains each argument.

        Raises:
            TypeError: If an argument has a wrong type.
            ValueError: If an argument is out of its range.
        """
        check_scale(delta_scale=delta_scale, reward_scale=reward_scale)
        check_render_mode(render_mode)
        check_judge(judge)
        self.steps_per_episode = integer("steps_per_episode", steps_per_episode, 1, MOST)
        self.device = resolve_device(device)
        self.vae = _frozen(build_vae(PLACEHOLDER, seed=0) if vae is None else vae).to(self.device)
        self.latent_dim = self.vae.latent_dim
        self.sampler = StandardNormal(self.latent_dim) if sampler is None else sampler
        if not callable(getattr(self.sampler, "sample", None)):
            raise TypeError(f"sampler must have a method sample(n, seed), got {type(sampler).__name__}.")
        self.draw(np.random.default_rng(0))  # raises for latents of another length
        self.judge: ScoreFn = LogitScore() if judge is None else judge
        self.delta_scale, self.reward_scale, self.render_mode = float(delta_scale), float(reward_scale), render_mode
        low, high = (np.full(self.latent_dim, bound, np.float32) for bound in (-np.inf, np.inf))
        if self.steps_per_episode > 1:
            low, high = np.append(low, np.float32(0)), np.append(high, np.float32(1))
        self.observation_space = spaces.Box(low, high, dtype=np.float32)
        self.action_space = spaces.Box(-1.0, 1.0, (self.latent_dim,), np.float32)
        self._first: Array | None = None  # the latent as drawn
        self._latent: Array | None = None  # as corrected so far
        self._score, self._left = 0.0, 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Array, dict[str, Any]]:
        """Start an episode with a new latent, or continue a saved one.

        Args:
            seed: >= 0; the same seed and actions give the same episode, bit for bit on the CPU.
            options: {"state": what `state_dict` returned} continues that episode.

        Returns:
            The first observation, (D,) or (D + 1,) float32, and info.

        Raises:
            TypeError: If the seed is no integer, or the options or their state are no dict.
            ValueError: If the seed is below 0, or the state is not of an environment with the same arguments; the
                running episode stays as it is.
        """
        state, seed = state_in(options), None if seed is None else integer("seed", seed, 0)
        if state is None:
            super().reset(seed=seed)
            latent = self.draw(self.np_random)
            self._score, self._left = float(self.first_scores(latent[None])[0]), self.steps_per_episode
            self._first = self._latent = latent
        else:
            with reading_state():
                shape = (self.latent_dim,)
                first, latent = (check_finite(name, state[name], shape) for name in ("first", "latent"))
                score = float(check_finite("score", state["score"], (), np.float64))
                left = integer("left", state["left"], 0, self.steps_per_episode)
                random = generator_in_state(self.np_random, state["np_random"])
            super().reset(seed=seed)
            self.np_random = random
            self._first, self._latent, self._score, self._left = first, latent, score, left
        return self._observe(), {"score_before": self._score, "score_after": self._score}

    def step(self, action: Array) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        """Correct the latent, decode and judge it.

        Args:
            action: (D,) float32 in [-1, 1].

        Returns:
            Observation, reward, terminated, truncated, info; see the class.

        Raises:
            gymnasium.error.ResetNeeded: Before the first reset, and after the end of an episode.
            TypeError: If the action does not consist of numbers.
            ValueError: If the action has another shape, or a value that is not finite or not in [-1, 1]; or if float32
                cannot hold the corrected latent or the reward.
        """
        latent = self._running()
        if self._left == 0:
            raise gym.error.ResetNeeded("The episode has ended: call env.reset() to begin another.")
        corrected = correct(latent, check_action(action, (self.latent_dim,)), self.delta_scale)
        before, after = self._score, float(self.score(corrected[None])[0])
        reward = float(self.pay(after - before))
        self._latent, self._score, self._left = corrected, after, self._left - 1
        return self._observe(), reward, self._left == 0, False, {"score_before": before, "score_after": after}

    def render(self) -> NDArray[np.uint8] | None:
        """Return the latent's picture as drawn (top) and corrected (bottom), (height, width, 3) uint8, or None."""
        if self.render_mode is None:
            return None
        latent = self._running()
        assert self._first is not None, "set with the latent"
        return self.picture(self._first, latent)

    def close(self) -> None:
        """Release the episode; `reset` opens the environment again."""
        self._first = self._latent = None

    def state_dict(self) -> dict[str, Any]:
        """Copy the running episode into arrays and numbers, to continue it with `reset`."""
        latent, first = self._running().copy(), np.array(self._first)
        random = self.np_random.bit_generator.state  # later episodes' latents come from it
        return {"first": first, "latent": latent, "score": self._score, "left": self._left, "np_random": random}

    @usual_modes()
    def draw(self, random: np.random.Generator) -> Array:
        """Draw a latent, (D,) float32, with a seed from a generator.

        Raises:
            ValueError: If the sampler does not give one finite latent of D numbers.
        """
        latents = torch.as_tensor(self.sampler.sample(1, int(random.integers(2**31)))).detach().float()
        if latents.shape != (1, self.latent_dim) or not latents.isfinite().all():
            raise ValueError(
                f"sampler.sample(1, seed) must give finite latents of shape (1, {self.latent_dim}), the VAE's, got "
                f"{tuple(latents.shape)}: {latents!r}."
            )
        latent: Array = latents[0].cpu().numpy().copy()
        return latent

    @usual_modes()
    def score(self, latents: Array) -> Scores:
        """Decode (n, D) float32 latents together and judge the pictures: (n,) float64, higher is better."""
        return score_latents(self.vae, self.judge, latents)

    def first_scores(self, latents: Array) -> Scores:
        """Score (n, D) float32 latents that the sampler has drawn, (n,) float64; what it knows is not judged."""
        if not (isinstance(self.sampler, KnowsScores) and callable(self.sampler.scores)):
            return self.score(latents)
        scores = np.array(self.sampler.scores(latents), np.float64)
        if scores.shape != (len(latents),) or np.isinf(scores).any():
            raise ValueError(
                f"sampler.scores(latents) must give {len(latents)} finite numbers, or NaN where it knows none, got "
                f"{scores!r}."
            )
        unknown = np.isnan(scores)
        if unknown.any():
            scores[unknown] = self.score(latents[unknown])
        return scores

    def pay(self, change: Scores | float) -> Scores:
        """Return lambda times a change of scores, float64.

        Raises:
            ValueError: If float32, in which agents store rewards, cannot hold the result.
        """
        reward: Scores = np.asarray(self.reward_scale * change)
        if not fits_float32(reward):
            raise ValueError(
                f"reward_scale times the score's change must be finite in float32, got {self.reward_scale!r} times "
                f"{change!r}. Lower reward_scale."
            )
        return reward

    @usual_modes()
    def picture(self, before: Array, after: Array) -> NDArray[np.uint8]:
        """Draw the picture of one (D,) latent above that of another, (height, width, 3) uint8."""
        return image_grid(to_uint8(decode(self.vae, np.stack([before, after]))), columns=1)

    def _running(self) -> Array:
        if self._latent is None:
            raise gym.error.ResetNeeded("Call env.reset() first: it draws a latent.")
        return self._latent

    def _observe(self) -> Array:
        observation: Array = observe(self._running()[None], np.array([self._left]), self.steps_per_episode)[0]
        return observation


def _frozen(vae: VAE | Callable[[int], VAE]) -> VAE:
    check_vae(vae)
    vae = copy.deepcopy(vae if isinstance(vae, VAE) else built(vae(0))).cpu().eval().requires_grad_(False)
    check_contract(vae)
    return vae
