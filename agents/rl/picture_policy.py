"""A policy for HandRefine-v0 whose networks see the pictures that latents are decoded to.

A picture shows what the judge will say of it; 300 latents hardly do. Trained on 4,000 judged samples, a small
convolutional network on pictures predicts a third of the variance of the log-odds; a network on latents predicts none.
The policy asks the judge only for scores and never differentiates it.
"""

import copy
from collections.abc import Iterable
from typing import Any, cast

import torch
import torch.nn.functional as F
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.policies import BasePolicy, ContinuousCritic
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.type_aliases import ReplayBufferSamples, Schedule
from stable_baselines3.common.vec_env import VecNormalize
from stable_baselines3.sac.policies import SACPolicy
from torch import Tensor, nn
from torch.utils.weak import WeakTensorKeyDictionary

from hand_env.refinement import CHUNK
from vae.device import compiled, reduced_precision, resolve_device
from vae.model import VAE
from vae.progress import in_chunks

SEEN = 64  # largest width and height, in pixels, of the pictures that the networks see
CHANNELS = (32, 64, 96, 128)  # after each halving of the size
WIDTH = 256  # features of a picture


class PictureNetwork(nn.Module):
    """Map the picture that a latent is decoded to, to `WIDTH` features."""

    def __init__(self, size: int) -> None:
        """Build the convolutions.

        Args:
            size: Width and height of the VAE's pictures, in pixels.
        """
        super().__init__()
        layers: list[nn.Module] = []
        side = size // _shrinkage(size)
        for before, after in zip((3, *CHANNELS), CHANNELS, strict=False):
            layers += [nn.Conv2d(before, after, 3, 2, 1), nn.GroupNorm(8, after), nn.SiLU()]
            side = -(-side // 2)
        self.body = nn.Sequential(*layers, nn.Flatten(), nn.Linear(CHANNELS[-1] * side**2, WIDTH), nn.SiLU())

    def forward(self, pictures: Tensor) -> Tensor:
        """Map (n, 3, s, s) pictures, as `Sight.pictures` returns them, to (n, WIDTH)."""
        found: Tensor = self.body(pictures * 2 - 1)
        return found


class Sight:
    """Decode observations to pictures, and cache the pictures for as long as the observations exist.

    An update of SAC uses the same observations up to four times, and decoding them is most of its work.
    """

    def __init__(self, vae: VAE, fused: bool = False) -> None:
        """Prepare to decode.

        Args:
            vae: A VAE that is not trained.
            fused: Whether torch.compile speeds up SAC's updates on a GPU, where it can (`vae.device.compiled`). That
                takes half a minute at first.
        """
        self.vae, self.fused = vae, fused
        self._seen, self._moved = WeakTensorKeyDictionary(), WeakTensorKeyDictionary()
        self._shown: dict[bytes, Tensor] = {}
        self._in_updates = compiled(_pictures, vae.log_variance.device, fused)

    def pictures(self, latents: Tensor) -> Tensor:
        """Decode latents to small pictures for the networks; differentiable with respect to the latents.

        Args:
            latents: (n, D) float32 on any device. The VAE decodes on its own; on a GPU in bfloat16. Without a gradient,
                at most `CHUNK` are decoded at a time.

        Returns:
            (n, 3, s, s) float32 in [0, 1], s at most `SEEN`, on the latents' device.
        """
        device = self.vae.log_variance.device
        moved = latents.to(device)
        decode = self._in_updates if torch.is_grad_enabled() else _pictures  # updates have batches of one size
        if moved.requires_grad and torch.is_grad_enabled():
            return decode(self.vae, moved).to(latents.device)
        shown = [self._shown.pop(key, None) for key in _keys(moved)] if self._shown else [None]
        if all(picture is not None for picture in shown):
            return torch.stack(cast(list[Tensor], shown)).to(latents.device)
        with torch.no_grad():
            found = [decode(self.vae, rows) for rows in in_chunks(moved, CHUNK[device.type], "Decoding")]
        return torch.cat(found).to(latents.device)

    def show(self, latents: Tensor, pictures: Tensor) -> None:
        """Take pictures that somebody has decoded; the next look at these latents, without a gradient, finds them.

        Args:
            latents: (n, D) float32 on any device.
            pictures: (n, 3, S, S) float32 in [0, 1], what they are decoded to.
        """
        small = F.avg_pool2d(pictures.detach(), _shrinkage(self.vae.size))
        self._shown = dict(zip(_keys(latents), small, strict=True))

    def remember(self, observations: Tensor, before: Tensor, actions: Tensor, after: Tensor) -> None:
        """Take the pictures of a minibatch, from before and after its actions, as `pictures` returns them.

        `of` and `after` give them back for these very tensors, for as long as those exist.
        """
        self._seen[observations], self._moved[actions] = before, (observations, after)

    def after(self, observations: Tensor, actions: Tensor, delta_scale: float) -> Tensor:
        """Return the pictures of (n, D) observations, or (n, D + 1), after (n, D) actions.

        They are differentiable with respect to the actions, unless they were remembered.
        """
        known, pictures = self._moved.get(actions, (None, None))
        if known is observations and pictures is not None:
            return cast(Tensor, pictures)
        return self.pictures(observations[:, : self.vae.latent_dim] + delta_scale * actions)

    def of(self, observations: Tensor) -> Tensor:
        """Return the pictures of (n, D) observations, or (n, D + 1), without a gradient."""
        pictures: Tensor | None = self._seen.get(observations)
        if pictures is None:
            pictures = self.pictures(observations[:, : self.vae.latent_dim].detach())
            self._seen[observations] = pictures
        return pictures

    def knows(self, observations: Tensor) -> bool:
        """Return whether `of` has the pictures of this very tensor already, which nobody may have changed since."""
        return observations in self._seen

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the cache, and keep the VAE on the CPU, so that a machine without its device can read it."""
        vae = copy.deepcopy(self.vae).cpu()
        return {"vae": vae, "device": str(self.vae.log_variance.device), "fused": self.fused}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Start with an empty cache, on the device where the VAE was; on the CPU if this machine has no such device."""
        try:
            device = resolve_device(state["device"])
        except ValueError:
            device = "cpu"
        Sight.__init__(self, state["vae"].to(device), state.get("fused", False))  # an earlier version's has no "fused"


class OneStepReplay(ReplayBuffer):
    """A replay buffer for episodes of one step; with a `Sight`, it shifts pictures at random each time it gives them.

    No observation follows another. Stable-Baselines3's SAC uses the next observations all the same, and multiplies the
    result by 0. This buffer gives it the observations themselves.
    """

    sight: Sight | None = None  # the policy's; see `show_shifted`. In no pickle, since it would be another one there

    def _get_samples(self, batch_inds: NDArray[Any], env: VecNormalize | None = None) -> ReplayBufferSamples:
        samples = super()._get_samples(batch_inds, env)
        if self.sight is not None:
            with torch.no_grad():
                before = self.sight.pictures(samples.observations)
                after = self.sight.pictures(samples.next_observations)
            self.sight.remember(samples.observations, shifted(before), samples.actions, shifted(after))
        return samples._replace(next_observations=samples.observations)

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the `Sight`."""
        return {name: value for name, value in vars(self).items() if name != "sight"}


class PictureExtractor(BaseFeaturesExtractor):
    """Features for the actor: the observation, and the features of its picture."""

    def __init__(self, observation_space: spaces.Box, sight: Sight) -> None:
        """Build the extractor.

        Args:
            observation_space: The observation space of HandRefine-v0.
            sight: Decodes with the environment's VAE, which is not part of the state dict.
        """
        super().__init__(observation_space, observation_space.shape[0] + WIDTH)
        self.sight, self.look = sight, PictureNetwork(sight.vae.size)

    def forward(self, observations: Tensor) -> Tensor:
        """Map (n, D) observations to (n, D + WIDTH), and (n, D + 1) to (n, D + 1 + WIDTH)."""
        if torch.is_grad_enabled() or self.sight.knows(observations):
            return self._described(observations)
        chunks = torch.split(observations, CHUNK.get(observations.device.type, CHUNK["cpu"]))
        return torch.cat([self._described(rows) for rows in chunks])

    def _described(self, observations: Tensor) -> Tensor:
        return torch.cat([observations, self.look(self.sight.of(observations))], 1)


class PictureCritic(ContinuousCritic):
    """Critics that value a correction by the pictures before and after it.

    Q(z, a) = f(decode(z + kappa a)) - g(decode(z)), where f and g are two outputs of one network. With one step per
    episode, the reward has this form too. With several steps, the weighted fraction of steps left is added to both.

    Attributes:
        asked: Whether the values are used; if not, `forward` returns 0 without decoding.
    """

    def __init__(self, *args: Any, sight: Sight, delta_scale: float, **kwargs: Any) -> None:
        """Take ContinuousCritic's arguments, the decoding `Sight`, and kappa."""
        super().__init__(*args, **kwargs)
        self.sight, self.delta_scale, self.asked = sight, delta_scale, True
        assert isinstance(self.observation_space, spaces.Box), "HandRefine-v0's"
        vae = sight.vae
        rest = self.observation_space.shape[0] - vae.latent_dim
        for number in range(self.n_critics):  # replaces Stable-Baselines3's, which see latents
            looks = nn.ModuleDict({"look": PictureNetwork(vae.size), "value": nn.Linear(WIDTH + rest, 2)})
            setattr(self, f"qf{number}", looks)
        self.q_networks = [getattr(self, f"qf{number}") for number in range(self.n_critics)]

    def forward(self, obs: Tensor, actions: Tensor) -> tuple[Tensor, ...]:
        """Map (n, D) or (n, D + 1) observations and (n, D) actions to (n, 1) values of each critic.

        If the actions require a gradient, as in SAC's actor loss, the critics' weights get none, because SAC would
        discard it.
        """
        if not self.asked:
            return (obs.new_zeros(len(obs), 1),) * self.n_critics
        return tuple(self._values(self.q_networks, obs, actions))

    def q1_forward(self, obs: Tensor, actions: Tensor) -> Tensor:
        """Return the first critic's values."""
        (value,) = self._values(self.q_networks[:1], obs, actions)
        return value

    def scores(self, pictures: Tensor, number: int) -> Tensor:
        """Return what a critic thinks of pictures: f and g of each, in the unit of the reward.

        Args:
            pictures: (n, 3, s, s) float32 in [0, 1], as `Sight.pictures` returns them, in episodes of one step.
            number: Which critic, 0 or 1.

        Returns:
            (n, 2) float32.
        """
        return _found(self.q_networks[number], pictures, pictures.new_empty(len(pictures), 0))

    def _values(self, networks: Iterable[nn.Module], obs: Tensor, actions: Tensor) -> list[Tensor]:
        rest = obs[:, self.sight.vae.latent_dim :]
        after, before = self.sight.after(obs, actions, self.delta_scale), self.sight.of(obs)
        value = _value_of_actions if after.requires_grad else _value
        return [value(network, after, before, rest) for network in networks]


class RefinePolicy(SACPolicy):
    """Stable-Baselines3's SAC policy with `PictureExtractor` for its actor and `PictureCritic` for its critics.

    `make_sac(env, seed, policy=RefinePolicy)` takes the VAE and kappa from the environment. Without `make_sac`:
    `SAC(RefinePolicy, env, policy_kwargs={"vae": Sight(env.unwrapped.vae), "delta_scale": env.unwrapped.delta_scale})`.
    `net_arch` gives the actor's hidden layers after the features; the critics have only their convolutions. The VAE may
    be on another device. It is in neither the parameters nor the state dict. `SAC.save` does write it, because it
    pickles all arguments of the policy; a `Sight` lets a file from a GPU be read on a CPU.
    """

    def __init__(self, *args: Any, vae: VAE | Sight, delta_scale: float, **kwargs: Any) -> None:
        """Take SACPolicy's arguments except the features extractor, and the environment's VAE and kappa.

        Args:
            args: Arguments of SACPolicy.
            vae: The environment's VAE, frozen: in a `Sight`, or alone if it is on the CPU.
            delta_scale: Kappa.
            kwargs: Keyword arguments of SACPolicy.

        Raises:
            TypeError: If a features extractor is given, or to be shared.
            ValueError: If the VAE's weights require gradients, or it is alone and not on the CPU.
        """
        _check_extractor(**kwargs)
        if not isinstance(vae, Sight) and vae.log_variance.device.type != "cpu":
            raise ValueError(
                f"RefinePolicy's vae lies on {str(vae.log_variance.device)!r}; a file of the agent could not be read "
                "on another machine. Give Sight(vae), from agents.rl.picture_policy."
            )
        self.sight, self.delta_scale = vae if isinstance(vae, Sight) else Sight(vae), delta_scale
        if any(parameter.requires_grad for parameter in self.sight.vae.parameters()):
            raise ValueError(
                "RefinePolicy's vae must be frozen, but its weights require gradients. Take the environment's own: "
                "env.unwrapped.vae."
            )
        extractor = {"features_extractor_class": PictureExtractor, "features_extractor_kwargs": {"sight": self.sight}}
        super().__init__(*args, **{**kwargs, **extractor})

    def show(self, latents: Tensor, pictures: Tensor) -> None:
        """Take pictures that somebody has decoded; see `Sight.show`."""
        self.sight.show(latents, pictures)

    def _build(self, lr_schedule: Schedule) -> None:
        super()._build(lr_schedule)
        assert self.observation_space.shape is not None, "a Box has a shape"
        # if an episode is one step, SAC multiplies the target critic's values by 0
        cast(PictureCritic, self.critic_target).asked = self.observation_space.shape[0] > self.sight.vae.latent_dim

    def make_critic(self, features_extractor: BaseFeaturesExtractor | None = None) -> ContinuousCritic:
        """Build twin critics; the parent calls this twice."""
        kwargs = {**self.critic_kwargs, "net_arch": [], "features_extractor": nn.Identity(), "features_dim": 1}
        return PictureCritic(**kwargs, sight=self.sight, delta_scale=self.delta_scale).to(self.device)

    def _get_constructor_parameters(self) -> dict[str, Any]:
        return {**super()._get_constructor_parameters(), "vae": self.sight, "delta_scale": self.delta_scale}


def _check_extractor(
    features_extractor_class: type[BaseFeaturesExtractor] = PictureExtractor,
    features_extractor_kwargs: dict[str, Any] | None = None,
    share_features_extractor: bool = False,
    **_: Any,
) -> None:
    """Refuse what `RefinePolicy` would ignore; its own extractor comes with policies that are loaded."""
    own = features_extractor_class is PictureExtractor and {*(features_extractor_kwargs or {})} <= {"sight"}
    if share_features_extractor or not own:
        raise TypeError(
            "RefinePolicy has a features extractor of its own, which is not shared, got "
            f"features_extractor_class={features_extractor_class.__name__}, "
            f"features_extractor_kwargs={features_extractor_kwargs!r}, {share_features_extractor=}. Leave them out."
        )


def shifted(pictures: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Move each picture by up to a sixteenth of its side, at random; its border is repeated.

    Networks that see shifted pictures learn what a hand looks like, and not which hand they saw. DrQ does so for SAC
    from pixels (Yarats et al. 2021).

    Args:
        pictures: (n, c, s, s) of any type.
        generator: On the pictures' device; None: that device's own.

    Returns:
        The same shape and type.
    """
    n, _, _, side = pictures.shape
    most, device = side // 16, pictures.device
    moves = torch.randint(-most, most + 1, (2, n, 1), generator=generator, device=device)
    rows, columns = (torch.arange(side, device=device) + moves).clamp(0, side - 1)  # (n, s) each
    each = torch.arange(n, device=device)[:, None, None]
    return pictures[each, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def _pictures(vae: VAE, latents: Tensor) -> Tensor:
    with reduced_precision(latents.device):
        pictures = vae.decode(latents)
    return F.avg_pool2d(pictures.float().clamp(0, 1), _shrinkage(vae.size))  # the judge's pictures, or smaller ones


def _keys(latents: Tensor) -> list[bytes]:
    return [row.tobytes() for row in latents.cpu().numpy()]


def show_shifted(policy: BasePolicy, buffer: ReplayBuffer | None) -> None:
    """Let a `OneStepReplay` shift the pictures that `RefinePolicy` sees in updates; do nothing for other kinds.

    `make_sac` and `FastSAC` call it. Call it for Stable-Baselines3's SAC after loading.
    """
    if isinstance(policy, RefinePolicy) and isinstance(buffer, OneStepReplay):
        buffer.sight = policy.sight


def shown_side(vae: VAE) -> int:
    """Return s, the width and height in pixels of what `Sight.pictures` returns."""
    return vae.size // _shrinkage(vae.size)


def _shrinkage(size: int) -> int:
    return -(-size // SEEN)


def _value(network: nn.Module, after: Tensor, before: Tensor, rest: Tensor) -> Tensor:
    found = _found(network, torch.cat([after, before]), rest.repeat(2, 1))  # (2 n, 2)
    return found[: len(after), :1] - found[len(after) :, 1:]


def _value_of_actions(network: nn.Module, after: Tensor, before: Tensor, rest: Tensor) -> Tensor:
    """Return what `_value` returns. Only `after` gets a gradient, which takes half of the work or less."""
    weights = [weight for weight in network.parameters() if weight.requires_grad]
    try:
        for weight in weights:
            weight.requires_grad_(False)
        return _found(network, after, rest)[:, :1] - _found(network, before, rest)[:, 1:]
    finally:
        for weight in weights:
            weight.requires_grad_(True)


def _found(network: Any, pictures: Tensor, rest: Tensor) -> Tensor:
    """Map pictures and the rest of their observations to (n, 2): the picture's value after and before."""
    found: Tensor = network["value"](torch.cat([network["look"](pictures), rest], 1))
    return found
