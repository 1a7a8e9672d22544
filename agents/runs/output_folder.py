"""Make a folder for pictures that appear in it together, when all are written."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agents.runs.lock import held
from agents.runs.run_folder import claim

_UNFINISHED, _COMPLETE = ".unfinished", ".complete"  # subfolders; the second is left only by a kill while files move


@contextmanager
def new_pictures(folder: Path) -> Iterator[Path]:
    """Make a folder for pictures, and fill it at the end of `with`.

    If the process is killed before, the same command starts over. If it is killed while the files move, all of them are
    written, and the next command moves the rest.

    Args:
        folder: The folder.

    Yields:
        The folder to write to, whose files move to `folder`.

    Raises:
        ValueError: If it holds a run, or pictures of an earlier command, or anything else, or is in use, or no folder.
    """
    with held(folder):
        side, complete = folder / _UNFINISHED, folder / _COMPLETE
        _move(complete, folder)
        shutil.rmtree(side, ignore_errors=True)
        if any(folder.glob("hand-*.png")):
            raise ValueError(f"--out '{folder}' already holds pictures. Choose another --out, or move them away.")
        claim(folder)
        side.mkdir()
        try:
            yield side
            side.rename(complete)
        finally:
            shutil.rmtree(side, ignore_errors=True)
        _move(complete, folder)


def _move(complete: Path, folder: Path) -> None:
    if not complete.is_dir():
        return
    for path in sorted(complete.iterdir()):
        path.replace(folder / path.name)
    complete.rmdir()
