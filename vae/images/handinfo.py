"""Read `HandInfo.csv`, the table that comes with 11k Hands: who is in a picture, and which hand it shows."""

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from vae.images.labels import is_file_name

COLUMNS = (
    "id",
    "accessories",
    "aspectOfHand",
    "imageName",
    "irregularities",
)  # the columns that are read; the table may have others
ASPECTS = ("dorsal left", "dorsal right", "palmar left", "palmar right")
_ID = re.compile(r"([0-9]{1,7})(\.0*)?")  # a spreadsheet drops leading zeros, a table of floats adds ".0"
WAY_OUT = "Copy HandInfo.csv again from the 11k Hands download."


@dataclass(frozen=True)
class HandRow:
    """One row of the table, which describes one photograph.

    Attributes:
        image: File name in the folder `Hands`.
        person: The person's id, seven digits.
        side: 'dorsal' or 'palmar'.
        hand: 'left' or 'right'.
        accessories: Whether rings, watches or similar things are visible.
        irregularities: Whether the hand or the picture is irregular.
    """

    image: str
    person: str
    side: str
    hand: str
    accessories: bool
    irregularities: bool


def read_handinfo(path: Path) -> tuple[HandRow, ...]:
    """Read and check the table.

    Args:
        path: Path of `HandInfo.csv`.

    Returns:
        A row for each photograph of the full data set, even if its file is missing.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it cannot be read, or is malformed; the message names file, line, rule and value.
    """
    if not path.exists():
        raise FileNotFoundError(
            f"{str(path)!r} is missing. It comes with the 11k Hands download, next to the folder Hands."
        )
    if not path.is_file():  # reading a pipe would wait forever
        raise ValueError(f"{str(path)!r} must be a regular file. {WAY_OUT}")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{str(path)!r} must be a UTF-8 text file, but {error}. {WAY_OUT}") from error
    rows: dict[str, HandRow] = {}
    for line, values in _lines(path, text):
        row = _row(path, line, values)
        if row.image in rows:
            _fail(path, line, "imageName must be in one row only", row.image)
        rows[row.image] = row
    if not rows:
        raise ValueError(f"{str(path)!r} must have a row for each picture, but has none. {WAY_OUT}")
    return tuple(rows.values())


def _lines(path: Path, text: str) -> Iterator[tuple[int, dict[str, str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = next(reader, [])
        if missing := [column for column in COLUMNS if column not in header]:
            _fail(
                path,
                1,
                f"the header must have the columns {', '.join(COLUMNS)}; {missing[0]} is missing",
                header,
            )
        for cells in reader:
            if not cells:
                continue  # a blank line
            if len(cells) != len(header):
                _fail(path, reader.line_num, f"a row must have {len(header)} values", cells)
            yield reader.line_num, dict(zip(header, cells, strict=True))
    except csv.Error as error:
        raise ValueError(f"{str(path)!r}, line {reader.line_num}: {error}. {WAY_OUT}") from error


def _row(path: Path, line: int, values: dict[str, str]) -> HandRow:
    person = _ID.fullmatch(values["id"].strip())
    if not person:
        _fail(path, line, "id must be a person's number of up to 7 digits", values["id"])
    if values["aspectOfHand"] not in ASPECTS:
        _fail(path, line, f"aspectOfHand must be one of {', '.join(ASPECTS)}", values["aspectOfHand"])
    for column in ("accessories", "irregularities"):
        if values[column] not in ("0", "1"):
            _fail(path, line, f"{column} must be 0 or 1", values[column])
    image = values["imageName"]
    if not is_file_name(image):
        _fail(path, line, "imageName must be a file name without a folder", image)
    side, hand = values["aspectOfHand"].split()
    return HandRow(image, person[1].zfill(7), side, hand, values["accessories"] == "1", values["irregularities"] == "1")


def _fail(path: Path, line: int, rule: str, value: object) -> NoReturn:
    raise ValueError(f"{str(path)!r}, line {line}: {rule}, got {value!r}. {WAY_OUT}")
