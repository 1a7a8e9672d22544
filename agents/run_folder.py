"""A run folder: what is in it, how it is claimed, and how its parts are read back."""

import importlib.metadata
import json
import platform
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray
from safetensors.torch import load_file

from agents.baselines import NoAction, RandomAction
from agents.sac import build_policy
from vae.model import VAE, VAEConfig, build_vae
from vae.prior import Mixture

CONFIG, VAE_WEIGHTS, AGENT_WEIGHTS, SAMPLER = (
    "config.json",
    "vae.safetensors",
    "agent.safetensors",
    "sampler.safetensors",
)
REPORT, CHECKPOINTS = "report.json", "checkpoints"
_PACKAGES = ("handlatent", "gymnasium", "numpy", "pillow", "scikit-learn", "stable-baselines3", "torch")


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
        vae: Averaged weights, on the CPU.
        sampler: Mixture fitted to the aggregated posterior.
        agent: "none" gives zeros, "random" uniform deltas, "sac" the trained policy.
    """

    settings: dict[str, Any]
    vae: VAE
    sampler: Mixture
    agent: Agent


def versions() -> dict[str, str]:
    """Return the versions of Python, the platform and the packages that a run depends on."""
    found = {name: _version(name) for name in _PACKAGES}
    return {"python": sys.version.split()[0], "platform": platform.platform(), **found}


def claim(folder: Path) -> None:
    """Make a folder for a new run.

    Raises:
        ValueError: If it holds a run already, or is not a folder.
    """
    if (folder / CONFIG).exists():
        raise ValueError(
            f"--out '{folder}' already holds a run. Continue it with --resume '{folder}', or choose another --out."
        )
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"--out '{folder}' is a file. Choose a folder.")
    folder.mkdir(parents=True, exist_ok=True)


def read_config(folder: Path) -> dict[str, Any]:
    """Return a run's config.json: "settings", "versions", "pictures_sha256".

    Raises:
        ValueError: If the folder is not a run.
    """
    path = folder / CONFIG
    if not path.is_file():
        raise ValueError(
            f"'{folder}' is not a run: it has no {CONFIG}. Make one with 'handlatent train --out {folder}'."
        )
    try:
        config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"'{path}' is damaged: {error}. Train the run anew into another folder.") from error
    if not isinstance(config, dict) or "settings" not in config:
        raise ValueError(f"'{path}' is not of a run: it has no settings. Train one into another folder.")
    return config


def load_run(folder: Path) -> Run:
    """Read a finished run; nothing is unpickled.

    Args:
        folder: As given to `handlatent train --out`.

    Returns:
        Its parts.

    Raises:
        ValueError: If the folder is not a run, or the run is not finished.
    """
    settings = read_config(folder)["settings"]
    if not (folder / VAE_WEIGHTS).is_file():
        raise ValueError(f"The run '{folder}' is not finished. Continue it with 'handlatent train --resume {folder}'.")
    vae = build_vae(VAEConfig(settings["size"], settings["latent_dim"], settings["width"]), seed=0)
    vae.load_state_dict(load_file(folder / VAE_WEIGHTS))
    return Run(settings, vae.eval(), Mixture.load(folder / SAMPLER), _agent(folder, settings))


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:  # run from a checkout, by its path
        return "not installed"


def _agent(folder: Path, settings: dict[str, Any]) -> Agent:
    shape = (settings["batch_size"], settings["latent_dim"])
    action_space = spaces.Box(-1.0, 1.0, shape, np.float32)
    if settings["agent"] == "none":
        return NoAction(action_space)
    if settings["agent"] == "random":
        return RandomAction(action_space, settings["seed"])
    return build_policy(spaces.Box(-np.inf, np.inf, shape, np.float32), action_space, load_file(folder / AGENT_WEIGHTS))
