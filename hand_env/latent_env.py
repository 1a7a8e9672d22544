"""HandLatent-v0: the training of a variational autoencoder as an environment."""

import copy
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, get_args

import gymnasium as gym
import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from torch import Tensor

from hand_env.checks import (
    MOST,
    built,
    check_judge,
    check_render_mode,
    check_scale,
    check_size,
    check_trainable,
    check_vae,
    copied,
    fits_float32,
    further_training,
    generator_in_state,
    minibatch,
    reading_state,
    state_in,
)
from hand_env.drawn_score import DrawnFrom, DrawnScore
from hand_env.exchange import all_finite, observing, shift_of
from hand_env.rendering import image_grid
from hand_env.rewards import Reward, check_given, resolve_reward
from hand_env.scoring import ScoreFn, Scorer
from vae.checks import check_bool, check_images, check_one_of, integer
from vae.device import resolve_device
from vae.images.image_set import to_uint8
from vae.images.synthetic import generate_hands
from vae.model import VAE, VAEConfig, Width, build_vae, check_contract
from vae.sampling.sampler import StandardNormal
from vae.torch_modes import usual_modes
from vae.training import Trainer
from vae.training_config import TrainingConfig

Array = NDArray[np.float32]
Rewards = NDArray[np.float64]
N_RENDERED = 16


class HandLatentEnv(gym.Env[Array, Array]):
    """Steer the latents of a VAE while it learns to draw hands.

    ## Description

    The environment trains a variational autoencoder on pictures of hands. The observation holds the posterior means of
    the next minibatch. The agent shifts these means, and the step trains the VAE on them: sampling, KL and decoding all
    use the shifted means. All steps train the same VAE. `gym.make_vec("hand_env:HandLatent-v0", num_envs=B)` makes each latent
    of the batch a row of its own; see `HandLatentVectorEnv`.

    ## Action space

    `Box(-1, 1, (B, D), float32)`: delta. Zeros give the same training as without an agent, bit for bit. NaN, infinity,
    another shape or a value out of bounds raises a `ValueError`, and anything but real numbers a `TypeError`, before any
    training. With `flat=True` it has the shape (B * D,), and so has the observation: (i, j) is the index i * D + j.

    | index | meaning | unit | min | max |
    | --- | --- | --- | --- | --- |
    | i, j | added, times kappa = `delta_scale`, to dimension j of the latent of picture i | kappa | -1 | 1 |

    ## Observation space

    `Box(-inf, inf, (B, D), float32)`. It has no bounds, because a posterior mean has none.

    | index | meaning | unit | min | max |
    | --- | --- | --- | --- | --- |
    | i, j | dimension j of the posterior mean of picture i of the minibatch, before the shift | 1 | -inf | inf |

    ## Reward

    Lambda is `reward_scale`, l_i is the loss of picture i in nats (reconstruction + KL), and the mean is over the
    minibatch. The reward is unbounded. A function of your own takes a `hand_env.rewards.Visit` and returns one number
    per row, higher is better; the reward is lambda * their mean. With an attribute `needs_without_shift = True`, the
    function also gets the losses without the shift.

    | `reward` | what is paid | when |
    | --- | --- | --- |
    | "loss_change" | -lambda * B / N * mean(l_i now - l_i at its last visit); summed over an epoch, the paper's R_t = -lambda * (L_t - L_(t-1)) | each step; 0 in the first epoch. If the episode has only one epoch, L_0 is measured at reset, without augmentation |
    | "validation_loss_change" | -lambda * (V_t - V_(t-1)), where V_t is the mean loss of `validation_images` without an action | at the end of an epoch, else 0; the first epoch's end pays 0, too. If the episode has only one epoch, V_0 is measured at reset |
    | "counterfactual" | -lambda * mean(l_i - l_i without the shift), with the same weights and noise: the effect of the action alone; 0 for zeros, up to rounding | each step |
    | "anatomy" | lambda * mean(`judge`'s score of the decoded picture - its score without the shift) | each step |
    | "drawn_change" | -lambda * (W_t - W_(t-1)), where W_t is 1 - the mean score of `n_drawn` hands that the VAE draws after epoch t, and W_(t-1) is the one before. Their noise never changes within the episode. W_0 is measured at reset. Summed over an episode: -lambda * (W_T - W_0) | at the end of every `drawn_every`th epoch and of the last one, else 0 |

    ## Starting state

    New weights (or those of `vae`), optimiser and data order, all from the seed. To continue a saved episode, call
    `reset(options={"state": state})`, where `state` is what `env.unwrapped.state_dict()` returned.

    ## Episode end

    | flag | when | then |
    | --- | --- | --- |
    | terminated | the VAE diverged: a loss, or the next observation, is not finite, or float32 cannot hold the reward | the reward is `DIVERGENCE_REWARD`, -100, and the observation is zeros |
    | truncated | `epochs_per_episode` epochs of ceil(N / B) steps each are over; the last minibatch of an epoch is filled with the epoch's first pictures | the observation is the next minibatch, as after any step |

    ## Info

    `reset` and each `step` give the same keys. All but `epoch` describe a step's training. After a reset no step has been
    taken, and after divergence there is nothing finite to report: then they are 0.

    | key | unit | meaning |
    | --- | --- | --- |
    | `loss_nats`, `reconstruction_nats`, `kl_nats` | nats per image | means over the minibatch |
    | `loss_change_nats` | nats per image | B / N * mean(l_i now - l_i at its last visit) |
    | `counterfactual_nats` | nats per image | mean(l_i - l_i without the shift); only if the reward or a judge needs it |
    | `validation_change_nats` | nats per image | V_t - V_(t-1) at the end of an epoch, else 0; only with `validation_images` |
    | `anatomy_change` | the judge's | mean change of its score; only with a `judge`, and with "drawn_change" not at all |
    | `drawn_change` | the judge's | W_t - W_(t-1) when W_t is measured, else 0; only with the reward "drawn_change" |
    | `epoch` | epochs | the current epoch, from 1 |

    ## Arguments

    | name | default | meaning |
    | --- | --- | --- |
    | `images` | None | (N, 3, S, S) uint8 tensor or array, the training pictures, which are copied; None: `n_images` synthetic hands |
    | `n_images` | 64 | N, the number of synthetic hands; ignored if `images` is given |
    | `size` | 32 | S, the size of synthetic hands: 32, 64, 128 or 256 pixels; ignored if `images` is given |
    | `latent_dim` | 300 | D, 300 as in the paper; ignored if `vae` is given |
    | `width` | "small" | width of the VAE's networks, "small" or "large"; ignored if `vae` is given |
    | `batch_size` | None | B, at most N; None: 4, because a flat network over B x D latents grows with B |
    | `minibatch_size` | None | another name for `batch_size`, for libraries that take that one themselves, such as TorchRL |
    | `flat` | False | whether actions and observations have the shape (B * D,), for algorithms that take no other; nothing else changes |
    | `tensors` | False | whether observations are tensors on `device`; `gym.make` then needs `disable_env_checker=True`, as Gymnasium's checker takes arrays alone. An action on that device stays there in any case |
    | `epochs_per_episode` | 10 | at least 1 |
    | `delta_scale` | 0.1 | kappa, above 0 and within float32: 1.2e-38 to 3.4e38 |
    | `reward` | "loss_change" | a name in the table above, or a function |
    | `reward_scale` | 0.01 | lambda, likewise |
    | `validation_images` | None | (image, 3, S, S) uint8, pictures not trained on; "validation_loss_change" needs them |
    | `judge` | None | a function from (batch, 3, S, S) float32 pictures in [0, 1], a tensor on `device`, to (batch,) scores, higher is better. "anatomy" needs one. With "drawn_change", scores lie in [0, 1], and None is the packaged rewarding judge |
    | `n_drawn` | 64 | K, the hands that "drawn_change" draws and judges, at least 1 |
    | `drawn_every` | 1 | epochs from one measurement of W to the next, at least 1 |
    | `drawn_from` | "gaussian" | where the latents of those K hands come from. "gaussian": one Gaussian fitted to the latents of up to 1,024 training pictures. "mixture": one for each group of similar pictures (`vae.sampling.LocalGaussians`) |
    | `vae` | None | a `vae.VAE` of your own, trained or not; it is copied, and each reset starts from that copy. Or a function from a seed to a `vae.VAE` |
    | `training` | None | other fields of `vae.TrainingConfig`, by name; epochs and batch_size are not allowed |
    | `device` | "cpu" | "cpu", "cuda", "cuda:N" or "auto"; only the CPU repeats an episode bit for bit, with the same number of threads |
    | `render_mode` | None | None or "rgb_array": a grid of 16 pictures that the VAE, as it is now, decodes from standard normal latents |

    ## Sources

    Mutzig 2024, "Generating Hands with Reinforcement Learning"; Kingma & Welling 2014, "Auto-Encoding Variational
    Bayes".

    ## Version history

    - v0: first version.
    """  # noqa: E501 - a table's row is one line

    metadata = {  # noqa: RUF012 - Gymnasium declares it so
        "render_modes": ["rgb_array"],
        "render_fps": 4,
    }
    DIVERGENCE_REWARD = -100.0

    @usual_modes()
    def __init__(
        self,
        images: Tensor | NDArray[np.uint8] | None = None,
        *,
        n_images: int = 64,
        size: int = 32,
        latent_dim: int = 300,
        width: Width = "small",
        batch_size: int | None = None,
        minibatch_size: int | None = None,
        flat: bool = False,
        tensors: bool = False,
        epochs_per_episode: int = 10,
        delta_scale: float = 0.1,
        reward: str | Reward = "loss_change",
        reward_scale: float = 0.01,
        validation_images: Tensor | NDArray[np.uint8] | None = None,
        judge: ScoreFn | None = None,
        n_drawn: int = 64,
        drawn_every: int = 1,
        drawn_from: DrawnFrom = "gaussian",
        vae: VAE | Callable[[int], VAE] | None = None,
        training: Mapping[str, Any] | None = None,
        device: str = "cpu",
        render_mode: str | None = None,
    ) -> None:
        """Check the arguments and build the spaces; the class docstring explains each argument.

        Raises:
            TypeError: If an argument has a wrong type.
            ValueError: If an argument is out of its range.
        """
        check_scale(delta_scale=delta_scale, reward_scale=reward_scale)
        check_judge(judge)
        self.n_drawn, self.drawn_every = integer("n_drawn", n_drawn, 1, MOST), integer("drawn_every", drawn_every, 1)
        check_one_of("drawn_from", drawn_from, get_args(DrawnFrom))
        check_render_mode(render_mode)
        check_bool(flat=flat, tensors=tensors)
        self.device = resolve_device(device)
        n_images = integer("n_images", n_images, 1)
        pictures = generate_hands(n_images, size, seed=0).images if images is None else copied("images", images)
        self.images = pictures.to(self.device)  # once, not in each episode
        batch_size = minibatch(batch_size, minibatch_size, len(pictures))
        epochs = integer("epochs_per_episode", epochs_per_episode, 1)
        self.training = TrainingConfig(epochs, batch_size, **further_training(training))
        if vae is not None:
            check_vae(vae)
        vae = copy.deepcopy(vae) if isinstance(vae, VAE) else vae  # the caller may train it further
        self._make_vae = partial(build_vae, VAEConfig(self.images.shape[-1], latent_dim, width)) if vae is None else vae
        first = self.build_vae(seed=0)
        check_contract(first.train(self.training.learning_rate > 0))  # as it is trained, whatever mode it came in
        check_trainable(first, self.training)
        self.latent_dim = first.latent_dim
        check_size(first.size, size if images is None else None)
        check_images(self.images, first.size, batch_size)
        self.reward, self.judge = resolve_reward(reward), judge
        check_given(self.reward, judge, validation_images)
        self.validation_images = None if validation_images is None else copied("validation_images", validation_images)
        if self.validation_images is not None:
            check_images(self.validation_images, first.size, 1, "validation_images")
        self.drawn_from, self.render_mode, self.tensors, self.has_diverged = drawn_from, render_mode, tensors, False
        self.delta_scale, self.reward_scale = float(delta_scale), float(reward_scale)
        self._shape = (batch_size * self.latent_dim,) if flat else (batch_size, self.latent_dim)
        self.observation_space = spaces.Box(-np.inf, np.inf, self._shape, np.float32)
        self.action_space = spaces.Box(-1.0, 1.0, self._shape, np.float32)
        self._trainer: Trainer | None = None
        self._scorer: Scorer | None = None
        self.drawn_score: DrawnScore | None = None  # the running episode's, if its reward needs drawn hands

    @property
    def trainer(self) -> Trainer:
        """The running episode's trainer, which holds the VAE; a reset makes a new one and does not change the old one.

        Raises:
            gymnasium.error.ResetNeeded: Before the first reset.
        """
        if self._trainer is None:
            raise gym.error.ResetNeeded("Call env.reset() first: it builds the VAE.")
        return self._trainer

    @property
    def has_ended(self) -> bool:
        """Whether the running episode is over."""
        return self.has_diverged or self.trainer.epoch >= self.training.epochs

    @property
    def scorer(self) -> Scorer:
        """What scores the running episode's steps.

        Raises:
            gymnasium.error.ResetNeeded: Before the first reset.
        """
        if self._scorer is None:
            raise gym.error.ResetNeeded("Call env.reset() first: it builds the VAE.")
        return self._scorer

    @usual_modes()
    def build_vae(self, seed: int) -> VAE:
        """Build the VAE that an episode with this seed starts from, on the CPU."""
        vae = self._make_vae if isinstance(self._make_vae, VAE) else built(self._make_vae(seed))
        return copy.deepcopy(vae).cpu()  # a function may return the same one each time

    @usual_modes()
    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Array, dict[str, Any]]:
        """Start a new episode, or continue a saved one.

        Args:
            seed: >= 0; the same seed and actions give the same episode, bit for bit on the CPU.
            options: {"state": what `state_dict` returned} continues that episode.

        Returns:
            The first observation, (B, D) float32, and info.

        Raises:
            TypeError: If the seed is no integer, or the options or their state are no dict.
            ValueError: If the seed is below 0, or the state is not of an environment with the same arguments; the
                running episode stays as it is.
        """
        self.start(seed, state_in(options))
        return self._observe()(), {**dict.fromkeys(self.scorer.terms, 0.0), "epoch": self.trainer.epoch + 1}

    @usual_modes()
    def start(self, seed: int | None, state: Mapping[str, Any] | None, *, first_drawn: bool = True) -> None:
        """Do what `reset` does, without encoding the first minibatch.

        Args:
            seed: >= 0, or None.
            state: What `state_dict` returned, or None.
            first_drawn: Whether to measure W_0 of a new episode; else the caller sets `scorer.last_drawn`.
        """
        seed, diverged = None if seed is None else integer("seed", seed, 0), False
        if state is None:
            super().reset(seed=seed)
            trainer = self._new_trainer(int(self.np_random.integers(2**31)))
            drawn_score, scorer = self._scoring(trainer, first_drawn)
        else:
            with reading_state():
                trainer = self._new_trainer(integer("the trainer's seed", state["trainer"]["seed"], 0))
                drawn_score, scorer = self._scoring(trainer, False)
                check_bool(diverged=(diverged := state.get("diverged", False)))
                if not diverged:  # else its numbers are not finite; the episode has ended, and a new VAE stands in
                    trainer.load_state_dict(state["trainer"])
                    scorer.load_state_dict(state["scorer"])
                random = generator_in_state(self.np_random, state["np_random"])
            super().reset(seed=seed)
            self.np_random = random
        self._trainer, self.drawn_score, self._scorer, self.has_diverged = trainer, drawn_score, scorer, diverged

    def step(self, action: Array | Tensor) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        """Shift the latents of the minibatch and train on it.

        Args:
            action: (B, D) float32 in [-1, 1], an array or a tensor.

        Returns:
            Observation, reward, terminated, truncated, info; see the class.

        Raises:
            gymnasium.error.ResetNeeded: Before the first reset, and after the end of an episode.
            TypeError: If the action does not consist of numbers.
            ValueError: If the action has another shape, or a value that is not finite or not in [-1, 1].
        """
        observation, rewards, terminated, truncated, info = self.step_rows(action)
        means = {name: float(np.mean(term)) for name, term in info.items()}
        return observation, float(rewards.mean()), terminated, truncated, {**means, "epoch": info["epoch"]}

    @usual_modes()
    def step_rows(self, action: Array | Tensor) -> tuple[Array, Rewards, bool, bool, dict[str, Any]]:
        """Take a step as `step` does, but return the reward and the info terms of each row.

        Args:
            action: (B, D) float32 in [-1, 1], an array or a tensor.

        Returns:
            Observation, (B,) float64 rewards, terminated, truncated, and info with (B,) float64 terms.

        Raises:
            gymnasium.error.ResetNeeded: As `step`.
            TypeError: As `step`.
            ValueError: As `step`.
        """
        if self.has_ended:
            raise gym.error.ResetNeeded("The episode has ended: call env.reset() to begin another.")
        shift = self._shift(action)
        epoch = self.trainer.epoch + 1
        losses = self.trainer.step(shift, measure_without=self.scorer.needs_without_shift)
        observed = self._observe()  # before the CPU waits for the scores: a GPU computes it meanwhile
        scores, terms = self.scorer.score(losses, epoch)
        observation = observed()
        rewards = self.reward_scale * scores + 0.0  # + 0.0 turns -0.0 into 0.0
        finite = all_finite(observation) and all(np.isfinite(term).all() for term in terms.values())
        if not (finite and fits_float32(rewards)):
            self.has_diverged = True
            zeros = observing(torch.zeros(self._shape, device=self.trainer.images.device), self.tensors)()
            rewards = np.full(len(scores), self.DIVERGENCE_REWARD)
            return zeros, rewards, True, False, {**{name: np.zeros(len(scores)) for name in terms}, "epoch": epoch}
        return observation, rewards, False, self.has_ended, {**terms, "epoch": epoch}

    def render(self) -> NDArray[np.uint8] | None:
        """Return a grid of pictures decoded now, (height, width, 3) uint8, or None without a render mode."""
        if self.render_mode is None:
            return None
        return image_grid(self.draw(N_RENDERED))

    @usual_modes()
    @torch.no_grad()
    def draw(self, n: int) -> Tensor:
        """Decode the same n standard normal latents each time, to (n, 3, S, S) uint8 on the CPU, black where NaN."""
        latents = StandardNormal(self.latent_dim).sample(n, seed=0)
        return to_uint8(self.trainer.averaged_vae.decode(latents.to(self.device)).nan_to_num(0.0)).cpu()

    def close(self) -> None:
        """Release the VAE and its training state."""
        self._trainer = self._scorer = self.drawn_score = None

    @usual_modes()
    def state_dict(self) -> dict[str, Any]:
        """Copy the running episode into nested dicts of tensors and numbers, to continue it with `reset`."""
        more = {"diverged": self.has_diverged, "np_random": self.np_random.bit_generator.state}
        return {"trainer": self.trainer.state_dict(), "scorer": self.scorer.state_dict(), **more}

    def _new_trainer(self, seed: int) -> Trainer:
        return Trainer(self.build_vae(seed), self.images, self.training, seed, self.device)

    def _scoring(self, trainer: Trainer, first_drawn: bool) -> tuple[DrawnScore | None, Scorer]:
        needed = getattr(self.reward, "needs_drawn", False)
        drawn = DrawnScore(trainer, self.n_drawn, self.judge, self.drawn_from) if needed else None
        wrong, validation = None if drawn is None else drawn.wrong, self.validation_images
        return drawn, Scorer(self.reward, trainer, validation, self.judge, wrong, self.drawn_every, first_drawn)

    def _observe(self) -> Callable[[], Array]:
        return observing(self.trainer.encode().reshape(self._shape), self.tensors)

    def _shift(self, action: Array | Tensor) -> Tensor:
        return shift_of(action, self._shape, self.delta_scale, self.trainer.images.device).reshape(-1, self.latent_dim)
