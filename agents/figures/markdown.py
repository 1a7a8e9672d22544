"""Write tables in Markdown that are readable as plain text."""

from collections.abc import Iterable, Sequence


def markdown_table(heads: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Write a table whose columns are as wide as their widest cell."""
    widths = [max(len(line[place]) for line in (heads, *lines)) for place in range(len(heads))]
    rule = ["-" * width for width in widths]
    return "\n".join(_line(cells, widths) for cells in (heads, rule, *lines))


def _line(cells: Sequence[str], widths: Iterable[int]) -> str:
    return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |"
