"""Judge pictures of hands."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from PIL import Image
from simple_parsing import field, flag
from torch import Tensor

from agents.commands.generate import GRID, HOW_MADE
from agents.commands.judge_novelty import find_novelty
from hand_env.anatomy import Judge, Judgement, draw_overlay, judge_hands, summarise, wilson
from vae.device import resolve_device
from vae.images import PictureError, decode_picture, to_float
from vae.images.folder import SUFFIXES, pad_to_square

SMALLEST, LARGEST = 32, 256  # pictures are judged at their own size, within this range of pixels a side
TOGETHER = 64  # pictures per call

Found = TypeVar("Found")


@dataclass(frozen=True)
class JudgeArgs:
    """Judge pictures of hands with the fingers up: single files, or all pictures in a folder."""

    paths: list[Path] = field(positional=True, metavar="PATHS", nargs="+")
    """Pictures, or folders of pictures."""
    json: bool = flag(False, negative_prefix="--no-")
    """Print one JSON object per hand and a last one for all, each on its own line, instead of the summary."""
    crop: bool = flag(True, negative_prefix="--no-")
    """Find each hand first, cut it out and turn it upright; --no-crop judges pictures as they are."""
    overlay: Path | None = None
    """Folder for drawings of the judge's findings."""
    training: Path | None = None
    """Training pictures of the generator; copies of them are counted. For 11k Hands: those of the training people."""
    held_out: Path | None = None
    """Pictures of other people, which define what is a copy. Default for 11k Hands: those of the test people."""
    architecture: str = "parser"
    """'parser' may pay rewards; 'reporter' is only for reports."""
    weights: Path | None = None
    """Weights that judge-train wrote, in place of the packaged ones."""
    device: str = "cpu"
    """'auto', 'cpu', 'cuda' or 'cuda:N'."""


def judge(args: JudgeArgs) -> str:
    """Judge pictures.

    Args:
        args: Settings.

    Returns:
        What to print: a summary, or one JSON object per line. It names the pictures that cannot be read.

    Raises:
        FileNotFoundError: If a path does not exist, or a folder holds no picture.
        ValueError: If no picture can be read.
    """
    files = find_pictures(args.paths)
    judge = Judge.load(args.weights, architecture=args.architecture, device=resolve_device(args.device))
    files, pictures, odd = read_pictures(files)
    each = _judge_all(judge, pictures) if args.crop else [[one] for one in judge_each(judge, pictures)]
    new = find_novelty(judge, pictures, args.training, args.held_out).new.tolist() if args.training else None
    judgements = [one for hands in each for one in hands]
    if args.overlay:
        args.overlay.mkdir(parents=True, exist_ok=True)
        for number, (file, picture, hands) in enumerate(zip(files, pictures, each, strict=True)):
            for tail, one in _numbered(hands):
                name = f"{number:04d}-{file.stem}{tail}.png"
                Image.fromarray(draw_overlay(picture, one)).save(args.overlay / name)
    if args.json:
        rows = [*_rows(files, each, new), *_odd_rows(odd), _last(judgements, len(files))]
        return "\n".join(map(json.dumps, rows))
    told = [describe(judgements, len(files)), *([f"new         {wilson(sum(new), len(new))}"] if new else [])]
    told += [f"left out: {error}" for _, error in odd]
    return "\n".join(told)


def _rows(
    files: Sequence[Path], each: Sequence[Sequence[Judgement]], new: Sequence[bool] | None
) -> Iterator[dict[str, Any]]:
    for number, (file, hands) in enumerate(zip(files, each, strict=True)):
        for tail, one in _numbered(hands):
            row = {"image": f"{file}{tail}", **one.to_dict()}
            yield row if new is None else {**row, "new": new[number]}


def _numbered(hands: Sequence[Judgement]) -> Iterator[tuple[str, Judgement]]:
    """Yield "#1", "#2", ... with the hands of a picture; "" with a single one."""
    for number, one in enumerate(hands, 1):
        yield f"#{number}" if len(hands) > 1 else "", one


def _odd_rows(odd: Sequence[tuple[Path, str]]) -> list[dict[str, str]]:
    return [{"image": str(file), "error": error} for file, error in odd]


def _last(judgements: Sequence[Judgement], pictures: int) -> dict[str, Any]:
    return {"summary": {"n": len(judgements), "pictures": pictures, **summarise(judgements).to_dict()}}


def judge_each(judge: Judge, pictures: Sequence[Tensor], *, crop: bool = False) -> list[Judgement]:
    """Judge pictures of different sizes; pictures of the same size are judged together.

    Args:
        judge: The judge.
        pictures: (3, S, S) float32 in [0, 1] each.
        crop: As in `hand_env.anatomy.judge_images`.

    Returns:
        One judgement per picture, in order.
    """
    return _by_size(pictures, lambda images: judge.judge(images, crop=crop))


def _judge_all(judge: Judge, pictures: Sequence[Tensor]) -> list[list[Judgement]]:
    """Find and judge every hand of each picture."""
    return _by_size(pictures, lambda images: judge_hands(judge, images))


def _by_size(pictures: Sequence[Tensor], find: Callable[[Tensor], list[Found]]) -> list[Found]:
    found: dict[int, Found] = {}
    for size in {picture.shape[-1] for picture in pictures}:
        rows = [row for row, picture in enumerate(pictures) if picture.shape[-1] == size]
        for start in range(0, len(rows), TOGETHER):
            some = rows[start : start + TOGETHER]
            found.update(zip(some, find(torch.stack([pictures[row] for row in some])), strict=True))
    return [found[row] for row in range(len(pictures))]


def find_pictures(paths: Sequence[Path]) -> list[Path]:
    """List pictures, those in folders and subfolders by name; the overview grid that `generate` writes is skipped.

    Raises:
        FileNotFoundError: If a path does not exist, or a folder holds no picture.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file())
            inside = [file for file in inside if not _is_overview(file)]
            if not inside:
                raise FileNotFoundError(f"No pictures under {str(path)!r} (looked for *{', *'.join(SUFFIXES)}).")
            found += inside
        elif path.is_file():
            found.append(path)
        else:
            raise FileNotFoundError(f"{str(path)!r} must be a picture or a folder of pictures, and there is none.")
    return found


def _is_overview(file: Path) -> bool:
    return file.name == GRID and (file.parent / HOW_MADE).is_file()


def read_pictures(files: Sequence[Path]) -> tuple[list[Path], list[Tensor], list[tuple[Path, str]]]:
    """Read pictures, and skip those that cannot be read.

    Returns:
        The files that were read, their pictures, and the other files with their errors.

    Raises:
        ValueError: If none can be read; it gives the error of the first file.
    """
    good, pictures, odd = [], [], []
    for file in files:
        try:
            pictures.append(read_picture(file))
            good.append(file)
        except ValueError as error:
            odd.append((file, str(error)))
    if not good:
        raise ValueError(odd[0][1])
    return good, pictures, odd


def read_picture(file: Path) -> Tensor:
    """Read a picture at its own size, padded to a square.

    Returns:
        (3, S, S) float32 in [0, 1], S in 32..256.

    Raises:
        ValueError: If it cannot be read.
    """
    try:
        with Image.open(file) as image:
            side = max(image.size)
        return to_float(torch.from_numpy(decode_picture(file, min(max(side, SMALLEST), LARGEST), pad_to_square)))
    except (PictureError, OSError) as error:
        raise ValueError(f"{str(file)!r} cannot be judged: {error}.") from error


def describe(judgements: Sequence[Judgement], pictures: int) -> str:
    """Write a summary as text: rates among the hands; a picture may show several."""
    summary = summarise(judgements)
    lines = [
        f"pictures    {pictures}",
        *([f"hands       {len(judgements)}"] if len(judgements) != pictures else []),
        f"anatomical  {summary.anatomical}",
        f"correct     {summary.correct}",
        f"trusted     {summary.trusted}",
    ]
    if summary.correct_trusted:
        lines.append(f"correct among the trusted  {summary.correct_trusted}")
    lines.append(f"mean score  {summary.score:.3f}")
    if summary.batches:
        lines.append(f"batches of 20 with at least 15 correct: {summary.good_batches} of {summary.batches}")
    for title, counts in (("failed, by criterion:", summary.failures), ("not trusted, by reason:", summary.doubts)):
        some = [f"  {name}: {count}" for name, count in counts.items() if count]
        lines += [title, *some] if some else []
    return "\n".join(lines)
