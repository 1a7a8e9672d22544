"""Write synthetic hands with their labels."""

import csv
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from simple_parsing import flag

from agents.command_line.flags import check_at_least
from agents.runs.output_folder import new_pictures
from vae.checks import check_between
from vae.files import save_text
from vae.images.overview import save_picture
from vae.images.synthetic.generate import LARGEST, SMALLEST, SyntheticHands, check_fits, generate_hands
from vae.progress import progress_bar

LABELS = "labels.csv"
Defect = Literal[
    "none",
    "any",
    "missing_digit",
    "extra_digit",
    "fused_digits",
    "missing_segment",
    "extra_segment",
    "length_out_of_range",
    "second_thumb",
    "ghost_digit",
]


@dataclass(frozen=True)
class SynthArgs:
    """Render synthetic hands with exact labels: PNGs and labels.csv."""

    n: int = 64
    """Number of hands."""
    size: int = 128
    """Width and height of a picture, in pixels."""
    defect: Defect = "none"
    """What is wrong with the hands; 'any' mixes all defects."""
    rings: bool = flag(False, negative_prefix="--no-")
    """Whether some hands wear rings."""
    sleeves: bool = flag(False, negative_prefix="--no-")
    """Whether some arms wear sleeves."""
    seed: int = 0
    """Seed of the hands; picture i depends only on the seed and i."""
    out: Path = Path("synthetic-hands")
    """Folder for the pictures."""


def synth(args: SynthArgs) -> Path:
    """Render hands; write hand-000000.png and so on, and labels.csv: one row per picture, joints in pixels.

    Args:
        args: Settings.

    Returns:
        The folder.

    Raises:
        ValueError: If a setting is out of its range.
    """
    check_at_least(1, args, "n")
    check_at_least(0, args, "seed")
    check_between("--size", args.size, SMALLEST, LARGEST, advice="Use 64, 128 or 256 to train a VAE.")
    check_fits("--n", args.n, args.size)
    with new_pictures(args.out) as folder:
        hands = generate_hands(
            args.n,
            args.size,
            seed=args.seed,
            defect=args.defect,
            rings=args.rings,
            sleeves=args.sleeves,
        )
        names = [f"hand-{number:06d}.png" for number in range(args.n)]
        bar = progress_bar(names, "Writing", unit="pictures")
        for name, image in zip(bar, hands.images, strict=True):
            save_picture(folder / name, image)
        save_text(folder / LABELS, _labels(hands, names))
    return args.out


def _labels(hands: SyntheticHands, names: list[str]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    joints = [f"joint_{joint}_{axis}" for joint in range(21) for axis in "xy"]
    writer.writerow(["image", "defect", "side", "hand", *joints])
    for number, name in enumerate(names):
        places = [f"{place:.2f}" for place in hands.joints[number].flatten().tolist()]
        writer.writerow([name, hands.defect[number], hands.side[number], hands.hand[number], *places])
    return text.getvalue()
