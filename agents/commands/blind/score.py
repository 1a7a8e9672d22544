"""The command `handlatent blind score`: compare a person's answers with the key of the sheets."""

import json
import math
from collections.abc import Collection
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from agents.commands.blind.sheet_layout import read_sheets
from agents.commands.blind.sheets import KEY
from agents.runs.json_rules import OBJECT, check_rules, one_of, whole
from hand_env.anatomy import Judge, wilson
from hand_env.anatomy.summary import cohens_kappa
from vae.files import DamagedError, load_hashed_json, save_json
from vae.images import to_float
from vae.model import IMAGE_SIZES

SCORE = "blind.json"


@dataclass(frozen=True)
class BlindScoreArgs:
    """Count how many drawn hands a person took for photographs, and compare hands called wrong with the judge's."""

    folder: Path = field(metadata={"positional": True, "custom_args": {"metavar": "FOLDER"}})
    """Folder that `handlatent blind sheets` wrote."""
    answers: Path | None = None
    """Text file with the numbers taken for photographs, separated by blanks, commas or lines. Or one word of 0 and 1,
    with 1 for a photograph: a digit for each picture."""
    wrong: Path | None = None
    """Text file with the numbers of the hands that look wrong, in the same form. The reporting judge then judges the
    drawn hands."""


def blind_score(args: BlindScoreArgs) -> str:
    """Score the answers, and write blind.json beside the sheets. What it says of the other flag stays.

    Args:
        args: Settings.

    Returns:
        What to print: one line for each figure.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If no file of answers is given, or one breaks a rule, or the key is damaged.
    """
    if args.answers is None and args.wrong is None:
        raise ValueError("--answers or --wrong must name a file of numbers, got neither.")
    key = read_key(args.folder / KEY)
    n = 2 * key["n"]
    drawn = {int(number) for number in key["drawn"]}
    score: dict[str, Any] = {"n": key["n"]}
    earlier = _earlier(args.folder / SCORE, key["n"])
    if args.answers is not None:
        score |= score_answers(read_numbers(args.answers, "--answers", n), drawn, n)
    if args.wrong is not None:
        wrong = read_numbers(args.wrong, "--wrong", n)
        numbers = sorted(drawn)
        pictures = read_sheets(args.folder, n, key["size"])[[number - 1 for number in numbers]]
        judged = Judge.load(architecture="reporter").judge(to_float(pictures))
        score |= compare_with_judge(wrong, dict(zip(numbers, (one.correct for one in judged), strict=True)))
        score["photographs_wrong_by_eye"] = sorted(wrong - drawn)
    save_json(args.folder / SCORE, {**earlier, **score})
    return "\n".join(f"{name:<26}  {_text(value)}" for name, value in score.items())


def read_key(path: Path) -> dict[str, Any]:
    """Return what key.json says: "n", "size", and "drawn", whose keys are the numbers of the drawn hands.

    Raises:
        FileNotFoundError: If there is no such file.
        DamagedError: If a value is missing or wrong.
    """
    if not path.is_file():
        raise FileNotFoundError(f"'{path.parent}' has no {path.name}. Name the folder that `blind sheets` wrote.")
    try:
        return _checked(path, load_hashed_json(path))
    except DamagedError as error:
        raise DamagedError(f"{error}. Make new sheets with `blind sheets`, in another --out.") from error


def _checked(path: Path, key: dict[str, Any]) -> dict[str, Any]:
    rules = {"n": whole(1, 2**31), "size": one_of(*IMAGE_SIZES), "drawn": OBJECT}
    check_rules(path, key, rules)
    numbers = {str(number) for number in range(1, 2 * key["n"] + 1)}
    if len(key["drawn"]) != key["n"] or not key["drawn"].keys() <= numbers:
        raise DamagedError(f"'{path}' is damaged: drawn must name {key['n']} numbers in 1..{2 * key['n']}")
    return key


def _earlier(path: Path, n: int) -> dict[str, Any]:
    """Return the figures that were written before of these sheets."""
    found = load_hashed_json(path) if path.is_file() else {}
    return found if found.get("n") == n else {}


def score_answers(taken: Collection[int], drawn: Collection[int], n: int) -> dict[str, Any]:
    """Compare the numbers taken for photographs with those of the drawn hands.

    Args:
        taken: Numbers taken for photographs.
        drawn: Numbers of the drawn hands.
        n: Number of pictures, numbered from 1.

    Returns:
        Rates with Wilson's intervals: among the drawn hands, among the photographs, and right answers among all. An
        accuracy of 0.5 is a guess.

    Source: Zhou et al. 2019, "HYPE: A Benchmark for Human eYe Perceptual Evaluation of Generative Models".
    """
    photographs = set(range(1, n + 1)) - set(drawn)
    fooled, known = len(set(taken) & set(drawn)), len(set(taken) & photographs)
    rates = {
        "drawn_taken_for_photographs": wilson(fooled, len(drawn)),
        "photographs_taken_for_such": wilson(known, len(photographs)),
        "accuracy": wilson(known + len(drawn) - fooled, n),
    }
    return {name: asdict(rate) for name, rate in rates.items()}


def compare_with_judge(wrong: Collection[int], correct: dict[int, bool]) -> dict[str, Any]:
    """Compare the drawn hands called wrong by eye with the judge's verdicts.

    Args:
        wrong: Numbers called wrong by eye; those of photographs do not count.
        correct: The judge's verdict for each drawn hand's number.

    Returns:
        Rates with Wilson's intervals, Cohen's kappa (None if all verdicts of both are the same), and the numbers on
        which they differ.
    """
    eye = {number: number not in wrong for number in correct}
    alike = [number for number in correct if eye[number] == correct[number]]
    kappa = cohens_kappa(list(eye.values()), list(correct.values()))
    return {
        "right_by_eye": asdict(wilson(sum(eye.values()), len(eye))),
        "right_by_judge": asdict(wilson(sum(correct.values()), len(correct))),
        "alike": asdict(wilson(len(alike), len(correct))),
        "kappa": None if math.isnan(kappa) else kappa,
        "wrong_by_both": [number for number in alike if not eye[number]],
        "wrong_by_eye_alone": [number for number in correct if correct[number] and not eye[number]],
        "wrong_by_judge_alone": [number for number in correct if eye[number] and not correct[number]],
    }


def read_numbers(path: Path, flag: str, n: int) -> set[int]:
    """Read the numbers of pictures from a text file.

    Args:
        path: The file.
        flag: The flag that names it, for errors.
        n: Number of pictures.

    Returns:
        Numbers in 1..n.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file names no number, one twice, one outside 1..n, or something else.
    """
    if path.is_dir() or not path.exists():  # the file may be a pipe
        found = "a folder" if path.is_dir() else "nothing"
        raise FileNotFoundError(f"{flag} '{path}' must be a text file of numbers, and there is {found}.")
    words = path.read_text(encoding="utf-8", errors="replace").replace(",", " ").split()
    if not words:
        raise ValueError(f"{flag} '{path}' must name at least one number, got none. For none, write {n} zeros.")
    if len(words) == 1 and len(words[0]) == n and set(words[0]) <= set("01"):
        return {number for number, digit in enumerate(words[0], 1) if digit == "1"}
    numbers = set[int]()
    for word in words:
        if not (word.isascii() and word.isdigit() and len(word) <= len(str(n)) and 1 <= int(word) <= n):
            raise ValueError(f"{flag} '{path}' must hold numbers in 1..{n}, or {n} digits 0 and 1, got {word[:20]!r}.")
        if int(word) in numbers:
            raise ValueError(f"{flag} '{path}' must name each number once, got {word} twice. Remove one.")
        numbers.add(int(word))
    return numbers


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return f"{100 * value['share']:.1f} % ({100 * value['low']:.1f} to {100 * value['high']:.1f}) of {value['of']}"
    return json.dumps(value)
