"""Draw new hands from a finished run."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor

from agents.packaged import WeightSet, load_packaged, read_run
from agents.row_agent import ENOUGH, ROUNDS
from agents.run_folder import Run, claim_for_pictures
from hand_env import LogitScore, best_of, image_grid
from hand_env.checks import check_not_nan
from vae.checkpoint import save_json
from vae.images import to_float, to_uint8
from vae.model import VAE

GRID, HOW_MADE = "grid.png", "generated.json"  # beside the pictures

# What simple_parsing's `field` and `flag` write. They are not called: importing simple_parsing changes how PyYAML
# writes an OrderedDict in all of the process, and rl_zoo3, which imports `RowPolicy` from here, could not read its own
# settings back. simple_parsing takes a field's help from below its line, which must be one line, no comment above it.
_POSITIONAL = {"positional": True, "custom_args": {"metavar": "[RUN]", "nargs": "?"}}
_SWITCH = {"custom_args": {"negative_prefix": "--no-"}}


@dataclass(frozen=True)
class GenerateArgs:
    """Draw new hands, from the weights that come with the package or from a finished run of your own."""

    run: Path | None = field(default=None, metadata=_POSITIONAL)
    """The run's folder, or that of a set of weights; without one, the weights that come with the package draw."""
    weights: WeightSet = "photographs"
    """Which of those: 'photographs' learned from photographs too, 'synthetic' from drawn hands alone."""
    n: int = 20
    """How many hands."""
    seed: int = 0
    """Of the latents."""
    sampler: Literal["auto", "prior", "mixture", "normal"] = "auto"
    """'prior' is a learned one, 'mixture' is fitted to the training pictures' latents, 'normal' is the paper's; 'auto':
    what the refiner was trained on or, where there is no refiner, the first of the three that the run has."""
    best_of: int = 1
    """Draw so many latents for each hand and keep the one that the rewarding judge scores highest; the agent and the
    refiner act on that one. This is selection, not correction: generated.json names it."""
    agent: bool = field(default=True, metadata=_SWITCH)
    """Whether the run's agent acts on the latents."""
    refine: bool = field(default=True, metadata=_SWITCH)
    """Whether the run's refiner, if it has one, then corrects them; a correction that does not raise the rewarding
    judge's score is dropped."""
    rounds: int = ROUNDS
    """How often the refiner corrects a latent, each time from what was kept before."""
    enough: float = ENOUGH
    """Log-odds of the rewarding judge at which a hand is left as it is; 'inf': none is."""
    out: Path = Path("hands")
    """Folder for the pictures."""


def generate(args: GenerateArgs) -> Path:
    """Draw hands and write them as hand-000.png, hand-001.png and on, grid.png, and generated.json: how they were made.

    Args:
        args: Settings.

    Returns:
        The folder.

    Raises:
        ValueError: If there is no finished run, or a setting is wrong.
    """
    for name in ("n", "best_of", "rounds"):
        if getattr(args, name) < 1:
            raise ValueError(f"--{name.replace('_', '-')} must be at least 1, got {getattr(args, name)!r}.")
    check_not_nan(**{"--enough": args.enough})
    run = load_packaged(args.weights) if args.run is None else read_run(args.run)
    run.sampler_name(args.sampler)  # refuses before the folder is made
    claim_for_pictures(args.out)
    latents, record = make_latents(run, args)
    pictures = decode_pictures(run.vae, latents)
    for number, picture in enumerate(pictures):
        Image.fromarray(picture.permute(1, 2, 0).numpy()).save(args.out / f"hand-{number:03d}.png")
    Image.fromarray(image_grid(enlarged(pictures))).save(args.out / GRID)
    save_json(args.out / HOW_MADE, record)
    return args.out


def make_latents(run: Run, args: GenerateArgs) -> tuple[Tensor, dict[str, Any]]:
    """Draw latents, pick the best of several where that is asked for, let the agent act, let the refiner correct.

    Args:
        run: A finished run.
        args: Settings.

    Returns:
        (n, latent) float32, and what generated.json says of them.
    """
    name, judge = run.sampler_name(args.sampler), LogitScore()
    if args.best_of > 1:
        latents, _ = best_of(run.samplers[name], args.best_of, args.n, args.seed, run.vae, judge)
    else:
        latents = run.samplers[name].sample(args.n, args.seed)
    agent = run.settings["agent"] if args.agent else "none"
    if agent != "none":
        latents = act(run, latents)
    kept = None
    if args.refine and run.refiner is not None:
        refined = run.refiner.refine(latents, run.vae, judge, args.rounds, args.enough)
        latents, kept = refined.latents, int(refined.corrected.sum())
    source = {"weights": args.weights} if args.run is None else {"run": str(args.run)}
    record = {**source, "n": args.n, "seed": args.seed, "sampler": name, "best_of": args.best_of}
    rounds, enough = (None, None) if kept is None else (args.rounds, str(args.enough))  # JSON has no infinity
    record |= {"agent": agent, "refined": kept is not None, "rounds": rounds, "enough": enough, "corrected": kept}
    return latents, {**record, "text": _in_words(record)}


def act(run: Run, latents: Tensor) -> Tensor:
    """Add the deltas of the run's agent, times kappa, to (n, latent) float32 latents."""
    moved: Tensor = latents + run.settings["delta_scale"] * _deltas(run, latents)
    return moved


@torch.no_grad()
def decode_pictures(vae: VAE, latents: Tensor) -> Tensor:
    """Decode (n, latent) float32, a few at a time, to (n, 3, S, S) uint8 pictures on the CPU."""
    chunks = torch.split(latents.to(vae.log_variance.device), 64)
    return torch.cat([to_uint8(vae.decode(chunk)).cpu() for chunk in chunks])


def draw_both(run: Run, n: int, seed: int, path: Path) -> None:
    """Draw the same latents without the agent, on the left, and with it, on the right; write one picture.

    Args:
        run: A finished run.
        n: How many latents.
        seed: Of the latents.
        path: Of the PNG.
    """
    latents = run.samplers["mixture"].sample(n, seed)
    name = run.settings["agent"]
    sides = {"without an agent": decode_pictures(run.vae, latents)}
    if name != "none":
        sides[f"the same latents, with the agent '{name}'"] = decode_pictures(run.vae, act(run, latents))
    panels = [captioned(image_grid(enlarged(pictures), columns=5), caption) for caption, pictures in sides.items()]
    Image.fromarray(np.concatenate(panels, axis=1)).save(path)


def _deltas(run: Run, latents: Tensor) -> Tensor:
    n, size = len(latents), run.settings["batch_size"]
    filled = latents[torch.arange(-(-n // size) * size) % n].reshape(-1, size, latents.shape[1])
    deltas, _ = run.agent.predict(filled.numpy(), deterministic=True)
    return torch.from_numpy(deltas).reshape(-1, latents.shape[1])[:n]


def _in_words(record: dict[str, Any]) -> str:
    source = f"from the sampler '{record['sampler']}'"
    if record["best_of"] > 1:
        words = [f"{record['n']} hands, each by the rewarding judge the best of {record['best_of']} draws {source}"]
    else:
        words = [f"{record['n']} hands drawn {source}"]
    if record["agent"] != "none":
        words.append(f"moved by the agent '{record['agent']}'")
    if record["refined"]:
        words.append(f"corrected by the refiner, {record['corrected']} of them, in up to {record['rounds']} rounds")
    return ", then ".join(words) + "."


def enlarged(pictures: Tensor) -> Tensor:
    """Enlarge (n, 3, S, S) uint8 pictures to 128 pixels where they are smaller, to look at."""
    factor = max(1, 128 // pictures.shape[-1])
    larger = torch.nn.functional.interpolate(to_float(pictures), scale_factor=factor, mode="bicubic")
    return to_uint8(larger)


def captioned(grid: NDArray[np.uint8], caption: str) -> NDArray[np.uint8]:
    """Write a line above a grid of pictures, (height, width, 3) uint8."""
    height, width, _ = grid.shape
    picture = Image.new("RGB", (width + 12, height + 24), "white")
    picture.paste(Image.fromarray(grid), (6, 24))
    ImageDraw.Draw(picture).text((8, 4), caption, fill="black", font_size=16)
    return np.asarray(picture)
