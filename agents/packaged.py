"""Weights that come with the package: a run's VAE, learned prior and refiner, small enough to ship.

A folder for each set. `handlatent package RUN --out DIR` makes one: weights in half precision, the VAE's halves in two
files, and package.json, which says how to build them and has each file's SHA-256.
"""

import json
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from gymnasium import spaces
from safetensors import SafetensorError
from safetensors.torch import load_file

from agents.baselines import NoAction
from agents.model_card import model_card
from agents.row_agent import RowAgent
from agents.run_folder import REFINER, REPORT, SAMPLERS, Run, load_run, read_refine_report, sha256
from vae.checkpoint import copy_file, save_json, save_tensors, save_text
from vae.flow import FlowPrior
from vae.model import VAEConfig, build_vae
from vae.prior import Sampler, StandardNormal
from vae.reencoded import Reencoded

WeightSet = Literal["photographs", "synthetic"]
MANIFEST, PRIOR = "package.json", SAMPLERS["prior"][0]
HALVES = ("encoder", "decoder")
_BUILT_FROM = ("size", "latent_dim", "width", "batch_size", "agent", "seed", "data", "passes")


@dataclass(frozen=True)
class PackageArgs:
    """Pack a run's VAE, learned prior and refiner into a folder as it ships with the package."""

    run: Path = field(metadata={"positional": True, "custom_args": {"metavar": "RUN"}})  # see GenerateArgs
    """The run's folder, of `handlatent recipe`."""
    out: Path = Path("package")
    """Folder for the files."""


def package(args: PackageArgs) -> Path:
    """Write a set of weights.

    Args:
        args: Settings.

    Returns:
        The folder.

    Raises:
        ValueError: If there is no finished run, it has no learned prior, or the folder has a set already.
    """
    run, out = load_run(args.run), args.out
    if "prior" not in run.samplers:
        raise ValueError(f"'{args.run}' has no learned prior. Make a run that has with: handlatent recipe")
    if (out / MANIFEST).exists():
        raise ValueError(f"--out '{out}' already holds a set of weights. Choose another --out, or remove it.")
    out.mkdir(parents=True, exist_ok=True)
    state = {name: tensor.half() for name, tensor in run.vae.state_dict().items()}
    for half in HALVES:
        mine = {name: tensor for name, tensor in state.items() if name.startswith("encoder.") == (half == "encoder")}
        save_tensors(out / f"{half}.safetensors", mine)
    copied = [PRIOR, *([REFINER] if run.refiner is not None else [])]
    for name in copied:
        copy_file(args.run / name, out / name)
    files = [*(f"{half}.safetensors" for half in HALVES), *copied]
    settings = {name: run.settings[name] for name in _BUILT_FROM}
    if settings["data"] != "synthetic":
        settings["data"] = "11k-hands"  # where it lay is nobody's business
    report = json.loads((args.run / REPORT).read_text(encoding="utf-8"))
    save_text(out / "README.md", model_card(settings, report, read_refine_report(args.run)))
    save_json(out / MANIFEST, {"settings": settings, "sha256": {name: sha256(out / name) for name in files}})
    return out


def load_packaged(name: str = "photographs") -> Run:
    """Read a set of weights that comes with the package; nothing is unpickled.

    Args:
        name: "photographs", or "synthetic" for weights that have seen drawn hands only.

    Returns:
        Its parts, as of a finished run.

    Raises:
        ValueError: If there is no such set.
    """
    if name not in get_args(WeightSet):
        raise ValueError(f"The sets of weights are {', '.join(map(repr, get_args(WeightSet)))}, got {name!r}.")
    folder = Path(str(resources.files("agents") / "weights" / name))
    if not (folder / MANIFEST).is_file():
        raise ValueError(f"This version comes without the weights {name!r}. Name a RUN of your own to draw from.")
    return read_package(folder)


def read_package(folder: Path) -> Run:
    """Read what `package` wrote.

    Raises:
        ValueError: If a file is missing, damaged, or not the one that was packed.
    """
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        for name, expected in manifest["sha256"].items():
            if sha256(folder / name) != expected:
                raise ValueError(f"{name} is not the file that was packed")
        return _read(folder, manifest)
    except (KeyError, TypeError, OSError, RuntimeError, SafetensorError, ValueError) as error:
        raise ValueError(f"The weights in '{folder}' are damaged: {error}. Install the package anew.") from error


def _read(folder: Path, manifest: dict[str, Any]) -> Run:
    settings = manifest["settings"]
    vae = build_vae(VAEConfig(settings["size"], settings["latent_dim"], settings["width"]), seed=0)
    state = {name: t for half in HALVES for name, t in load_file(folder / f"{half}.safetensors").items()}
    vae.load_state_dict({name: tensor.float() for name, tensor in state.items()})
    prior = Reencoded(FlowPrior.load(folder / PRIOR), vae, settings["passes"])
    samplers: dict[str, Sampler] = {"prior": prior, "normal": StandardNormal(vae.latent_dim)}
    refiner = RowAgent.load(folder / REFINER, vae) if REFINER in manifest["sha256"] else None
    action_space = spaces.Box(-1.0, 1.0, (settings["batch_size"], settings["latent_dim"]), np.float32)
    return Run(settings, vae.eval(), samplers, NoAction(action_space), None, refiner)
