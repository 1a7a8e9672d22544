"""The packaged weights: a run's VAE, learned prior, classifier and refiner, small enough to ship.

`handlatent package` writes one folder per set, with the VAE's encoder and decoder in two files. The large weights of
these two are int8 with a scale per row (`vae.quantisation`), nearly all others are in half precision. package.json says
how to build the networks and has each file's SHA-256.
"""

from importlib import resources
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from gymnasium import spaces

from agents.rl.baselines import NoAction
from agents.rl.row_agent import RowAgent
from agents.runs.hub import fetch, is_hub_name
from agents.runs.manifest import HALVES, PRIOR, read_manifest
from agents.runs.run import REJECTION, Run, load_run, with_rejection
from agents.runs.run_folder import CLASSIFIER, MANIFEST, REFINER, sha256
from vae.files import load_weights
from vae.model import VAEConfig, build_vae
from vae.sampling.flow import FlowPrior
from vae.sampling.reencoded import Reencoded
from vae.sampling.sampler import Sampler, StandardNormal

WeightSet = Literal["photographs", "synthetic"]


def load_packaged(name: str | Path = "photographs") -> Run:
    """Read a set of weights; nothing is unpickled.

    Args:
        name: "photographs", which comes with the package, or "synthetic", whose VAE and prior saw synthetic hands
            only and which only a checkout has. Or the folder of a set that `handlatent package` wrote. Or, with
            the extra `hub`, a set on the Hugging Face hub: "owner/name", or "owner/name@revision". If the hub cannot be
            reached, its cache is used, and a warning says so.

    Returns:
        The same parts as a finished run has.

    Raises:
        ImportError: If the set is on the hub, and the extra `hub` is not installed.
        ValueError: If there is no such set, or a file of it is missing or damaged.
        ConnectionError: If the hub cannot be reached, and its cache does not hold the set.
    """
    if name in get_args(WeightSet):
        check_installed(str(name))
        return read_package(_folder(str(name)))
    if is_package(Path(name)):
        return read_package(Path(name))
    if isinstance(name, str) and is_hub_name(name) and not Path(name).exists():
        return read_package(fetch(name))
    raise ValueError(
        f"The sets of weights are {', '.join(map(repr, get_args(WeightSet)))}, a folder that `handlatent package` "
        f"wrote, or 'owner/name' on the hub; got {str(name)!r}."
    )


def packaged_sets() -> tuple[str, ...]:
    """Return the names of the sets that this installation holds: in a wheel, "photographs" alone."""
    return tuple(name for name in get_args(WeightSet) if is_package(_folder(name)))


def packaged_samplers(name: str) -> list[str]:
    """Return the names of a packaged set's samplers, the best first, without reading the set."""
    return [*([REJECTION] if (_folder(name) / CLASSIFIER).is_file() else []), "prior", "normal"]


def check_installed(name: str) -> None:
    """Refuse a packaged set that this installation does not hold.

    Raises:
        ValueError: If it does not.
    """
    if name not in packaged_sets():
        raise ValueError(
            f"This installation has no weights {name!r}; a clone of the repository has them. Install it there "
            "with: pip install -e . Or name the folder of a run or a set, or 'owner/name' on the hub."
        )


def read_run(folder: Path) -> Run:
    """Read a finished run, or a set of weights: see `load_run` and `read_package`."""
    return read_package(folder) if is_package(folder) else load_run(folder)


def is_package(folder: Path) -> bool:
    """Return whether a folder is a set of weights and not a run."""
    return (folder / MANIFEST).is_file()


def read_package(folder: Path) -> Run:
    """Read a set of weights that `handlatent package` wrote.

    Raises:
        ValueError: If package.json breaks a rule, or a file is missing, damaged, or has another SHA-256 than the
            packed one.
    """
    try:
        manifest = read_manifest(folder)
        for name, expected in manifest["sha256"].items():
            if not (folder / name).is_file():  # reading a pipe would wait forever
                raise ValueError(f"{name} is missing")
            if sha256(folder / name) != expected:
                raise ValueError(f"{name} is not the file that was packed")
        return _read(folder, manifest)
    except (KeyError, TypeError, OSError, RuntimeError, ValueError) as error:
        raise ValueError(
            f"The weights in '{folder}' are damaged: {error}. Install handlatent, pack the run, or fetch the set again."
        ) from error


def _folder(name: str) -> Path:
    return Path(str(resources.files("agents") / "weights" / name))


def _read(folder: Path, manifest: dict[str, Any]) -> Run:
    settings = manifest["settings"]
    vae = build_vae(VAEConfig(settings["size"], settings["latent_dim"], settings["width"]), seed=0)
    state = {name: t for half in HALVES for name, t in load_weights(folder / f"{half}.safetensors").items()}
    vae.load_state_dict({name: tensor.float() for name, tensor in state.items()})
    prior = Reencoded(FlowPrior.load(folder / PRIOR), vae, settings["reencode_passes"])
    samplers: dict[str, Sampler] = {"prior": prior, "normal": StandardNormal(vae.latent_dim)}
    if CLASSIFIER in manifest["sha256"]:
        samplers = with_rejection(samplers, folder, vae.latent_dim)
    refiner = RowAgent.load(folder / REFINER, vae) if REFINER in manifest["sha256"] else None
    action_space = spaces.Box(-1.0, 1.0, (settings["batch_size"], settings["latent_dim"]), np.float32)
    return Run(settings, vae.eval(), samplers, NoAction(action_space), None, refiner)
