"""The command `handlatent package`: write a run of the recipe as packaged weights, with a model card."""

from pathlib import Path
from typing import Any

from agents.commands.package.args import PackageArgs
from agents.commands.package.model_card import model_card
from agents.runs.lock import held
from agents.runs.manifest import HALVES, OPTIONAL, PRIOR
from agents.runs.pictures import SYNTHETIC
from agents.runs.run import Run, load_run
from agents.runs.run_folder import (
    MANIFEST,
    REFINE_REPORT,
    REFINER,
    REPORT,
    check_run,
    claim_folder,
    read_refine_report,
    sha256,
)
from vae.files import copy_file, load_hashed_json, load_weights, save_json, save_tensors, save_text
from vae.progress import progress_bar
from vae.quantisation.int8 import quantised

_BUILT_FROM = ("size", "latent_dim", "width", "batch_size", "agent", "seed", "data", "reencode_passes", "split_seed")


def package(args: PackageArgs) -> Path:
    """Write a set of weights.

    Args:
        args: Settings.

    Returns:
        The folder.

    Raises:
        ValueError: If there is no finished run, it has no learned prior or a refiner that was not measured, or the
            folder already holds weights or is in use.
    """
    check_run(args.run, made_with="recipe")
    with held(args.out):
        return _package(args)


def _package(args: PackageArgs) -> Path:
    run, out = load_run(args.run), args.out
    if "prior" not in run.samplers:
        raise ValueError(f"'{args.run}' has no learned prior. Make a run that has one with: handlatent recipe")
    refined = read_refine_report(args.run)
    if (args.run / REFINER).is_file() and refined is None:
        raise ValueError(
            f"'{args.run}' holds {REFINER} without {REFINE_REPORT}: it was not measured to the end. Repeat the command "
            f"that trained it, or remove {REFINER}."
        )
    if (out / MANIFEST).exists():
        raise ValueError(f"--out '{out}' already holds a set of weights. Choose another --out, or remove it.")
    first = out / f"{HALVES[0]}.safetensors"
    claim_folder(out, is_own=first.__eq__)  # a set that was not finished begins with it, and is written again
    state = {name: tensor.half() for name, tensor in run.vae.state_dict().items()}
    for half in progress_bar(HALVES, "Rounding", unit="halves of the VAE"):
        mine = {name: tensor for name, tensor in state.items() if name.startswith("encoder.") == (half == "encoder")}
        save_tensors(out / f"{half}.safetensors", quantised(mine))
    save_tensors(out / PRIOR, load_weights(args.run / PRIOR))  # as int8 it would draw a few other hands
    files = [*(f"{half}.safetensors" for half in HALVES), PRIOR]
    for name in OPTIONAL:
        if (args.run / name).is_file():
            copy_file(args.run / name, out / name)
            files.append(name)
    settings = _public_settings(run)
    save_text(out / "README.md", model_card(settings, load_hashed_json(args.run / REPORT), refined))
    built_from = {name: settings[name] for name in _BUILT_FROM}
    hashes = {name: sha256(out / name) for name in progress_bar(files, "Hashing", unit="files")}
    save_json(out / MANIFEST, {"settings": built_from, "sha256": hashes})
    return out


def _public_settings(run: Run) -> dict[str, Any]:
    """Return a run's settings without the path of its photographs, which is private, and with what it left out."""
    data = SYNTHETIC if run.settings["data"] == SYNTHETIC else "11k-hands"
    return {"reencode_passes": 0, "split_seed": run.split_seed, **run.settings, "data": data}
