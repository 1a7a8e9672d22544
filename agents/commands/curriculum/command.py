"""The steps of `handlatent curriculum`: train groups of VAEs, measure what each draws, and write the tables."""

import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from PIL import Image
from torch import Tensor

from agents.commands.curriculum.args import CurriculumArgs, check_args
from agents.commands.curriculum.jobs import Job, make_job
from agents.commands.curriculum.material import Material, read_material
from agents.commands.curriculum.methods import AGENT, Method, parse_method
from agents.commands.curriculum.store import Cell, Store
from agents.commands.curriculum.table import make_tables
from agents.commands.curriculum.training import Trained, groups, train_group
from agents.figures.drawn import Judges, Yardstick
from agents.figures.samplers import LEARNED, fit_samplers
from agents.runs.run_folder import sha256, versions
from hand_env import image_grid
from hand_env.anatomy import Judge
from hand_env.anatomy.weights import packaged_weights
from vae.device import resolve_device

SHOWN, GRID_COLUMNS = 40, 10  # hands in a grid, and in a row of it
PICTURES = "pictures"


def curriculum(args: CurriculumArgs) -> str:
    """Train and measure all VAEs that the folder's figures lack.

    Args:
        args: Settings.

    Returns:
        The tables of all figures in the folder, in Markdown.

    Raises:
        FileNotFoundError: If the photographs do not exist.
        ValueError: If a setting is wrong, or the folder holds figures from other settings.
    """
    check_args(args)
    device = resolve_device(args.device)
    judges = Judges(
        Judge.load(args.parser, device=device), Judge.load(args.reporter, architecture="reporter", device=device)
    )
    material = read_material(args)
    store = Store(args.out, _settings(args, material))
    on_device = material.to(device)
    for epochs in args.epochs:
        for n in args.n:
            _measure_column(n, epochs, on_device, judges, store, args, device)
    return make_tables(store.cells)


def samplers_for(method: Method, args: CurriculumArgs) -> list[str]:
    """List the samplers that are fitted to the VAEs of a method."""
    without = args.prior_for is not None and method.name not in args.prior_for
    return [name for name in args.samplers if not (without and name in LEARNED)]


def _measure_column(
    n: str, epochs: int, material: Material, judges: Judges, store: Store, args: CurriculumArgs, device: str
) -> None:
    """Train and measure the VAEs of one N and one number of epochs."""
    jobs = [
        make_job(n, epochs, parse_method(word), seed, images, args)
        for seed, images in ((seed, material.choose(n, seed)) for seed in args.seeds)
        for word in args.methods
    ]
    agent = "" if args.agent is None else sha256(args.agent)
    wanted = [job for job in jobs if _lacking(job, store, args, agent)]
    yardsticks: dict[int, Yardstick] = {}
    for group in groups(wanted, args.side_by_side):
        for trained in train_group(group, args, device):
            seed = trained.job.seed
            if seed not in yardsticks:
                yardsticks = {seed: Yardstick(judges, trained.job.images, material.held_out)}
            began = time.monotonic()
            cell = _measure(trained, material, yardsticks[seed], store, args, _agent_of(trained.job, agent))
            store.add(cell)
            _report(cell, time.monotonic() - began)


def _agent_of(job: Job, agent: str) -> str:
    return agent if job.method.acts == AGENT else ""


def _lacking(job: Job, store: Store, args: CurriculumArgs, agent: str) -> list[str]:
    """List the samplers whose figures the store does not have."""
    known = store.find(job.key, _agent_of(job, agent))
    if known is None:
        return samplers_for(job.method, args)
    return [] if known.missing else [name for name in samplers_for(job.method, args) if name not in known.samplers]


def _measure(
    trained: Trained, material: Material, yardstick: Yardstick, store: Store, args: CurriculumArgs, agent: str
) -> Cell:
    job, trainer = trained.job, trained.trainer
    losses = {
        "validation": trainer.measure(material.validation, averaged=True),
        "training": trainer.measure(averaged=True),
    }
    if not all(bool(found.total.isfinite().all()) for found in losses.values()):
        return replace(job.cell(agent), missing="the VAE diverged")
    of_vae = {f"{name}_loss_nats": float(found.total.mean()) for name, found in losses.items()}
    of_vae |= {f"{name}_kl_nats": float(found.kl.mean()) for name, found in losses.items()}
    known = store.find(job.key, agent)
    cell = replace(known or job.cell(agent), vae=of_vae)
    seconds = {**cell.seconds, "training": trained.seconds}
    figures = dict(cell.samplers)
    for names in _fitted_together(_lacking(job, store, args, agent)):
        began = time.monotonic()
        fitted = fit_samplers(
            names, trainer.averaged_vae, trainer.images, material.validation, job.seed, args.prior_steps
        )
        seconds[f"fitting {names[0]}"] = time.monotonic() - began
        for name, sampler in fitted.items():
            began = time.monotonic()
            figures[name], hands = yardstick.measure(trainer.averaged_vae, sampler, args.hands, job.seed)
            seconds[f"measuring {name}"] = time.monotonic() - began
            if args.pictures:
                _draw(args.out / PICTURES, job, name, hands)
    ordered = {name: figures[name] for name in (*args.samplers, *figures) if name in figures}
    return replace(cell, seconds=seconds, samplers=ordered)


def _fitted_together(names: Sequence[str]) -> list[list[str]]:
    """Keep the two forms of the learned prior together, which one fit gives."""
    learned = [name for name in names if name in LEARNED]
    return [[name] for name in names if name not in LEARNED] + ([learned] if learned else [])


def _draw(folder: Path, job: Job, sampler: str, hands: Tensor) -> None:
    folder.mkdir(exist_ok=True)
    name = f"{job.n}-{job.epochs}-{job.method.name}-{job.seed}-{sampler}.png"
    Image.fromarray(image_grid(hands[:SHOWN], columns=GRID_COLUMNS)).save(folder / name)


def _report(cell: Cell, seconds: float) -> None:
    right = ", ".join(f"{name} {found['correct'].value:.1%}" for name, found in cell.samplers.items())
    print(
        f"N = {cell.n}, {cell.epochs} epochs, {cell.method}, seed {cell.seed}: {cell.missing or right + ' correct'}; "
        f"{cell.seconds.get('training', 0):.0f} + {seconds:.0f} s",
        file=sys.stderr,
        flush=True,
    )


def _settings(args: CurriculumArgs, material: Material) -> dict[str, Any]:
    """Return what all figures depend on."""
    return {
        "handlatent": versions()["handlatent"],
        "pictures_sha256": material.sha256,
        "size": args.size,
        "latent_dim": args.latent_dim,
        "learning_rate": args.learning_rate,
        "hands": args.hands,
        "prior_steps": args.prior_steps,
        "parser_sha256": sha256(args.parser or packaged_weights("parser")),
        "reporter_sha256": sha256(args.reporter or packaged_weights("reporter")),
    }
