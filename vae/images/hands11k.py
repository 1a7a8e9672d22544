"""Load photographs from 11k Hands (Afifi 2019), as downloaded: `Hands/*.jpg` and `HandInfo.csv`."""

from collections.abc import Mapping
from concurrent.futures import Executor
from pathlib import Path
from typing import Literal, get_args

from vae.checks import check_one_of
from vae.images.crop import CROP_VERSION, crop_to_hand
from vae.images.handinfo import HandRow, read_handinfo
from vae.images.image_set import ImageSet
from vae.images.listing import list_pictures
from vae.images.reading import check_size, choose, read_pictures
from vae.images.split import SPLIT_SEED, split_by_group

Side = Literal["all", "dorsal", "palmar"]
Hand = Literal["all", "left", "right"]
Keep = Literal["include", "exclude", "only"]
Part = Literal["train", "validation", "test"]
TABLE, HANDS = "HandInfo.csv", "Hands"  # what the download consists of


def load_hands11k(
    root: Path | str,
    size: int,
    *,
    side: Side = "all",
    hand: Hand = "all",
    accessories: Keep = "include",
    irregularities: Keep = "include",
    part: Part | None = None,
    n_images: int | None = None,
    seed: int = 0,
    cache_dir: Path | str | None = None,
    progress: bool = False,
    executor: Executor | None = None,
) -> ImageSet:
    """Load photographs of hands, each rotated to fingers up and cropped to the hand.

    Args:
        root: The folder that holds `HandInfo.csv` and `Hands`, or its `Hands` folder.
        size: Pixels a side, 8..1024.
        side: The back of the hand (dorsal), its palm (palmar), or both.
        hand: Which hand.
        accessories: Include or exclude pictures with rings, watches or similar things, or take only these.
        irregularities: Include or exclude pictures marked as irregular, or take only these.
        part: Take only the photographs of these people, by the project's own split; None takes all people.
        n_images: How many of the matching pictures to take, at random; None takes all.
        seed: Seed of that choice.
        cache_dir: Where decoded pictures are kept; see `cache_folder`.
        progress: Whether to show a progress bar outside `vae.progress.show_progress` too.
        executor: Decodes what the cache does not have, such as a pool of processes; None: a few threads.

    Returns:
        The pictures, sorted by name. Groups are the persons' ids; `all_groups` are all ids in `HandInfo.csv`. The
        notes count rows without a picture, pictures without a row, and what `list_pictures` leaves out.

    Raises:
        FileNotFoundError: If `HandInfo.csv`, `Hands`, or all of its pictures are missing.
        ValueError: If `HandInfo.csv` is malformed, a choice is unknown, or fewer than `n_images` pictures match.

    Warns:
        UserWarning: Once, if pictures cannot be used; see `read_pictures`.
    """
    size = check_size(size)
    choices: dict[str, str] = {
        "side": side,
        "hand": hand,
        "accessories": accessories,
        "irregularities": irregularities,
    }
    _check_choices(choices)
    if part is not None:
        check_one_of("part", part, get_args(Part))
        choices["part"] = part
    root = download_root(Path(root))
    rows = read_handinfo(root / TABLE)
    present, notes = _match(root, rows)
    people = tuple(sorted({row.person for row in rows}))
    matching = _of_part([row for row in present if _wanted(row, choices)], people, part)
    if not matching:
        chosen = ", ".join(f"{name}={value!r}" for name, value in choices.items())
        raise ValueError(f"None of the {len(present)} pictures in {str(root)!r} matches {chosen}. Use fewer filters.")
    chosen_rows = [matching[i] for i in choose(len(matching), n_images, seed, f"in {str(root)!r} that match")]
    pixels, usable, problems = read_pictures(
        [root / HANDS / row.image for row in chosen_rows],
        [row.image for row in chosen_rows],
        size,
        crop_to_hand,
        version=f"hand-{CROP_VERSION}",
        cache_dir=cache_dir,
        progress=progress,
        executor=executor,
    )
    return ImageSet(
        pixels=pixels,
        names=tuple(chosen_rows[i].image for i in usable),
        groups=tuple(chosen_rows[i].person for i in usable),
        all_groups=people,
        problems=problems,
        notes=notes,
    )


def left_out(root: Path | str) -> tuple[str, ...]:
    """Say what `load_hands11k` does not try to read, in the sentences of its notes, without reading a picture.

    Raises:
        FileNotFoundError: If `HandInfo.csv`, `Hands`, or all of its pictures are missing.
        ValueError: If `HandInfo.csv` is malformed.
    """
    root = download_root(Path(root))
    return _match(root, read_handinfo(root / TABLE))[1]


def download_root(root: Path) -> Path:
    """Return the folder of the download: the given one or, if that is its `Hands`, the parent."""
    root = root.absolute()
    if root.name == HANDS and not (root / TABLE).exists() and not (root / HANDS).exists():
        return root.parent
    return root


def _check_choices(choices: Mapping[str, str]) -> None:
    for (name, value), allowed in zip(choices.items(), (Side, Hand, Keep, Keep), strict=True):
        check_one_of(name, value, get_args(allowed))


def _match(root: Path, rows: tuple[HandRow, ...]) -> tuple[list[HandRow], tuple[str, ...]]:
    """Match rows and files; return the rows with a file, sorted by file name, and notes on the others."""
    folder = root / HANDS
    if not folder.is_dir():
        raise FileNotFoundError(f"{str(folder)!r} is missing. Unpack Hands.zip from 11k Hands next to HandInfo.csv.")
    listing = list_pictures(folder)
    files = set(listing.names)
    present = sorted((row for row in rows if row.image in files), key=lambda row: row.image)
    if not present:
        raise FileNotFoundError(
            f"None of the {len(rows)} pictures in HandInfo.csv is in {str(folder)!r}. "
            "Unpack Hands.zip from 11k Hands there."
        )
    notes = [*listing.notes]
    if absent := len(rows) - len(present):
        notes.append(f"{absent:,} of {len(rows):,} rows of HandInfo.csv have no picture in {str(folder)!r}.")
    if unknown := sorted(files - {row.image for row in rows}):
        notes.append(
            f"Pictures in {str(folder)!r} without a row in HandInfo.csv are left out: {len(unknown):,}, such as "
            f"{unknown[0]!r}."
        )
    return present, tuple(notes)


def _of_part(matching: list[HandRow], people: tuple[str, ...], part: Part | None) -> list[HandRow]:
    if part is None or not matching:
        return matching
    split = split_by_group(people, people, seed=SPLIT_SEED)  # of all people: a choice of pictures moves nobody
    those = {people[place] for place in getattr(split, part).tolist()}
    return [row for row in matching if row.person in those]


def _wanted(row: HandRow, choices: Mapping[str, str]) -> bool:
    return (
        choices["side"] in ("all", row.side)
        and choices["hand"] in ("all", row.hand)
        and choices["accessories"] in ("include", "only" if row.accessories else "exclude")
        and choices["irregularities"] in ("include", "only" if row.irregularities else "exclude")
    )
