"""Draw new hands from a finished run."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor

from agents.run_folder import Run, claim_for_pictures, load_run
from hand_env import image_grid
from vae.images import to_float, to_uint8
from vae.prior import Sampler, StandardNormal


@dataclass(frozen=True)
class GenerateArgs:
    """Draw new hands from a finished run: single PNGs and grid.png."""

    # The metadata are what simple_parsing's `field` and `flag` write. They are not called: importing simple_parsing
    # changes how PyYAML writes an OrderedDict in all of the process, and rl_zoo3, which imports `RowPolicy` from here,
    # could not read its own settings back.
    run: Path = field(metadata={"positional": True, "custom_args": {"metavar": "RUN"}})
    """The run's folder."""
    n: int = 20
    """How many hands."""
    seed: int = 0
    """Of the latents."""
    sampler: Literal["mixture", "normal"] = "mixture"
    """'mixture' is fitted to the training pictures' latents, 'normal' is the paper's."""
    agent: bool = field(default=True, metadata={"custom_args": {"negative_prefix": "--no-"}})
    """Whether the run's agent acts on the latents."""
    out: Path = Path("hands")
    """Folder for the pictures."""


def generate(args: GenerateArgs) -> Path:
    """Draw hands and write them as hand-000.png, hand-001.png and on, and grid.png.

    Args:
        args: Settings.

    Returns:
        The folder.

    Raises:
        ValueError: If there is no finished run, or a setting is wrong.
    """
    if args.n < 1:
        raise ValueError(f"--n must be at least 1, got {args.n!r}.")
    run = load_run(args.run)
    claim_for_pictures(args.out)
    sampler: Sampler = run.sampler if args.sampler == "mixture" else StandardNormal(run.vae.latent_dim)
    pictures = draw(run, sampler.sample(args.n, args.seed), with_agent=args.agent)
    for number, picture in enumerate(pictures):
        Image.fromarray(picture.permute(1, 2, 0).numpy()).save(args.out / f"hand-{number:03d}.png")
    Image.fromarray(image_grid(_enlarged(pictures))).save(args.out / "grid.png")
    return args.out


@torch.no_grad()
def draw(run: Run, latents: Tensor, *, with_agent: bool) -> Tensor:
    """Decode latents, after the agent has acted on them if asked to.

    Args:
        run: A finished run.
        latents: (n, latent) float32.
        with_agent: Whether the agent's deltas, times kappa, are added first.

    Returns:
        (n, 3, S, S) uint8.
    """
    if with_agent:
        latents = latents + run.settings["delta_scale"] * _deltas(run, latents)
    return torch.cat([to_uint8(run.vae.decode(chunk)) for chunk in torch.split(latents, 64)])


def draw_both(run: Run, n: int, seed: int, path: Path) -> None:
    """Draw the same latents without the agent, on the left, and with it, on the right; write one picture.

    Args:
        run: A finished run.
        n: How many latents.
        seed: Of the latents.
        path: Of the PNG.
    """
    latents = run.sampler.sample(n, seed)
    name = run.settings["agent"]
    sides = {"without an agent": draw(run, latents, with_agent=False)}
    if name != "none":
        sides[f"the same latents, with the agent '{name}'"] = draw(run, latents, with_agent=True)
    panels = [_captioned(image_grid(_enlarged(pictures), columns=5), caption) for caption, pictures in sides.items()]
    Image.fromarray(np.concatenate(panels, axis=1)).save(path)


def _deltas(run: Run, latents: Tensor) -> Tensor:
    n, size = len(latents), run.settings["batch_size"]
    filled = latents[torch.arange(-(-n // size) * size) % n].reshape(-1, size, latents.shape[1])
    deltas, _ = run.agent.predict(filled.numpy(), deterministic=True)
    return torch.from_numpy(deltas).reshape(-1, latents.shape[1])[:n]


def _enlarged(pictures: Tensor) -> Tensor:
    """Enlarge small pictures to 128 pixels, to look at."""
    factor = max(1, 128 // pictures.shape[-1])
    larger = torch.nn.functional.interpolate(to_float(pictures), scale_factor=factor, mode="bicubic")
    return to_uint8(larger)


def _captioned(grid: NDArray[np.uint8], caption: str) -> NDArray[np.uint8]:
    height, width, _ = grid.shape
    picture = Image.new("RGB", (width + 12, height + 24), "white")
    picture.paste(Image.fromarray(grid), (6, 24))
    ImageDraw.Draw(picture).text((8, 4), caption, fill="black", font_size=16)
    return np.asarray(picture)
