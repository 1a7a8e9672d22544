"""Read a labels.csv: a table that says what the pictures of a folder show."""

import csv
from collections.abc import Sequence
from pathlib import Path


def read_labels(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """Read and check the table.

    Args:
        path: The file.
        columns: Columns that it must have; "image" is one of them.

    Returns:
        A dict for each row.

    Raises:
        ValueError: If it cannot be read, lacks a column or a value, or names a picture in another folder.
    """
    if not path.is_file():  # reading a pipe would wait forever
        raise ValueError(f"{str(path)!r} must be a regular file, and is none.")
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            rows, header = list(reader), reader.fieldnames or []
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{str(path)!r} must be a table of comma-separated values in UTF-8, but {error}.") from error
    if missing := [column for column in columns if column not in header]:
        raise ValueError(f"{str(path)!r} must have the columns {', '.join(columns)}; {missing[0]} is missing.")
    for number, row in enumerate(rows, 1):
        if None in row or None in row.values():
            raise ValueError(f"{str(path)!r}, row {number}: a row must have {len(header)} values.")
        if not is_file_name(row["image"]):
            raise ValueError(f"{str(path)!r}, row {number}: image must be a file name, got {row['image']!r}.")
    return rows


def is_file_name(text: str) -> bool:
    """Return whether a text names a file without a folder, so that it cannot lead out of one."""
    return text not in ("", ".", "..") and Path(text).name == text and not set(text) & {"\\", "\0"}
