"""Judge pictures of hands."""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from simple_parsing import field, flag
from torch import Tensor

from agents.commands.judge.novelty import find_novelty, read_known
from agents.runs.lock import held
from agents.runs.run_folder import claim_folder
from hand_env.anatomy import Judge, Judgement, draw_overlay, judge_hands, summarise, wilson
from hand_env.anatomy.picture_files import FoundPictures, read_paths, square_around
from vae.device import resolve_device
from vae.images import to_float
from vae.images.overview import is_overview, save_overview
from vae.progress import progress_bar

CHUNK = 64  # pictures per call
DRAWING = re.compile(r"\d{4,}-.*\.png", re.DOTALL)  # the name of a drawing
LONGEST = 200  # bytes of a picture's name in that of its drawing; file systems take 255 in all

Found = TypeVar("Found")


@dataclass(frozen=True)
class JudgeArgs:
    """Judge pictures of hands with the fingers up: single files, or all pictures in a folder."""

    paths: list[Path] = field(positional=True, metavar="PATHS", nargs="+")
    """Pictures, or folders of pictures."""
    json: bool = flag(False, negative_prefix="--no-")
    """Print one JSON object per hand, one per picture that could not be read ("error"), and a last one for all, each on
    its own line, instead of the summary. Places are pixels of the file, also where it was padded or shrunk."""
    crop: bool = flag(True, negative_prefix="--no-")
    """Find each hand first, cut it out and turn it upright; --no-crop judges pictures as they are."""
    overlay: Path | None = None
    """Folder for drawings of the judge's findings; those of an earlier call are removed. No command takes them for
    pictures of hands."""
    training: Path | None = None
    """Training pictures of the generator; copies of them are counted. For 11k Hands: those of the training people."""
    held_out: Path | None = None
    """Pictures of other people, which define what is a copy. Default for 11k Hands: those of the test people."""
    architecture: str | None = None
    """'parser', the default, may pay rewards; 'reporter' is only for reports."""
    weights: Path | None = None
    """Weights that judge-train wrote, in place of the packaged ones."""
    device: str = "cpu"
    """'auto', 'cpu', 'cuda' or 'cuda:N'."""


def judge(args: JudgeArgs) -> str:
    """Judge pictures.

    Args:
        args: Settings.

    Returns:
        What to print: a summary, or one JSON object per line. It names what was left out.

    Raises:
        FileNotFoundError: If a path does not exist, or a folder holds no picture.
        ValueError: If a picture that was named itself cannot be read, or none can. Also if the folder for drawings
            holds other files or is in use, or if there are held-out pictures but no training pictures.
    """
    if args.held_out is not None and args.training is None:
        raise ValueError(f"--held-out belongs to --training, which is not given, got {str(args.held_out)!r}.")
    with nullcontext() if args.overlay is None else held(args.overlay, "--overlay"):
        return _judge(args)


def _judge(args: JudgeArgs) -> str:
    judge = load_judge(args.weights, args.architecture, args.device)
    found = read_paths(args.paths)
    files, pictures = found.files, found.pictures
    earlier = _claim_drawings(args.overlay) if args.overlay else []
    known = read_known(args.training, args.held_out) if args.training else None
    each = _judge_all(judge, pictures) if args.crop else [[one] for one in judge_each(judge, pictures)]
    new = find_novelty(judge, pictures, *known).new.tolist() if known else None
    judgements = [one for hands in each for one in hands]
    if args.overlay:
        for drawing in earlier:  # not before the new ones can be drawn
            drawing.unlink()
        bar = progress_bar(files, "Drawing what was found", unit="pictures")
        for number, (file, picture, hands) in enumerate(zip(bar, pictures, each, strict=True)):
            for tail, one in _numbered(hands):
                drawing = args.overlay / f"{number:04d}-{_short(file.stem)}{tail}.png"
                save_overview(drawing, draw_overlay(to_float(picture), one))
    if args.json:
        odd = [{"image": problem.name, "error": problem.reason} for problem in found.problems]
        rows = [*_rows(found, each, new), *odd, _last(judgements, found, new)]
        return "\n".join(map(json.dumps, rows))
    told = [describe(judgements, len(files)), *([f"new         {wilson(sum(new), len(new))}"] if new else [])]
    return "\n".join([*told, *(f"left out: {problem}" for problem in found.problems), *found.notes])


def load_judge(weights: Path | None, architecture: str | None, device: str) -> Judge:
    """Load a judge as the flags say: --weights, --architecture and --device.

    Raises:
        ValueError: If the weights are of another architecture than the one that was given.
    """
    judge = Judge.load(weights, architecture=architecture or "parser", device=resolve_device(device))
    own = judge.calibration.architecture
    if weights and architecture not in (None, own):
        raise ValueError(
            f"--weights {str(weights)!r} must hold a judge of the --architecture {architecture!r}, and holds a "
            f"{own!r}. Leave one of the two flags out."
        )
    return judge


def _claim_drawings(folder: Path) -> list[Path]:
    """Make a folder for drawings, or return those in it if it holds nothing but drawings of this command."""
    claim_folder(folder, "--overlay", is_overview)
    there = sorted(entry for entry in folder.iterdir() if entry.name[0] != ".")
    others = [entry for entry in there if not (DRAWING.fullmatch(entry.name) and is_overview(entry))]
    if others:
        raise ValueError(
            f"--overlay '{folder}' must hold nothing but drawings of this command, but it holds {others[0].name!r}. "
            "Choose another --overlay."
        )
    return there


def _short(stem: str) -> str:
    """Cut a file's name so that a drawing's name, which is longer, is none too long."""
    return stem.encode("utf-8", "surrogateescape")[:LONGEST].decode("utf-8", "ignore")


def _rows(
    found: FoundPictures, each: Sequence[Sequence[Judgement]], new: Sequence[bool] | None
) -> Iterator[dict[str, Any]]:
    for number, (file, picture, hands) in enumerate(zip(found.files, found.pictures, each, strict=True)):
        side, left, top = square_around(file)
        for tail, one in _numbered(hands):
            row = {"image": f"{file}{tail}", **one.placed(-left, -top, side / picture.shape[-1]).to_dict()}
            yield row if new is None else {**row, "new": new[number]}


def _numbered(hands: Sequence[Judgement]) -> Iterator[tuple[str, Judgement]]:
    """Yield "#1", "#2", ... with the hands of a picture; "" with a single one."""
    for number, one in enumerate(hands, 1):
        yield f"#{number}" if len(hands) > 1 else "", one


def _last(judgements: Sequence[Judgement], found: FoundPictures, new: Sequence[bool] | None) -> dict[str, Any]:
    counts = {"n": len(judgements), "pictures": len(found.files), "left_out": len(found.problems)}
    share = {} if new is None else {"new": asdict(wilson(sum(new), len(new)))}
    return {"summary": {**counts, **summarise(judgements).to_dict(), **share, "notes": found.notes}}


def judge_each(judge: Judge, pictures: Sequence[Tensor], *, crop: bool = False) -> list[Judgement]:
    """Judge pictures of different sizes; pictures of the same size are judged together.

    Args:
        judge: The judge.
        pictures: (3, S, S) uint8 each.
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
    with progress_bar(title="Judging", unit="pictures", total=len(pictures)) as bar:
        for size in {picture.shape[-1] for picture in pictures}:
            rows = [row for row, picture in enumerate(pictures) if picture.shape[-1] == size]
            for start in range(0, len(rows), CHUNK):
                some = rows[start : start + CHUNK]
                images = to_float(torch.stack([pictures[row] for row in some]))
                found.update(zip(some, find(images), strict=True))
                bar.update(len(some))
    return [found[row] for row in range(len(pictures))]


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
    if summary.anatomical_trusted and summary.correct_trusted:
        lines.append(f"anatomical among the trusted  {summary.anatomical_trusted}")
        lines.append(f"correct among the trusted  {summary.correct_trusted}")
    lines.append(f"mean score  {summary.score:.3f}")
    if summary.batches:
        lines.append(f"batches of 20 with at least 15 correct: {summary.good_batches} of {summary.batches}")
    for title, counts in (("failed, by criterion:", summary.failures), ("not trusted, by reason:", summary.doubts)):
        some = [f"  {name}: {count}" for name, count in counts.items() if count]
        lines += [title, *some] if some else []
    return "\n".join(lines)
