"""The command `handlatent blind sheets`: drawn hands among as many photographs, in random order, on numbered sheets."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from agents.command_line.flags import check_seed
from agents.commands.blind.sheet_layout import ON_A_SHEET, lay_out, sheet_name
from agents.draw.settings import GenerateArgs, draw_as_asked, how_made, load_as_asked
from agents.runs.output_folder import new_pictures
from agents.runs.pictures import tell
from agents.runs.run import Run
from vae.files import save_hashed_json
from vae.images import load_images, split_by_group
from vae.images.overview import save_overview
from vae.progress import progress_bar

KEY = "key.json"


@dataclass(frozen=True)
class BlindSheetsArgs(GenerateArgs):
    """Mix n drawn hands with n photographs of people whom the run was not trained on, on numbered sheets."""

    n: int = 100
    """Number of drawn hands, and of photographs."""
    data: Path | None = None
    """Folder of the photographs: the 11k Hands download, or any folder of pictures."""
    out: Path = Path("blind")
    """Folder for the sheets and for key.json, which says which number is which. The sheets show photographs: do not
    publish them."""


def blind_sheets(args: BlindSheetsArgs) -> Path:
    """Write sheet-01.png and so on, 50 pictures each, and key.json.

    Args:
        args: Settings.

    Returns:
        The folder.

    Raises:
        FileNotFoundError: If there are no photographs.
        ValueError: If there is no finished run, a setting is wrong, too few photographs are held out, or the folder
            cannot be used.
    """
    check_seed(args.seed)
    run = load_as_asked(args)
    if args.data is None:
        raise ValueError("--data must name the folder of the photographs to mix in, got none.")
    with new_pictures(args.out) as folder:
        photographs, names = held_out_photographs(args.data, run.vae.size, run.split_seed, args.n, args.seed)
        hands = draw_as_asked(args, run)
        pictures = torch.cat([hands.images, photographs])
        order = torch.randperm(2 * args.n, generator=torch.Generator().manual_seed(args.seed))
        write_sheets(folder, pictures[order])
        shown = {number: int(row) for number, row in enumerate(order, 1)}  # row: its place in `pictures`
        key = {
            "n": args.n,
            "size": run.vae.size,
            "seed": args.seed,
            "split_seed": run.split_seed,
            "drawn": {str(number): row for number, row in shown.items() if row < args.n},
            "photographs": {str(number): names[row - args.n] for number, row in shown.items() if row >= args.n},
            "vae_sha256": _sha256(run),
            "how_drawn": how_made(args, hands),
        }
        save_hashed_json(folder / KEY, key)
    return args.out


def write_sheets(folder: Path, pictures: Tensor) -> None:
    """Write (n, 3, S, S) uint8 pictures, numbered from 1, on sheets; nothing else is known about them here."""
    for start in progress_bar(range(0, len(pictures), ON_A_SHEET), "Writing", unit="sheets"):
        some = pictures[start : start + ON_A_SHEET]
        save_overview(folder / sheet_name(start // ON_A_SHEET), lay_out(some, start + 1))


def held_out_photographs(data: Path, size: int, split_seed: int, n: int, seed: int) -> tuple[Tensor, list[str]]:
    """Choose photographs at random, of each test person in turn, so that nobody appears more often than needed.

    Args:
        data: The 11k Hands download, or any folder of pictures.
        size: Width and height in pixels.
        split_seed: Seed of the split by person. If test people have fewer than n photographs, validation people join.
        n: Number of photographs.
        seed: Seed of the choice.

    Returns:
        (n, 3, S, S) uint8, and their names.

    Raises:
        ValueError: If fewer than n are held out.
    """
    images = load_images(data, size)
    tell(images.notes)
    split = split_by_group(images.groups, images.all_groups, seed=split_seed)
    rows = split.test.tolist()
    if len(rows) < n:
        rows += split.validation.tolist()
    if len(rows) < n:
        raise ValueError(f"--n must be at most {len(rows)}, the number of photographs held out, got {n!r}. Lower it.")
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed)).tolist()
    turns: dict[str, int] = {}
    ranked = list[tuple[int, int, int]]()
    for place in order:
        person = images.groups[rows[place]]
        turns[person] = turns.get(person, 0) + 1
        ranked.append((turns[person], len(ranked), rows[place]))
    chosen = [row for *_, row in sorted(ranked)[:n]]
    return images.pixels[chosen], [images.names[row] for row in chosen]


def _sha256(run: Run) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(run.vae.state_dict().items()):
        digest.update(name.encode() + tensor.numpy().tobytes())
    return digest.hexdigest()
