"""A finished run: its VAE, samplers and agents, read from its folder."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from torch import Tensor

from agents.rl.baselines import NoAction, RandomAction
from agents.rl.row_agent import RowAgent
from agents.rl.sac import build_policy
from agents.runs.pictures import SYNTHETIC
from agents.runs.run_folder import (
    AGENT_WEIGHTS,
    CLASSIFIER,
    CONFIG,
    LATENT_AGENT,
    REFINE_REPORT,
    REFINER,
    REPORT,
    SAMPLER,
    VAE_WEIGHTS,
    how_to_resume,
    read_config,
    read_refine_report,
    sha256,
)
from vae.files import DamagedError, load_weights
from vae.images import SPLIT_SEED
from vae.model import VAE, VAEConfig, build_vae
from vae.sampling.flow import FlowPrior
from vae.sampling.mixture import Mixture
from vae.sampling.reencoded import Reencoded
from vae.sampling.rejection import LatentClassifier, RejectionSampler
from vae.sampling.sampler import Sampler, StandardNormal

SAMPLER_FILES: dict[str, tuple[str, Callable[[Path], FlowPrior | Mixture]]] = {
    # name: (file in the run's folder, function that reads it), the best first; a run may lack some files
    "prior": ("prior.safetensors", FlowPrior.load),
    "mixture": (SAMPLER, Mixture.load),
}
REJECTION = "rejection"  # the sampler that draws from "prior" and turns most latents away


class Agent(Protocol):
    """Anything with Stable-Baselines3's `predict`."""

    def predict(
        self,
        observation: NDArray[np.float32],
        state: Any = None,
        episode_start: Any = None,
        deterministic: bool = False,
    ) -> tuple[NDArray[np.float32], Any]:
        """Map an observation, or a batch of them, to actions and a state."""
        ...


@dataclass(frozen=True)
class Run:
    """Hold a finished run's parts.

    Attributes:
        settings: The arguments that it was trained with.
        vae: The VAE with averaged weights, on the CPU.
        samplers: Samplers by name, the best first: "rejection", "prior" (learned), "mixture", fitted to the aggregated
            posterior, and "normal", as in the paper. Not every run has the first two. "rejection" selects among what
            "prior" draws.
        agent: Gives zeros for "none", and for "sac", which acts on a VAE's training only; uniform deltas for "random";
            the trained policy's deltas for "sac-flat".
        latent_agent: Trained by `handlatent recipe` on single latents in HandLatent-v0; None if there is none.
        refiner: Corrects latents before they are decoded; None until `handlatent refine` has trained one.
    """

    settings: dict[str, Any]
    vae: VAE
    samplers: dict[str, Sampler]
    agent: Agent
    latent_agent: RowAgent | None
    refiner: RowAgent | None

    @property
    def acts_on_drawn(self) -> str:
        """The name of the agent that acts on drawn latents, or "none"."""
        name: str = self.settings["agent"]
        return "none" if name == "sac" else name

    @property
    def split_seed(self) -> int:
        """Seed of the split by person that keeps the run's training people apart.

        `handlatent recipe` writes it down: the project's own. `handlatent train` splits by the run's seed. Synthetic
        hands show nobody, so a run on them gets the project's own split, which the judges keep to.
        """
        own: int = SPLIT_SEED if self.settings["data"] == SYNTHETIC else self.settings["seed"]
        seed: int = self.settings.get("split_seed", own)
        return seed

    def to(self, device: str) -> None:
        """Move the VAE and the samplers that use it to a device."""
        self.vae.to(device)
        for sampler in self.samplers.values():
            if isinstance(sampler, Reencoded):
                sampler.to(device)

    def sampler_name(self, asked: str = "auto") -> str:
        """Choose a sampler.

        Args:
            asked: Its name, or "auto": the sampler that the refiner was trained on, or without a refiner the best.
                "rejection" takes the place of "prior", since it draws some of the same latents.

        Raises:
            ValueError: If the run does not have it.
        """
        name = asked
        if asked == "auto":
            name = next(iter(self.samplers)) if self.refiner is None else self.refiner.notes.sampler
            if name == "prior" and REJECTION in self.samplers:
                name = REJECTION
        if name not in self.samplers:
            raise ValueError(f"The run has no sampler {name!r}. Choose one of: {', '.join(self.samplers)}.")
        return name

    def deltas(self, latents: Tensor) -> Tensor:
        """Get deltas from the agent, which sees one batch at a time.

        Args:
            latents: (n, D) float32; the first latents fill up the last batch.

        Returns:
            (n, D) float32 in [-1, 1], the agent's deterministic deltas.
        """
        n, size = len(latents), self.settings["batch_size"]
        filled = latents[torch.arange(-(-n // size) * size) % n].reshape(-1, size, latents.shape[1])
        deltas, _ = self.agent.predict(filled.numpy(), deterministic=True)
        return torch.from_numpy(deltas).reshape(-1, latents.shape[1])[:n]

    def act(self, latents: Tensor) -> Tensor:
        """Add the agent's deltas, times kappa, to (n, D) float32 latents."""
        moved: Tensor = latents + self.settings["delta_scale"] * self.deltas(latents)
        return moved


def load_run(folder: Path | str) -> Run:
    """Read a finished run, without unpickling.

    Args:
        folder: The folder given to `handlatent train --out`.

    Returns:
        The run's parts.

    Raises:
        ValueError: If the folder is not a run, or the run is not finished.
    """
    folder = Path(folder)
    read_config(folder)
    if not (folder / REPORT).is_file():
        again = how_to_resume(folder)
        raise ValueError(f"The run '{folder}' is not finished. {again[0].upper()}{again[1:]}")
    try:
        return read_parts(folder)
    except (DamagedError, KeyError, TypeError, OSError, RuntimeError) as error:
        raise ValueError(f"The run '{folder}' is damaged: {error}. Train it again in another folder.") from error


def read_parts(folder: Path) -> Run:
    """Read a run's parts, even before its report is written; see `load_run`."""
    settings = read_config(folder)["settings"]
    vae = build_vae(VAEConfig(settings["size"], settings["latent_dim"], settings["width"]), seed=0)
    with _fitting(folder / VAE_WEIGHTS, "the weights of a VAE"):
        vae.load_state_dict(load_weights(folder / VAE_WEIGHTS))
    samplers = {name: _sampler(folder, name, vae.latent_dim) for name in SAMPLER_FILES if _has(folder, name)}
    samplers["normal"] = StandardNormal(vae.latent_dim)
    if "prior" in samplers:
        samplers["prior"] = Reencoded(samplers["prior"], vae, settings.get("reencode_passes", 0))
        samplers = with_rejection(samplers, folder, vae.latent_dim)
    return Run(
        settings, vae.eval(), samplers, _agent(folder, settings), _latent_agent(folder, vae), _refiner(folder, vae)
    )


def with_rejection(samplers: dict[str, Sampler], folder: Path, latent_dim: int) -> dict[str, Sampler]:
    """Put the sampler "rejection" before the others if the folder of a run or a set holds its classifier.

    Raises:
        DamagedError: If the file is no classifier, or one of another number of latents.
    """
    path = folder / CLASSIFIER
    if not path.is_file():
        return samplers
    classifier = LatentClassifier.load(path)
    if len(classifier.mean) != latent_dim:
        raise DamagedError(f"'{path}' is for {len(classifier.mean)} latents, and the VAE has {latent_dim}")
    return {REJECTION: RejectionSampler(samplers["prior"], classifier), **samplers}


@contextmanager
def _fitting(path: Path, what: str) -> Iterator[None]:
    """Name a file in one sentence if its tensors are not those of the run; the libraries list each on a line.

    Raises:
        DamagedError: In place of their errors.
    """
    try:
        yield
    except (KeyError, IndexError, TypeError, RuntimeError) as error:
        raise DamagedError(f"'{path}' must hold {what} as '{path.with_name(CONFIG)}' describes it") from error


def _sampler(folder: Path, name: str, latent_dim: int) -> Sampler:
    file, load = SAMPLER_FILES[name]
    with _fitting(folder / file, f"the sampler {name!r}"):
        sampler = load(folder / file)
        if sampler.latent_dim != latent_dim:
            raise TypeError("it draws latents of another length")
    return sampler


def _has(folder: Path, sampler: str) -> bool:
    return sampler == "mixture" or (folder / SAMPLER_FILES[sampler][0]).is_file()  # every run has a mixture


def _latent_agent(folder: Path, vae: VAE) -> RowAgent | None:
    path = folder / LATENT_AGENT
    return RowAgent.load(path, vae) if path.is_file() else None


def _refiner(folder: Path, vae: VAE) -> RowAgent | None:
    if not (folder / REFINER).is_file():
        return None
    report = read_refine_report(folder)
    if report is not None and report["vae_sha256"] != sha256(folder / VAE_WEIGHTS):
        raise ValueError(
            f"'{folder / REFINER}' was trained on another VAE than '{folder / VAE_WEIGHTS}'. Remove the one that does "
            f"not belong here, and {REFINE_REPORT}."
        )
    return RowAgent.load(folder / REFINER, vae)


def _agent(folder: Path, settings: dict[str, Any]) -> Agent:
    shape = (settings["batch_size"], settings["latent_dim"])
    action_space = spaces.Box(-1.0, 1.0, shape, np.float32)
    if settings["agent"] in ("none", "sac"):
        return NoAction(action_space)
    if settings["agent"] == "random":
        return RandomAction(action_space, settings["seed"])
    with _fitting(folder / AGENT_WEIGHTS, "an agent"):
        return build_policy(
            spaces.Box(-np.inf, np.inf, shape, np.float32), action_space, load_weights(folder / AGENT_WEIGHTS)
        )
