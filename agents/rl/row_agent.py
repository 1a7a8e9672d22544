"""An agent for single latents: the actor of a Stable-Baselines3 SAC, saved in one file with notes on its use."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from stable_baselines3 import SAC
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor, FlattenExtractor
from stable_baselines3.sac.policies import Actor
from torch import Tensor, nn

from agents.rl.picture_policy import PictureExtractor, Sight
from hand_env import Refined, refine
from hand_env.scoring import ScoreFn
from vae.checks import check_above_zero, check_one_of, integer
from vae.files import load_weights, save_tensors
from vae.model import VAE

ENVIRONMENTS = ("HandRefine-v0", "HandLatent-v0")
ROUNDS = 3  # episodes per latent when hands are drawn
REFINE_BELOW = 2.5  # log-odds of the rewarding judge, odds of 12 to 1; hands that score at least this are not corrected
RETRY_SEED = 0  # of random corrections, after dropped ones
_NOTES = "row_agent"  # the entry in the file's header


@dataclass(frozen=True)
class RowAgentNotes:
    """Say how an agent was trained.

    Attributes:
        env_id: "HandRefine-v0", or "HandLatent-v0" if it was trained on the vector form of that environment.
        latent_dim: D, the length of the latents and of the actions.
        net_arch: Widths of the actor's hidden layers.
        delta_scale: Kappa, the factor of its actions.
        steps_per_episode: Corrections per latent; above 1, the observation also holds the fraction of steps left.
        sampler: The sampler of its latents: "prior", "mixture" or "normal".
        seed: Seed of its training.
        sees_pictures: Whether it sees the pictures that latents are decoded to, as with `RefinePolicy`.
    """

    env_id: str
    latent_dim: int
    net_arch: tuple[int, ...]
    delta_scale: float
    steps_per_episode: int
    sampler: str
    seed: int
    sees_pictures: bool = False

    def __post_init__(self) -> None:
        """Refuse notes that no agent can have.

        Raises:
            TypeError: If a number is no number, `sampler` no text, or `sees_pictures` no bool.
            ValueError: If a field is out of its range, or `env_id` is another.
        """
        check_one_of("env_id", self.env_id, ENVIRONMENTS)
        for name in ("latent_dim", "steps_per_episode"):
            object.__setattr__(self, name, integer(name, getattr(self, name), 1))
        object.__setattr__(self, "net_arch", tuple(integer("net_arch", width, 1) for width in self.net_arch))
        object.__setattr__(self, "seed", integer("seed", self.seed, 0))
        check_above_zero(delta_scale=self.delta_scale)
        if not isinstance(self.sampler, str):
            raise TypeError(f"sampler must be text, such as 'prior', got {self.sampler!r}.")
        if not isinstance(self.sees_pictures, bool):
            raise TypeError(f"sees_pictures must be true or false, got {self.sees_pictures!r}.")


class RowAgent:
    """Map an observation of one latent, (D,) or (D + 1,), or a batch of them, to its action, (D,).

    The file holds only the actor, in float16. With layers of 1,024 and D = 300 it has 3.9 MB, and 1.9 MB more if the
    actor sees pictures. It does not hold the VAE that decodes them. The agent computes in float32. The effect of the
    rounding was measured on 300 latents of 64 numbers after 4,096 corrections. Actions, 0.39 on average, change by at
    most 0.0003, and the rewarding judge's log-odds by at most 0.0014. The same 181 corrections are kept.
    """

    def __init__(self, actor: Actor, notes: RowAgentNotes) -> None:
        """Store actor and notes; create an agent with `of` or `load`."""
        self.actor, self.notes = actor.eval().requires_grad_(False), notes

    @classmethod
    def of(
        cls, model: SAC, *, env_id: str, delta_scale: float, steps_per_episode: int, sampler: str, seed: int
    ) -> "RowAgent":
        """Copy the actor of a trained SAC to the CPU.

        Args:
            model: Stable-Baselines3's SAC with "MlpPolicy" or `RefinePolicy`, trained on rows, as `make_sac` builds it
                for a vector form. With `RefinePolicy`, the copy uses the same VAE object, on the VAE's device.
            env_id: See `RowAgentNotes`, as for the other arguments.
            delta_scale: Likewise.
            steps_per_episode: Likewise.
            sampler: Likewise.
            seed: Likewise.

        Raises:
            TypeError: If the model has another policy, or other observations or actions, or a note has a wrong type.
            ValueError: If a note is out of its range.
        """
        actor, space, extractor = model.actor, model.action_space, model.actor.features_extractor
        assert isinstance(space, spaces.Box), "SAC takes no other"
        shape = space.shape
        known = type(actor) is Actor and type(extractor) in (FlattenExtractor, PictureExtractor)
        if not known or actor.activation_fn is not nn.ReLU or actor.use_sde or len(shape) != 1:
            raise TypeError(
                f"RowAgent.of needs SAC('MlpPolicy', ...) on rows, or SAC(RefinePolicy, ...), with ReLU and actions of "
                f"shape (D,), got {type(model.policy).__name__} and actions of shape {shape}. Train one with make_sac."
            )
        if (space.low != -1).any() or (space.high != 1).any():
            raise TypeError(
                f"RowAgent.of needs actions in [-1, 1], got {space}. Train on HandRefine-v0 or HandLatent-v0 itself."
            )
        if model.get_vec_normalize_env() is not None:
            raise TypeError(
                "RowAgent.of needs a SAC that sees observations as they are, got one with VecNormalize, which "
                "RowAgent does not copy. Train without it."
            )
        vae = extractor.sight.vae if isinstance(extractor, PictureExtractor) else None
        widths, sees = tuple(actor.net_arch), vae is not None
        notes = RowAgentNotes(env_id, shape[0], widths, delta_scale, steps_per_episode, sampler, seed, sees)
        return cls(_actor(notes, {name: value.cpu().clone() for name, value in actor.state_dict().items()}, vae), notes)

    def predict(
        self, observation: NDArray[np.float32], state: Any = None, episode_start: Any = None, deterministic: bool = True
    ) -> tuple[NDArray[np.float32], Any]:
        """Choose actions.

        Args:
            observation: (D,) or (n, D) float32; with several steps an episode D + 1 instead of D.
            state: Returned unchanged; for Stable-Baselines3's signature.
            episode_start: Unused.
            deterministic: Whether to return the best action instead of a random draw.

        Returns:
            (D,) or (n, D) float32 in [-1, 1], and the state.
        """
        return self.actor.predict(observation, state, episode_start, deterministic)

    def show(self, latents: Tensor, pictures: Tensor) -> None:
        """Take pictures that somebody has decoded, if the agent looks at pictures; see `Sight.show`."""
        if isinstance(self.actor.features_extractor, PictureExtractor):
            self.actor.features_extractor.sight.show(latents, pictures)

    def refine(
        self, latents: Tensor, vae: VAE, judge: ScoreFn, rounds: int = ROUNDS, refine_below: float = REFINE_BELOW
    ) -> Refined:
        """Correct low-scoring latents as in training, `rounds` times; drop corrections that do not raise the score.

        After a dropped one its opposite is tried, then a random one. The same latents give the same result. See
        `hand_env.refine`.
        """
        kappa, steps = self.notes.delta_scale, self.notes.steps_per_episode
        how: dict[str, Any] = {"delta_scale": kappa, "steps": steps, "rounds": rounds, "refine_below": refine_below}
        return refine(self, latents, vae, judge, **how, seed=RETRY_SEED)

    def save(self, path: Path) -> None:
        """Write actor and notes to one safetensors file, atomically."""
        tensors = {name: tensor.half() for name, tensor in self.actor.state_dict().items()}
        save_tensors(path, tensors, {_NOTES: json.dumps(vars(self.notes))})

    @classmethod
    def load(cls, path: Path, vae: VAE | None = None) -> "RowAgent":
        """Read what `save` wrote, without unpickling and without changing a random state.

        Args:
            path: The file.
            vae: The VAE that the agent is used with. If the agent sees pictures, this VAE decodes them, on its own
                device; it is not copied. None: the VAE is not checked; the agent must not see pictures.

        Returns:
            The agent on the CPU.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If the file is damaged or holds something else, or the VAE is missing or has another D.
        """
        if not path.is_file():
            raise FileNotFoundError(f"'{path}' is missing. Train an agent with: handlatent refine RUN")
        try:
            with safe_open(path, framework="pt") as stored:
                header = stored.metadata() or {}
            if _NOTES not in header:
                raise ValueError(f"its header has no {_NOTES!r}")
            found = json.loads(header[_NOTES])
            notes = RowAgentNotes(**{**found, "net_arch": tuple(found.get("net_arch", ()))})
            misfit = _misfit(notes, vae)
            weights = {name: tensor.float() for name, tensor in load_weights(path).items()}
            actor = None if misfit else _actor(notes, weights, vae)
        except (SafetensorError, AttributeError, TypeError, ValueError) as error:
            raise ValueError(
                f"'{path}' must hold a row agent, but it is damaged or holds something else: {error}. Train "
                "one with: handlatent refine RUN"
            ) from error
        if actor is None:
            raise ValueError(f"'{path}' {misfit}")
        return cls(actor, notes)


def _misfit(notes: RowAgentNotes, vae: VAE | None) -> str:
    """Return why an agent cannot be used with a VAE, or an empty string if it can."""
    if vae is None and notes.sees_pictures:
        return "sees pictures, and needs the VAE that decodes them. Call RowAgent.load(path, vae)."
    if vae is not None and vae.latent_dim != notes.latent_dim:
        return (
            f"corrects latents of {notes.latent_dim} dimensions, but the VAE's have {vae.latent_dim}. Train an "
            "agent on this VAE with: handlatent refine RUN"
        )
    return ""


def _actor(notes: RowAgentNotes, weights: dict[str, Tensor], vae: VAE | None) -> Actor:
    """Build an actor from its weights.

    Raises:
        ValueError: If the weights do not fit the notes.
    """
    seen = notes.latent_dim + (notes.steps_per_episode > 1)
    with torch.device("meta"):  # draws no random numbers, and wrong notes take no memory
        observations = spaces.Box(-np.inf, np.inf, (seen,), np.float32)
        actions = spaces.Box(-1.0, 1.0, (notes.latent_dim,), np.float32)
        extractor: BaseFeaturesExtractor = FlattenExtractor(observations)
        if notes.sees_pictures:
            assert vae is not None, "the caller has checked"
            extractor = PictureExtractor(observations, Sight(vae))
        actor = Actor(observations, actions, list(notes.net_arch), extractor, extractor.features_dim)
    wanted, got = ({name: tuple(t.shape) for name, t in state.items()} for state in (actor.state_dict(), weights))
    if wanted != got:
        wrong = sorted(name for name in {*wanted, *got} if wanted.get(name) != got.get(name))
        source = "its notes and the VAE's pictures" if notes.sees_pictures else "its notes"
        raise ValueError(f"the shapes of {', '.join(wrong)} are not those that {source} require")
    actor.load_state_dict(weights, assign=True)
    return actor
