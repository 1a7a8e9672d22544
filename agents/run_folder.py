"""A run folder: what is in it, how it is claimed, and how its parts are read back."""

import hashlib
import importlib.metadata
import json
import platform
import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file

from agents.baselines import NoAction, RandomAction
from agents.row_agent import RowAgent
from agents.sac import build_policy
from vae.flow import FlowPrior
from vae.model import VAE, VAEConfig, build_vae
from vae.prior import Mixture, Sampler, StandardNormal
from vae.reencoded import Reencoded

CONFIG, VAE_WEIGHTS, AGENT_WEIGHTS, SAMPLER = (
    "config.json",
    "vae.safetensors",
    "agent.safetensors",
    "sampler.safetensors",
)
REPORT, CHECKPOINTS = "report.json", "checkpoints"
LATENT_AGENT = "latent_agent.safetensors"
REFINER, REFINE_REPORT, REFINE_PICTURE = "refiner.safetensors", "refine.json", "refine.png"
SAMPLERS: dict[str, tuple[str, Callable[[Path], Sampler]]] = {
    # name: (file in the run's folder, how it is read); a run has those whose file is there, the best first
    "prior": ("prior.safetensors", FlowPrior.load),
    "mixture": (SAMPLER, Mixture.load),
}
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
        samplers: By name, the best first: "prior", a learned one, where the run has it; "mixture", fitted to the
            aggregated posterior; "normal", the paper's.
        agent: "none" gives zeros, "random" uniform deltas, "sac" the trained policy.
        latent_agent: Of `handlatent recipe`, trained on single latents in HandLatent-v0; None where there is none.
        refiner: Corrects latents before they are decoded; None until `handlatent refine` has trained one.
    """

    settings: dict[str, Any]
    vae: VAE
    samplers: dict[str, Sampler]
    agent: Agent
    latent_agent: RowAgent | None
    refiner: RowAgent | None

    def to(self, device: str) -> None:
        """Move the VAE, and what draws latents through it."""
        self.vae.to(device)
        for sampler in self.samplers.values():
            if isinstance(sampler, Reencoded):
                sampler.to(device)

    def sampler_name(self, asked: str = "auto") -> str:
        """Choose a sampler.

        Args:
            asked: Its name, or "auto": what the refiner was trained on, or the best where there is no refiner.

        Raises:
            ValueError: If the run does not have it.
        """
        name = asked
        if asked == "auto":
            name = next(iter(self.samplers)) if self.refiner is None else self.refiner.notes.sampler
        if name not in self.samplers:
            raise ValueError(f"The run has no sampler {name!r}. Choose one of: {', '.join(self.samplers)}.")
        return name


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
            f"--out '{folder}' already holds a run. Choose another --out, or continue that run with: "
            + command("train", "--resume", folder)
        )
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"--out '{folder}' is a file. Choose a folder.")
    folder.mkdir(parents=True, exist_ok=True)


def claim_for_pictures(folder: Path) -> None:
    """Make a folder for pictures.

    Raises:
        ValueError: If it holds a run, or pictures of an earlier command, or is not a folder.
    """
    claim(folder)
    if any(folder.glob("hand-*.png")):
        raise ValueError(f"--out '{folder}' already holds pictures. Choose another --out, or move them away.")


def read_config(folder: Path) -> dict[str, Any]:
    """Return a run's config.json: "settings", "versions", "pictures_sha256".

    Raises:
        ValueError: If the folder is not a run.
    """
    path = folder / CONFIG
    if not path.is_file():
        raise ValueError(
            f"'{folder}' is not a run: it has no {CONFIG}. Make one with: {command('train', '--out', folder)}"
        )
    try:
        config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"'{path}' is damaged: {error}. Train the run anew into another folder.") from error
    if not isinstance(config, dict) or not {"settings", "pictures_sha256"} <= set(config):
        raise ValueError(f"'{path}' is not of a run: it has no settings. Train one into another folder.")
    return config


def read_refine_report(folder: Path) -> dict[str, Any] | None:
    """Return a run's refine.json: settings, versions, "vae_sha256", what was measured; None before it is refined.

    Raises:
        ValueError: If it is damaged.
    """
    path = folder / REFINE_REPORT
    if not path.is_file():
        return None
    try:
        report: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"'{path}' is damaged: {error}. Remove it, and refine the run anew.") from error
    if not isinstance(report, dict) or not {"settings", "vae_sha256"} <= set(report):
        raise ValueError(f"'{path}' is damaged: it has no settings. Remove it, and refine the run anew.")
    return report


def load_run(folder: Path) -> Run:
    """Read a finished run; nothing is unpickled.

    Args:
        folder: As given to `handlatent train --out`.

    Returns:
        Its parts.

    Raises:
        ValueError: If the folder is not a run, or the run is not finished.
    """
    read_config(folder)
    if not (folder / REPORT).is_file():
        settings = read_config(folder)["settings"]
        recipe = ("recipe", "--data", settings.get("data"), "--out", folder)
        advice = command(*(recipe if "flow_steps" in settings else ("train", "--resume", folder)))
        raise ValueError(f"The run '{folder}' is not finished. Continue it with: {advice}")
    try:
        return read_parts(folder)
    except (KeyError, TypeError, OSError, RuntimeError, SafetensorError) as error:
        raise ValueError(f"The run '{folder}' is damaged: {error}. Train it anew into another folder.") from error


def read_parts(folder: Path) -> Run:
    """Read a run's parts, whether or not its report is written already; see `load_run`."""
    settings = read_config(folder)["settings"]
    vae = build_vae(VAEConfig(settings["size"], settings["latent_dim"], settings["width"]), seed=0)
    vae.load_state_dict(load_file(folder / VAE_WEIGHTS))
    samplers = {name: load(folder / file) for name, (file, load) in SAMPLERS.items() if _has(folder, name)}
    samplers["normal"] = StandardNormal(vae.latent_dim)
    if "prior" in samplers:
        samplers["prior"] = Reencoded(samplers["prior"], vae, settings.get("passes", 0))
    return Run(
        settings, vae.eval(), samplers, _agent(folder, settings), _latent_agent(folder, vae), _refiner(folder, vae)
    )


def sha256(path: Path) -> str:
    """Return the hash of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def command(*words: object) -> str:
    """Spell a `handlatent` command as the user can type it, by the path that this one was started with."""
    program = sys.argv[0] if Path(sys.argv[0]).name == "handlatent" else "handlatent"
    return shlex.join([program, *map(str, words)])


def typed(name: str, args: Any) -> str:
    """Spell the command that settings, a dataclass, came from, as `command` does."""
    return command(name, *given(args))


def given(args: Any) -> list[str]:
    """List the words that settings, a dataclass, are typed as: their run, if they have one, and the flags given."""
    values = {item.name: getattr(args, item.name) for item in fields(args) if getattr(args, item.name) != item.default}
    run = [values.pop("run")] if "run" in values else []
    flags = [word for flag, value in values.items() for word in (f"--{flag.replace('_', '-')}", value)]
    return [str(word) for word in (*run, *flags)]


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:  # run from a checkout, by its path
        return "not installed"


def _has(folder: Path, sampler: str) -> bool:
    return sampler == "mixture" or (folder / SAMPLERS[sampler][0]).is_file()  # every run has a mixture


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
            f"not belong here, with {REFINE_REPORT}."
        )
    return RowAgent.load(folder / REFINER, vae)


def _agent(folder: Path, settings: dict[str, Any]) -> Agent:
    shape = (settings["batch_size"], settings["latent_dim"])
    action_space = spaces.Box(-1.0, 1.0, shape, np.float32)
    if settings["agent"] == "none":
        return NoAction(action_space)
    if settings["agent"] == "random":
        return RandomAction(action_space, settings["seed"])
    return build_policy(spaces.Box(-np.inf, np.inf, shape, np.float32), action_space, load_file(folder / AGENT_WEIGHTS))
