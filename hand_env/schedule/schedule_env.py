"""HandSchedule-v0: choose how far, in what way and when the latents are shifted while a VAE learns."""

import copy
import math
from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from hand_env.checks import check_action, check_finite, check_scale, fits_float32, reading_state, state_in
from hand_env.latent_env import HandLatentEnv
from hand_env.rendering import image_grid
from hand_env.schedule.deltas import MAX_REACH, Deltas
from hand_env.schedule.features import FEATURES, Array, Latents, loss_without_shift, observe, per_value
from hand_env.schedule.train_epochs import Paid, terms_of, train
from vae.checks import integer
from vae.side_by_side import SideBySide
from vae.torch_modes import usual_modes

N_RENDERED = 16
NO_DELTAS = np.full(3, -1.0, np.float32)
MINIBATCH = 16  # B, if neither name has a value
OURS = ("delta_scale", "drawn_every", "flat", "tensors")  # of HandLatentEnv's arguments, decided here

Step = tuple[Array, float, bool, bool, dict[str, Any]]


class HandScheduleEnv(gym.Env[Array, Array]):
    """Choose how far, in what way and when the latents of a VAE are shifted while it learns to draw hands.

    ## Description

    This is HandLatent-v0 with an action of three numbers in place of a delta for each latent. A step is a stretch of
    `epochs_per_step` epochs of the VAE's training. The action says how the deltas of that stretch are made. Each
    minibatch gets new ones, made from its own latents. The reward is the rise, over the stretch, in the score of
    the hands that the VAE draws. The agent knows the share of the training that is done, so it can act much at first
    and little at the end.
    `gym.make_vec("hand_env:HandSchedule-v0", num_envs=K)` trains K VAEs side by side; see `HandScheduleVectorEnv`.

    ## Action space

    `Box(-1, 1, (3,), float32)`. A number a means the share ((a + 1) / 2)^2 of the largest value. All three at -1 give
    the same training as without an agent, bit for bit. NaN, infinity, another shape or a value out of bounds raises a
    `ValueError` before any training.

    | index | meaning | unit | min | max |
    | --- | --- | --- | --- | --- |
    | 0 | reach: uniform deltas lie in [-reach, reach], from 0 to `max_reach` | share, as above | -1 | 1 |
    | 1 | mix: share of the way, from 0 to 0.35, that each latent moves towards the latent of another row | share, as above | -1 | 1 |
    | 2 | pull: share of the way, from 0 to 0.25, that each latent moves towards the origin | share, as above | -1 | 1 |

    With mu the posterior means of a minibatch, the shift is -pull * mu + mix * (mu in another order - mu) + reach * u.
    Here u is uniform in [-1, 1), new in each element. The random numbers of a training step depend only on the
    episode's seed and on the step. `hand_env.schedule` makes the same deltas for a schedule that is fixed.

    ## Observation space

    `Box(-inf, inf, (14,), float32)`. It has no bounds, because losses have none. Each entry is scaled to about 1.

    | index | meaning | unit | min | max |
    | --- | --- | --- | --- | --- |
    | 0 | share of the training that is done | 1 | 0 | 1 |
    | 1 | log10 of N, the number of training pictures, / 4 | 1 | 0 | inf |
    | 2 | log10 of the training's steps / 4 | 1 | 0 | inf |
    | 3 | B / N, the minibatch's share of the training pictures | 1 | 0 | 1 |
    | 4 | loss per pixel value, with the shift: mean over the stretch's last epoch | nats | -inf | inf |
    | 5 | its change since the stretch before | nats | -inf | inf |
    | 6 | log10 of the variance of the pixels around a decoded picture, / 4 | 1 | -1.5 | inf |
    | 7 | KL per dimension of the latents, without a shift | nats | 0 | inf |
    | 8 | spread of the latents: standard deviation of the posterior means over pictures, mean over dimensions | 1 | 0 | inf |
    | 9 | mean standard deviation of the posteriors | 1 | 0 | inf |
    | 10 | W; 0 if the reward does not measure it | the judge's | 0 | 1 |
    | 11, 12, 13 | the last action; -1 before the first | as the action | -1 | 1 |

    Entries 7 to 10 are measured at the stretch's end, with the averaged weights, on up to 1,024 training pictures
    without augmentation. After a reset, entry 4 is measured on the same pictures without a shift, and entry 5 is 0.

    ## Reward

    Lambda is `reward_scale`. The reward of a step is the sum of the rewards that HandLatent-v0 pays for the steps of
    the stretch. So each of its rewards works here, and all of them add up in the same way.

    | `reward` | what is paid | range |
    | --- | --- | --- |
    | "drawn_change" | -lambda * (W_t - W_(t-1)), where W_t is 1 - the mean score of `n_drawn` hands that the VAE draws after stretch t. Their noise never changes within the episode. W_0 is measured at reset. Summed over an episode: -lambda * (W_T - W_0) | -lambda to lambda if the judge's scores lie in [0, 1] |
    | others | as in HandLatent-v0, summed over the stretch | unbounded |

    With the default lambda, "drawn_change" counts percent of the score.

    ## Starting state

    New weights (or those of `vae`), optimiser and data order, all from the seed. To continue a saved episode, call
    `reset(options={"state": state})`, where `state` is what `env.unwrapped.state_dict()` returned.

    ## Episode end

    | flag | when | then |
    | --- | --- | --- |
    | terminated | the VAE diverged: a loss of the stretch's last epoch, W or a latent is not finite, or float32 cannot hold the reward | the reward is `DIVERGENCE_REWARD`, -100, which at the default lambda is that of the worst change of W; the observation is zeros |
    | truncated | `epochs_per_episode` epochs are over; the last stretch is shorter if `epochs_per_step` does not divide them | the observation is as after any step; nothing follows it, so an agent must not bootstrap |

    Many algorithms bootstrap where an episode is truncated. Stable-Baselines3's off-policy algorithms need
    `replay_buffer_kwargs={"handle_timeout_termination": False}`. PPO and A2C have no such switch: they need the wrapper
    of `docs/libraries.md`, which reports the end as terminated.

    ## Info

    `reset` and each `step` give the same keys. Losses and changes describe a step's training. After a reset no step has
    been taken, and after divergence there is nothing finite to report: then they are 0.

    | key | unit | meaning |
    | --- | --- | --- |
    | `epoch` | epochs | epochs that are done |
    | `loss_nats`, `reconstruction_nats`, `kl_nats` | nats per image | means over the stretch's last epoch, with the shift |
    | `drawn_change` | the judge's | W_t - W_(t-1); only with the reward "drawn_change" |
    | `drawn_wrong` | the judge's | W_t, after reset W_0; 1 if the VAE diverged and W cannot be measured; only with the reward "drawn_change" |
    | `reach` | 1 | what the action meant; 0 after reset |
    | `mix`, `pull` | share | what the action meant; 0 after reset |
    | `loss_change_nats`, `counterfactual_nats`, `validation_change_nats`, `anatomy_change` | as in HandLatent-v0 | sums over the stretch; not with the reward "drawn_change", unless there are `validation_images` |

    ## Arguments

    | name | default | meaning |
    | --- | --- | --- |
    | `images` | None | (N, 3, S, S) uint8 tensor or array, the training pictures; None: `n_images` synthetic hands |
    | `batch_size` | None | B, at most N; None: 16 |
    | `minibatch_size` | None | another name for `batch_size`, for libraries that take that one themselves, such as TorchRL |
    | `epochs_per_episode` | 100 | at least 1 |
    | `epochs_per_step` | 5 | epochs of a stretch, at least 1 |
    | `max_reach` | 8.0 | the reach of the action 1, above 0 and within float32: 1.2e-38 to 3.4e38 |
    | `reward` | "drawn_change" | a name of a reward of HandLatent-v0, or a function |
    | `reward_scale` | 100.0 | lambda, likewise |
    | `render_mode` | None | None or "rgb_array": a grid of 16 pictures that the VAE, as it is now, decodes from standard normal latents |
    | others | | those of `HandLatentEnv`, except `delta_scale`, `drawn_every`, `flat` and `tensors` |

    ## Sources

    Mutzig 2024, "Generating Hands with Reinforcement Learning". Mixing rows: Zhang et al. 2018, "mixup: Beyond Empirical
    Risk Minimization", here on latents.

    ## Version history

    - v0: first version.
    """  # noqa: E501 - a table's row is one line

    metadata = {  # noqa: RUF012 - Gymnasium declares it so
        "render_modes": ["rgb_array"],
        "render_fps": 4,
    }
    DIVERGENCE_REWARD = -100.0

    def __init__(
        self,
        images: Any = None,
        *,
        batch_size: int | None = None,
        minibatch_size: int | None = None,
        epochs_per_episode: int = 100,
        epochs_per_step: int = 5,
        max_reach: float = MAX_REACH,
        reward: Any = "drawn_change",
        reward_scale: float = 100.0,
        render_mode: str | None = None,
        **others: Any,
    ) -> None:
        """Check the arguments and build the spaces; the class docstring explains each argument.

        Raises:
            TypeError: If an argument is unknown.
            ValueError: If an argument is out of its range.
        """
        epochs_per_step = integer("epochs_per_step", epochs_per_step, 1)
        check_scale(max_reach=max_reach)
        if batch_size is None and minibatch_size is None:
            batch_size = MINIBATCH
        for name in OURS:
            if name in others:
                raise TypeError(f"{name} is no argument of HandSchedule-v0, which decides it. Leave it out.")
        self.env = HandLatentEnv(
            images,
            batch_size=batch_size,
            minibatch_size=minibatch_size,
            epochs_per_episode=epochs_per_episode,
            drawn_every=epochs_per_step,
            reward=reward,
            reward_scale=reward_scale,
            render_mode=render_mode,
            **others,
        )
        self.epochs_per_step, self.max_reach = epochs_per_step, float(max_reach)
        self.reward_scale, self.render_mode = self.env.reward_scale, render_mode
        self.observation_space = spaces.Box(-np.inf, np.inf, (len(FEATURES),), np.float32)
        self.action_space = spaces.Box(-1.0, 1.0, NO_DELTAS.shape, np.float32)
        self._observation, self._loss, self._ended = np.zeros(len(FEATURES), np.float32), 0.0, False

    @property
    def np_random(self) -> np.random.Generator:
        """The generator of the episodes' seeds, that of the environment inside."""
        return self.env.np_random

    @np_random.setter
    def np_random(self, value: np.random.Generator) -> None:
        self.env.np_random = value

    @property
    def np_random_seed(self) -> int:
        """The seed of `np_random`, -1 if unknown."""
        return self.env.np_random_seed

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Array, dict[str, Any]]:
        """Start a new episode, or continue a saved one.

        Args:
            seed: >= 0; the same seed and actions give the same episode, bit for bit on the CPU.
            options: {"state": what `state_dict` returned} continues that episode.

        Returns:
            The first observation, (14,) float32, and info.

        Raises:
            TypeError: If the seed is no integer, or the options or their state are no dict.
            ValueError: If the seed is below 0, or the state is not of an environment with the same arguments.
        """
        state = state_in(options)
        self.start(seed, state)
        return self.observe_first(state)

    def check_state(self, state: Mapping[str, Any]) -> None:
        """Refuse a state that `start` would refuse; the running episode stays as it is."""
        with reading_state():
            self._read(state)
        copy.copy(self.env).start(None, state["training"])

    def start(self, seed: int | None, state: Mapping[str, Any] | None, *, first_drawn: bool = True) -> None:
        """Do the first half of `reset`: build the VAE; see `HandLatentEnv.start`."""
        if state is not None:
            with reading_state():
                self._read(state)
        self.env.start(seed, None if state is None else state["training"], first_drawn=first_drawn)
        self._np_random = self.env.np_random  # Gymnasium's checker looks here

    @usual_modes()
    def observe_first(self, state: Mapping[str, Any] | None) -> tuple[Array, dict[str, Any]]:
        """Do the second half of `reset`, after W_0 is known, and return what it returns."""
        if state is None:
            self._ended, self._loss = False, loss_without_shift(self.env.trainer)
            self._observation = self._observe(self._loss, 0.0, NO_DELTAS)
        else:
            self._ended, self._loss, self._observation = self._read(state)
        return self._observation.copy(), self._info(dict.fromkeys(terms_of(self.env), 0.0), NO_DELTAS)

    @usual_modes()
    def step(self, action: Array) -> Step:
        """Train the VAE for a stretch of epochs, with deltas made as the action says.

        Args:
            action: (3,) float32 in [-1, 1].

        Returns:
            Observation, reward, terminated, truncated, info; see the class.

        Raises:
            gymnasium.error.ResetNeeded: Before the first reset, and after the end of an episode.
            TypeError: If the action does not consist of numbers.
            ValueError: If the action has another shape, or a value that is not finite or not in [-1, 1].
        """
        action = check_action(action, NO_DELTAS.shape)
        choice = self.decode(action)
        alone = SideBySide([self.env.trainer], stacked=False)
        (paid,) = train([self.env], alone, [choice], self.steps_to_do)
        return self.conclude(action, choice, paid)

    def decode(self, action: Array) -> Deltas:
        """Return what a checked action means.

        Raises:
            gymnasium.error.ResetNeeded: Before the first reset, and after the end of an episode.
        """
        if self._ended or self.env.has_ended:  # the latter alone if a judge raised after the last step
            raise gym.error.ResetNeeded("The episode has ended: call env.reset() to begin another.")
        return Deltas.from_action(action, self.max_reach)

    @property
    def steps_to_do(self) -> int:
        """Training steps of the next stretch; fewer than usual after one that was interrupted."""
        trainer = self.env.trainer
        end = min(trainer.epoch + self.epochs_per_step, trainer.config.epochs)
        return end * trainer.steps_per_epoch - trainer.steps_done

    def conclude(self, action: Array, choice: Deltas, paid: Paid) -> Step:
        """Observe and pay after a stretch of training, and return what `step` returns.

        Args:
            action: The stretch's action, (3,) float32.
            choice: What it meant.
            paid: What the stretch gave.
        """
        trainer, before = self.env.trainer, self._loss
        self._loss = per_value(trainer, paid.terms["loss_nats"])
        self._observation = self._observe(self._loss, self._loss - before, action)
        reward = self.reward_scale * paid.reward + 0.0  # + 0.0 turns -0.0 into 0.0
        finite = np.isfinite(self._observation).all() and np.isfinite([*paid.terms.values()]).all()
        if not (finite and fits_float32(reward)):
            self._ended, self._loss, self._observation = True, 0.0, np.zeros_like(self._observation)
            self.env.has_diverged = True
            info = self._info(dict.fromkeys(paid.terms, 0.0), action)
            return self._observation.copy(), self.DIVERGENCE_REWARD, True, False, info
        self._ended = truncated = trainer.epoch >= trainer.config.epochs
        return self._observation.copy(), reward, False, truncated, self._info(paid.terms, action)

    def render(self) -> NDArray[np.uint8] | None:
        """Return a grid of pictures decoded now, (height, width, 3) uint8, or None without a render mode."""
        return None if self.render_mode is None else image_grid(self.env.draw(N_RENDERED))

    def close(self) -> None:
        """Release the VAE and its training state."""
        self.env.close()
        self._ended = False

    def state_dict(self) -> dict[str, Any]:
        """Copy the running episode into nested dicts of tensors and numbers, to continue it with `reset`."""
        state = {"observation": self._observation.copy(), "loss": self._loss, "ended": self._ended}
        return {"training": self.env.state_dict(), **copy.deepcopy(state)}

    def _read(self, state: Mapping[str, Any]) -> tuple[bool, float, Array]:
        """Return what a state holds beside the training: whether the episode has ended, the loss, the observation."""
        if not isinstance(state["training"], Mapping):
            raise TypeError(f"its training is no dict but {type(state['training']).__name__}")
        if not isinstance(state["ended"], bool):
            raise TypeError(f"its 'ended' is no bool but {state['ended']!r:.80}")
        loss = float(check_finite("loss", state["loss"], (), np.float64))
        return state["ended"], loss, check_finite("observation", state["observation"], self._observation.shape)

    def _info(self, terms: Mapping[str, float], action: Array) -> dict[str, Any]:
        choice, wrong = Deltas.from_action(action, self.max_reach), self.env.scorer.last_drawn
        info = {**terms, "reach": choice.reach, "mix": choice.mix, "pull": choice.pull, "epoch": self.env.trainer.epoch}
        if self.env.drawn_score is not None:
            info["drawn_wrong"] = wrong if wrong is not None and math.isfinite(wrong) else 1.0  # the VAE has diverged
        return info

    def _observe(self, loss: float, change: float, action: Array) -> Array:
        drawn, wrong = self.env.drawn_score, self.env.scorer.last_drawn
        latents = Latents.measure(self.env.trainer, None if drawn is None else drawn.posteriors)
        return observe(self.env.trainer, loss, change, latents, wrong or 0.0, action)
