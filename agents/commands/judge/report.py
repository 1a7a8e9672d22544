"""Measure the judge and print the table."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from simple_parsing import flag
from torch import Tensor

from agents.command_line.flags import check_at_least
from agents.commands.judge.command import judge_each, load_judge
from agents.runs.lock import held
from agents.runs.pictures import tell
from agents.runs.run_folder import claim_folder
from hand_env.anatomy import Judge, draw_overlay
from hand_env.anatomy.picture_files import read_files
from hand_env.anatomy.report import (
    Case,
    Row,
    cleanest_photographs,
    cluttered_grounds,
    compose_scenes,
    count_cases,
    judge_scenes,
    measure,
    measure_novelty,
    outside_pictures,
    outside_table,
    report_cases,
    scene_table,
    why_rejected,
    write_outside,
    write_table,
)
from vae.images import to_float
from vae.images.folder import is_hands11k
from vae.images.hands11k import left_out
from vae.images.overview import is_overview, save_overview
from vae.progress import progress_bar

DRAWN = 20  # pictures of a kind that are drawn, at most


@dataclass(frozen=True)
class JudgeReportArgs:
    """Measure the judge on people, seeds and edits that its training never used; print a table."""

    data: Path | None = None
    """Folder that holds 11k-hands and judged-hands; without it, only synthetic hands are judged."""
    outside: Path | None = None
    """Folder of labelled pictures from other sources, with a labels.csv: judge only these, with the crop."""
    scenes: bool = flag(False, negative_prefix="--no-")
    """Put test people's hands, right and edited, on cluttered backgrounds; judge only these, with the crop."""
    size: int = 64
    """Pixels a side of the pictures: 64 or 128; with --scenes also 256."""
    n: int = 300
    """Number of synthetic hands with each defect; twice as many have none."""
    architecture: str | None = None
    """'parser', the default, or 'reporter'."""
    weights: Path | None = None
    """Weights that judge-train wrote, in place of the packaged ones."""
    wrong: Path | None = None
    """Folder for drawings of the pictures with a wrong verdict, at most 20 of each kind."""
    device: str = "cpu"
    """'auto', 'cpu', 'cuda' or 'cuda:N'."""


def judge_report(args: JudgeReportArgs) -> str:
    """Measure the judge on all cases, and on copies if there are photographs.

    Args:
        args: Settings.

    Returns:
        The table.

    Raises:
        FileNotFoundError: If the data folder does not hold the download.
        ValueError: If a setting is out of its range, or the folder for drawings holds other files or is in use.
    """
    sizes = (64, 128, 256) if args.scenes else (64, 128)
    if args.size not in sizes:
        raise ValueError(f"--size must be {' or '.join(map(str, sizes))}, got {args.size!r}.")
    check_at_least(1, args, "n")
    if args.scenes and (args.outside or not args.data):
        raise ValueError("--scenes needs --data, the folder that holds 11k-hands, and excludes --outside.")
    if args.outside and args.data:
        raise ValueError(f"--outside judges other pictures than --data, got both. Leave out --data {str(args.data)!r}.")
    if args.data and not is_hands11k(args.data / "11k-hands"):
        raise FileNotFoundError(
            f"--data must be the folder that holds 11k-hands, got {str(args.data)!r}, which does not."
        )
    if args.data:
        tell(left_out(args.data / "11k-hands"))
    if not args.wrong:
        return _judge_report(args)
    with held(args.wrong, "--wrong"):
        claim_folder(args.wrong, "--wrong", is_overview)
        others = [entry.name for entry in args.wrong.iterdir() if entry.name[0] != "." and not is_overview(entry)]
        if others:
            raise ValueError(
                f"--wrong '{args.wrong}' must hold nothing but drawings, but it holds {min(others)!r}. Choose another "
                "--wrong."
            )
        return _judge_report(args)


def _judge_report(args: JudgeReportArgs) -> str:
    judge = load_judge(args.weights, args.architecture, args.device)
    name = judge.calibration.architecture
    if args.outside:
        return f"{name}, pictures from elsewhere\n{_outside(judge, args.outside, args.wrong)}"
    if args.scenes and args.data:
        return f"{name}, {args.size} pixels, in scenes\n{_scenes(judge, args.data, args)}"
    rows = []
    cases = measure(judge, report_cases(args.size, args.data, args.n))
    total = count_cases(args.size, args.data)
    for case, row in progress_bar(cases, "Measuring", unit="cases", total=total, leave=True):
        rows.append(row)
        if args.wrong:
            _draw_wrong(args.wrong, judge, case, row)
    lines = [f"{name}, {args.size} pixels", write_table(rows)]
    if args.data:
        found, new = measure_novelty(judge, args.data / "11k-hands", args.size)
        lines += [
            f"copies of training photographs found       {found}",
            f"test people's photographs called new       {new}",
        ]
    return "\n".join(lines)


def _outside(judge: Judge, root: Path, wrong: Path | None) -> str:
    listed = outside_pictures(root)
    pixels = read_files([picture.file for picture in listed])
    judgements = judge_each(judge, pixels, crop=True)
    drawn = Counter[str]()
    for number, (picture, image, judgement) in enumerate(zip(listed, pixels, judgements, strict=True)):
        kind = f"{'right' if picture.right else 'wrong'}-{picture.scene}"
        if wrong and judgement.anatomical != picture.right and drawn[kind] < DRAWN:
            drawn[kind] += 1
            save_overview(wrong / f"{kind}-{number:04d}.png", draw_overlay(to_float(image), judgement))
    return write_outside(outside_table(listed, judgements))


def _scenes(judge: Judge, data: Path, args: JudgeReportArgs) -> str:
    made = list(compose_scenes(cleanest_photographs(data / "11k-hands"), args.size, cluttered_grounds()))
    if not made:
        raise ValueError(f"--data must hold a test person's photograph with a clear outline, got {str(data)!r}.")
    judged = list(zip(made, judge_scenes(judge, made), strict=True))
    drawn = Counter[str]()
    for number, (scene, judgement) in enumerate(judged):
        kind = f"{scene.condition}-{scene.edit}".replace(",", "").replace(" ", "-")
        if args.wrong and judgement.anatomical != (scene.edit == "none") and drawn[kind] < DRAWN:
            drawn[kind] += 1
            save_overview(args.wrong / f"{kind}-{number:04d}.png", draw_overlay(to_float(scene.image), judgement))
    return f"{write_outside(scene_table(judged))}\n{why_rejected(judged)}"


def _draw_wrong(folder: Path, judge: Judge, case: Case, row: Row) -> None:
    for index in row.wrong[:DRAWN]:
        image: Tensor = to_float(case.images[index])
        drawn = draw_overlay(image, judge.judge(image.unsqueeze(0))[0])
        save_overview(folder / f"{case.name.replace(' ', '-')}-{index:04d}.png", drawn)
