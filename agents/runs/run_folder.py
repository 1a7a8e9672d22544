"""A run folder: which files it holds, how a new run claims it, and how they are read. The commands write them."""

import hashlib
import importlib.metadata
import platform
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, get_args

from agents.command_line.shell_words import command
from agents.runs.json_rules import NUMBER, OBJECT, TEXT, Rule, check_rules, one_of, whole
from agents.runs.lock import make_folder
from agents.runs.renamed import with_new_agent, with_new_keys
from vae.checks import LARGEST_SEED
from vae.files import DamagedError, load_hashed_json
from vae.model import IMAGE_SIZES, MAX_LATENT_DIM, Width
from vae.sampling.reencoded import MAX_PASSES

CONFIG, VAE_WEIGHTS, AGENT_WEIGHTS, SAMPLER = (
    "config.json",
    "vae.safetensors",
    "agent.safetensors",
    "sampler.safetensors",
)
REPORT, CHECKPOINTS = "report.json", "checkpoints"
MANIFEST = "package.json"  # of a set of weights, which is no run
LATENT_AGENT = "latent_agent.safetensors"
CLASSIFIER = "classifier.safetensors"  # of rejection sampling
REFINER, REFINE_REPORT, REFINE_PICTURE = "refiner.safetensors", "refine.json", "refine.png"
CURVES, REFINE_CURVES = "curves.png", "refine-curves.png"
PRIOR_CURVES, SELECTED_CURVES = "prior-curves.png", "selected-prior-curves.png"
_SETTINGS: dict[str, Rule] = {
    "settings.size": one_of(*IMAGE_SIZES),
    "settings.latent_dim": whole(1, MAX_LATENT_DIM),
    "settings.width": one_of(*get_args(Width)),
    "settings.batch_size": whole(1, 2**31),
    "settings.agent": one_of("none", "random", "sac", "sac-flat"),
    "settings.seed": whole(0, LARGEST_SEED),
    "settings.delta_scale": NUMBER,
    "settings.data": TEXT,
}
OF_RECIPE = "flow_steps"  # a setting that runs of `recipe` have, and those of `train` have not
_MORE = {"reencode_passes": whole(0, MAX_PASSES), "split_seed": whole(0, LARGEST_SEED)}  # of runs of the recipe
_PACKAGES = ("handlatent", "gymnasium", "numpy", "pillow", "scikit-learn", "stable-baselines3", "torch")


def versions() -> dict[str, str]:
    """Return the versions of Python, the platform and the packages that a run depends on."""
    found = {name: _version(name) for name in _PACKAGES}
    return {"python": sys.version.split()[0], "platform": platform.platform(), **found}


def check_folder(folder: Path, flag: str = "--out", is_own: Callable[[Path], bool] = lambda _: False) -> None:
    """Check that a folder may be written into: a new one, an empty one, or one that this project wrote into.

    Hidden files do not count: the project writes none that stays.

    Args:
        folder: The folder.
        flag: Its flag, for the error.
        is_own: Whether something in the folder shows that the project wrote into it.

    Raises:
        ValueError: If it is not a folder, or holds files of somebody else, which might be replaced.
    """
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{flag} '{folder}' is a file. Choose a folder.")
    there = sorted(entry for entry in folder.iterdir() if entry.name[0] != ".") if folder.exists() else []
    if there and not any(map(is_own, there)):
        raise ValueError(
            f"{flag} '{folder}' must be a new or an empty folder, but it holds {there[0].name!r}, which is in the way. "
            f"Choose another {flag}."
        )


def claim_folder(folder: Path, flag: str = "--out", is_own: Callable[[Path], bool] = lambda _: False) -> None:
    """Make a folder to write into, after `check_folder`; an OSError names the flag."""
    check_folder(folder, flag, is_own)
    make_folder(folder, flag)


def check_unicode(folder: Path) -> None:
    """Check that agents can be read back from a folder: safetensors takes only paths that are UTF-8.

    Raises:
        ValueError: If the path is something else.
    """
    try:
        str(folder.absolute()).encode()
    except UnicodeEncodeError:
        raise ValueError(
            f"--out must be a path in UTF-8 for an agent, got {str(folder)!r}. Choose another --out."
        ) from None


def claim(folder: Path) -> None:
    """Make a folder for a new run.

    Raises:
        ValueError: If it holds a run already, or anything else, or is not a folder.
    """
    if (folder / CONFIG).exists():
        raise ValueError(f"--out '{folder}' already holds a run. Choose another --out, or {how_to_resume(folder)}")
    claim_folder(folder)


def how_to_resume(folder: Path) -> str:
    """Say how a run is resumed: one of `train` by its folder, one of `recipe` with all its settings alone."""
    try:
        of_recipe = OF_RECIPE in load_hashed_json(folder / CONFIG).get("settings", {})
    except (OSError, DamagedError, TypeError):
        of_recipe = False
    if of_recipe:
        return f"repeat the command `recipe` that started it, with the settings in '{folder / CONFIG}'."
    return f"continue it with: {command('train', '--resume', folder)}"


def check_run(folder: Path, made_with: str = "train") -> None:
    """Check that a folder holds a run, finished or not.

    Args:
        folder: The folder.
        made_with: The command that makes such a run, to advise it where the folder is free.

    Raises:
        ValueError: If it does not.
    """
    if (folder / CONFIG).is_file():
        return
    reason, advice = f"it has no {CONFIG}", "Name the folder that was given to `train` or `recipe` as --out."
    if (folder / MANIFEST).is_file():
        reason, advice = "it is a set of weights", f"Draw from it with: {command('generate', folder)}"
    elif folder.exists() and not folder.is_dir():
        reason = "it is a file"
    elif not folder.exists() or all(entry.name[0] == "." for entry in folder.iterdir()):
        advice = f"Make one with: {command(made_with, '--out', folder)}"
    raise ValueError(f"'{folder}' is not a run: {reason}. {advice}")


def read_config(folder: Path) -> dict[str, Any]:
    """Return a run's config.json: "settings", "versions", "pictures_sha256".

    Raises:
        ValueError: If the folder is not a run.
    """
    check_run(folder)
    path = folder / CONFIG
    advice = "Train the run again in another folder."
    config = _read(path, {**_SETTINGS, "pictures_sha256": TEXT}, advice)
    given = {name: rule for name, rule in _MORE.items() if name in config["settings"]}
    _check(path, config["settings"], given, advice)
    return with_new_agent(config, path)


def read_refine_report(folder: Path) -> dict[str, Any] | None:
    """Return a run's refine.json: settings, versions, "vae_sha256", measurements; None if there is no refiner.

    Raises:
        ValueError: If the file is damaged.
    """
    path = folder / REFINE_REPORT
    rules = {"settings": OBJECT, "vae_sha256": TEXT}
    return _read(path, rules, "Remove it, and refine the run again.") if path.is_file() else None


def sha256(path: Path) -> str:
    """Return the hash of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read(path: Path, rules: Mapping[str, Rule], advice: str) -> dict[str, Any]:
    """Read a JSON file and check it."""
    try:
        content: dict[str, Any] = with_new_keys(load_hashed_json(path), path)
    except DamagedError as error:
        raise DamagedError(f"{error}. {advice}") from error
    _check(path, content, rules, advice)
    return content


def _check(path: Path, content: dict[str, Any], rules: Mapping[str, Rule], advice: str) -> None:
    try:
        check_rules(path, content, rules)
    except DamagedError as error:
        raise DamagedError(f"{error}. {advice}") from error


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:  # run from a checkout, by its path
        return "not installed"
