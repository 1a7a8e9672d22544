"""Measure the layout of the packages: `python docs/check_layout.py [FOLDER]`, by default of this checkout.

It prints how many files, lines, rooms and arrows there are. A room is a folder with modules; an arrow says that a room
imports another one. Floors are the longest chain of rooms, one above the other. What an `__init__.py` exports
again counts for no arrow: it shows a package's inside to others.

It also prints each break of a rule. Modules do not import each other in a circle. A command imports no other one, with
the exceptions in `USES`. A folder has at most 16 modules, a file at most 400 lines. The last line counts README's
words and the long sentences in all that people read.
"""

import ast
import sys
from collections.abc import Collection, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from check_words import LONGEST, count_words, files, sentences, texts

PACKAGES = ("vae", "hand_env", "agents")
MOST_MODULES, MOST_LINES = 16, 400  # of a folder, of a file
COMMANDS = "agents.commands."
# These commands run others, or describe how to.
USES = {"recipe": {"refine"}, "package": {"recipe", "refine"}, "sweep": {"train", "refine", "recipe", "compare"}}

Arrows = Mapping[str, Collection[str]]


def modules(root: Path) -> dict[str, Path]:
    """Return the files of all packages by the names of their modules."""
    paths = [path for package in PACKAGES for path in sorted((root / package).rglob("*.py"))]
    return {".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): path for path in paths}


def imports(path: Path, known: Collection[str]) -> set[str]:
    """Return the modules among the known ones that a file imports, at its head or inside a function."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module in known:
            names = (f"{node.module}.{alias.name}" for alias in node.names)
            found |= {name if name in known else str(node.module) for name in names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name in known}
    return found


def arrows_of_modules(known: Mapping[str, Path]) -> dict[str, set[str]]:
    """Return for each module what it imports; an `__init__.py` is left out, as said above."""
    inner = {name: path for name, path in known.items() if path.name != "__init__.py"}
    return {name: imports(path, known) - {name} for name, path in inner.items()}


def arrows_of_rooms(arrows: Arrows, known: Mapping[str, Path]) -> dict[str, set[str]]:
    """Return for each room the other rooms that its modules import."""
    found: dict[str, set[str]] = {room(name, known): set() for name in known}
    for name, targets in arrows.items():
        found[room(name, known)] |= {room(target, known) for target in targets} - {room(name, known)}
    return found


def room(name: str, known: Mapping[str, Path]) -> str:
    """Return the room that a module is in."""
    return name if known[name].name == "__init__.py" else name.rpartition(".")[0]


def circle(arrows: Arrows) -> list[str]:
    """Return a circle of imports, or an empty list."""
    try:
        TopologicalSorter(arrows).prepare()
    except CycleError as error:
        return list(reversed(error.args[1]))
    return []


def floors(arrows: Arrows) -> int:
    """Return the length of the longest chain; those that reach each other share a floor."""
    reach = {name: _reached(name, arrows) for name in arrows}
    height: dict[str, int] = {}
    upwards = sorted(arrows, key=lambda name: (len(reach[name]), name not in reach[name]))  # a group, then what uses it
    for name in upwards:
        below = [other for other in reach[name] if name not in reach[other]]
        height[name] = 1 + max((height[other] for other in below), default=0)
    return max(height.values())


def mutual(arrows: Arrows) -> list[list[str]]:
    """Return the groups of those that reach each other."""
    reach = {name: _reached(name, arrows) for name in arrows}
    groups = {frozenset({name, *(other for other in reach[name] if name in reach[other])}) for name in arrows}
    return sorted(sorted(group) for group in groups if len(group) > 1)


def _reached(name: str, arrows: Arrows) -> set[str]:
    found, waiting = set[str](), [name]
    while waiting:
        new = set(arrows.get(waiting.pop(), ())) - found
        found |= new
        waiting += new
    return found


def between_commands(arrows: Arrows) -> Iterator[tuple[str, str]]:
    """Yield each import of a command by another one that does not need it."""
    for name, targets in arrows.items():
        for target in sorted(targets):
            if name.startswith(COMMANDS) and target.startswith(COMMANDS):
                own, other = (word.removeprefix(COMMANDS).split(".")[0] for word in (name, target))
                if other not in {own, *USES.get(own, ())}:
                    yield name, target


def crowded(known: Mapping[str, Path]) -> list[str]:
    """Return the folders with more modules than `MOST_MODULES`."""
    folders = [path.parent for path in known.values() if path.name != "__init__.py"]
    return sorted({str(folder) for folder in folders if folders.count(folder) > MOST_MODULES})


def lines(path: Path) -> int:
    """Return the number of a file's lines."""
    return len(path.read_text(encoding="utf-8").splitlines())


def breaks(known: Mapping[str, Path]) -> Iterator[str]:
    """Say what breaks a rule."""
    arrows = arrows_of_modules(known)
    if around := circle(arrows):
        yield f"circle: {' -> '.join(around)}"
    yield from (f"a command imports another: {name} -> {target}" for name, target in between_commands(arrows))
    yield from (f"more than {MOST_MODULES} modules: {folder}" for folder in crowded(known))
    yield from (f"more than {MOST_LINES} lines: {path}" for path in known.values() if lines(path) > MOST_LINES)


def main(root: Path) -> int:
    """Print the counts and what breaks a rule; return how many things do."""
    known = modules(root)
    rooms = arrows_of_rooms(arrows_of_modules(known), known)
    print(f"{len(known)} files, {sum(map(lines, known.values()))} lines")
    print(f"{len(rooms)} rooms, {sum(map(len, rooms.values()))} arrows, {floors(rooms)} floors")
    for group in mutual(rooms):
        print(f"rooms that import each other, by different modules: {', '.join(group)}")
    broken = list(breaks(known))
    print(*broken, f"{len(broken)} breaks of a rule", sep="\n")
    counts = [len(one.split()) for path in files(root) for _, text in texts(path) for one in sentences(text)]
    long = sum(count > LONGEST for count in counts)
    print(f"{count_words(root / 'README.md')} words in README; {long} of {len(counts)} sentences over {LONGEST} words")
    return len(broken)


if __name__ == "__main__":
    sys.exit(1 if main(Path(sys.argv[1] if sys.argv[1:] else Path(__file__).parents[1]).resolve()) else 0)
