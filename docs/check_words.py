"""Measure the words of the project: `python docs/check_words.py [PATH...]`.

It reads README, docs, model cards, docstrings, comments, error messages and help texts. It prints how many sentences
there are, how many are longer than 30 words, and how many have 18 words or fewer. It also prints each sentence that
breaks a rule: longer than 30 words, opening with "Of", or holding a word that a simpler one replaces. A cell of a table
with a word in it is read like a paragraph.
"""

import ast
import re
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LONGEST, SHORT = 30, 18  # words
PACKAGES = ("vae", "hand_env", "agents", "examples", "benchmarks", "docs")
_SECTION = re.compile(r"^\s*(Args|Returns|Raises|Yields|Attributes|Source|Sources|Note|Example|Examples):\s*$", re.M)
_ARGUMENT = re.compile(r"^\s*\*{0,2}[\w`.]+(?: \([^)]*\))?: ", re.M)


def sentences(text: str) -> list[str]:
    """Split plain text into sentences; code, numbers in tables and links' addresses are left out."""
    text = re.sub(r"```.*?```", ". ", text, flags=re.S)
    text = re.sub(r"<!--.*?-->", "", text, flags=re.S)
    text = re.sub(r"^\s*\|.*$", lambda row: _cells(row[0]), text, flags=re.M)
    text = re.sub(r"^---\n.*?^---\n", "", text, count=1, flags=re.S | re.M)
    text = re.sub(r"^#+ .*$", ". ", text, flags=re.M)
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", text)
    text = re.sub(r"^\s*([-*]|\d+\.) ", ". ", text, flags=re.M)
    text = re.sub(r"\n\s*\n", " . ", text)
    text = re.sub(r"`[^`]*`", "CODE", text)
    text = re.sub(r"\b(e\.g|i\.e|vs|al|Fig|No)\.", r"\1", text)
    parts = re.split(r"(?<=[.!?])[\s.]+|(?<=[.!?]\))\s+", " ".join(text.split()))
    return [part.strip(" .*_") for part in parts if re.search(r"[A-Za-z]{2}", part)]


def _cells(row: str) -> str:
    """Make a paragraph of each cell that has a word; "0.3 (0.1 to 0.5)" has none."""
    return "".join(f"\n\n{cell}\n\n" for cell in row.split("|") if re.search(r"[A-Za-z]{3}", cell))


def docstring_text(text: str) -> str:
    """Put each argument of a docstring on its own: a list, not a chain of sentences."""
    lines = []
    for line in text.splitlines():
        if _SECTION.match(line):
            lines.append("\n\n")
        elif _ARGUMENT.match(line):
            lines.append("\n\n" + _ARGUMENT.sub("", line, count=1))
        else:
            lines.append(line)
    return "\n".join(lines)


def comments(path: Path) -> Iterator[tuple[int, str]]:
    """Yield line numbers and texts of comments; those on lines that follow one another are one text."""
    with tokenize.open(path) as file:
        found = [token for token in tokenize.generate_tokens(file.readline) if token.type == tokenize.COMMENT]
    blocks: list[tuple[int, list[str]]] = []
    follows = -1  # the line on which a comment would belong to the block before
    for token in found:
        line, alone = token.start[0], not token.line[: token.start[1]].strip()
        if not (alone and line == follows):
            blocks.append((line, []))
        blocks[-1][1].append(re.sub(r"#\s*(noqa|type:|!).*|#", "", token.string))
        follows = line + 1 if alone else -1
    yield from ((line, " ".join(words)) for line, words in blocks)


def texts_of_python(path: Path) -> Iterator[tuple[int, str]]:
    """Yield line numbers and texts: docstrings, help texts below fields, messages of what is raised, and comments."""
    yield from comments(path)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.lineno, docstring_text(node.value.value)
        elif isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            for argument in node.exc.args:
                yield node.lineno, " ".join(_strings(argument))


def _strings(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.JoinedStr):
        yield "".join(
            part.value if isinstance(part, ast.Constant) and isinstance(part.value, str) else "VALUE"
            for part in node.values
        )
    elif isinstance(node, ast.BinOp):
        yield from _strings(node.left)
        yield from _strings(node.right)


def texts(path: Path) -> Iterator[tuple[int, str]]:
    """Yield line numbers and texts of a file."""
    if path.suffix == ".py":
        yield from texts_of_python(path)
    else:
        yield 1, path.read_text(encoding="utf-8")


def files(root: Path = ROOT) -> list[Path]:
    """List what people read: all packages, README, docs, model cards, contributing guide, changelog."""
    found = [path for package in PACKAGES for path in sorted((root / package).rglob("*.py"))]
    found += [*sorted(root.glob("*.md")), *sorted((root / "docs").rglob("*.md"))]
    return found + sorted((root / "agents").rglob("*.md"))


def count_words(path: Path) -> int:
    """Count the words of a page outside its code blocks."""
    return len(re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.S | re.M).split())


def wrong(sentence: str) -> str:
    """Say which rule a sentence breaks, or ""."""
    count = len(sentence.split())
    if count > LONGEST:
        return f"{count} words"
    if sentence.startswith("Of "):
        return "opens with 'Of'"
    found = re.search(r"\b(anew|of which|go(?:es|ing)? on|went on)\b", sentence)
    return f"'{found[1]}'" if found else ""


def main(paths: list[Path]) -> int:
    """Print the counts and what breaks a rule; return how many sentences do."""
    total = long = short = broken = 0
    for path in paths or files():
        for line, text in texts(path):
            for sentence in sentences(text):
                count = len(sentence.split())
                total, long, short = total + 1, long + (count > LONGEST), short + (count <= SHORT)
                if reason := wrong(sentence):
                    broken += 1
                    print(f"{path.relative_to(ROOT) if path.is_absolute() else path}:{line}: {reason}: {sentence}")
    print(f"{total} sentences; {long} over {LONGEST} words; {short / max(1, total):.0%} of {SHORT} words or fewer")
    print(
        f"{broken} sentences break a rule; README has {count_words(ROOT / 'README.md')} words outside its code blocks"
    )
    return broken


if __name__ == "__main__":
    sys.exit(1 if main([Path(word) for word in sys.argv[1:]]) else 0)
