"""List the pictures under a folder, and what is left out. Nothing else in the project searches folders for pictures."""

import os
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from vae.images.image_set import Problem
from vae.images.overview import is_overview

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm")


@dataclass(frozen=True)
class Listing:
    """The pictures under a folder.

    Attributes:
        root: The folder.
        names: Their paths under it, with "/", sorted.
        left_out: What else lies there, each with its reason, sorted by name. Hidden files that are not named like
            pictures are not in it.
    """

    root: Path
    names: tuple[str, ...]
    left_out: tuple[Problem, ...]

    @property
    def notes(self) -> tuple[str, ...]:
        """One sentence for each reason to leave something out, with the number and an example."""
        first = {problem.reason: problem.name for problem in reversed(self.left_out)}
        return tuple(
            f"Left out under {str(self.root)!r}: {first[reason]!r}, which {reason}."
            if count == 1
            else f"{count:,} files under {str(self.root)!r} are left out, such as {first[reason]!r}, which {reason}."
            for reason, count in Counter(problem.reason for problem in self.left_out).items()
        )

    def need_pictures(self) -> None:
        """Raise FileNotFoundError if there is no picture."""
        if not self.names:
            because = " ".join(
                (f"No pictures under {str(self.root)!r} (looked for *{', *'.join(SUFFIXES)}).", *self.notes)
            )
            raise FileNotFoundError(because)


def list_pictures(root: Path) -> Listing:
    """List the pictures under a folder, by their names and without opening them.

    Hidden files, hidden folders and overviews of this project (`is_overview`) are left out. Links are followed; a link
    to a folder or a file that is read anyway is left out, so that no picture comes twice and no circle is endless.

    Args:
        root: The folder.

    Raises:
        OSError: If a folder cannot be read: to leave it out would lose its pictures.
    """
    names, left_out, links = list[str](), list[Problem](), dict[str, str]()
    plain = set[str]()  # the files' own places
    start, read = Path(os.path.realpath(root)), set[Path]()
    waiting = deque([(root, "")])  # links come last, so that a folder that is not a link gives its pictures their names
    while waiting:
        folder, prefix = waiting.popleft()
        real = Path(os.path.realpath(folder))
        if real in read or real in start.parents:
            left_out.append(Problem(prefix.rstrip("/"), "is a link to a folder that is read anyway or lies around it"))
            continue
        read.add(real)
        for entry in _entries(folder):
            name, is_folder = prefix + entry.name, os.path.isdir(entry)
            reason = _why_not(entry, is_folder)
            if reason is not None:
                left_out += [Problem(name, reason)] if reason else []
            elif is_folder:
                wait = waiting.append if entry.is_symlink() else waiting.appendleft
                wait((folder / entry.name, name + "/"))
            elif entry.is_symlink():
                links[name] = os.path.realpath(entry)
            else:
                names.append(name)
                plain.add(os.path.join(real, entry.name))
    for name, target in sorted(links.items()):
        if target in plain:
            left_out.append(Problem(name, "is a link to a picture that is read anyway"))
        else:
            names.append(name)
            plain.add(target)
    return Listing(root, tuple(sorted(names)), tuple(sorted(left_out, key=lambda problem: problem.name)))


def _why_not(entry: os.DirEntry[str], is_folder: bool) -> str | None:
    """Say why an entry is left out; "" if nobody asks why, None if it is not."""
    hidden = entry.name.startswith(".")
    if not is_folder and Path(entry.name).suffix.lower() not in SUFFIXES:
        return "" if hidden else _no_picture(entry)
    if hidden:
        return "is hidden"
    return "is an overview that handlatent drew" if not is_folder and is_overview(Path(entry.path)) else None


def _no_picture(entry: os.DirEntry[str]) -> str:
    if entry.is_symlink() and not os.path.exists(entry):
        return "is a link that leads nowhere"  # it may stand for a folder on a disk that is not there
    return "is not named like a picture"


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            yield from sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise OSError(
            f"The folder {str(error.filename)!r} cannot be read: {error.strerror}. Change its permissions or move it "
            "away."
        ) from error
