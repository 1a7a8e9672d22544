"""Plots beside the tables: curves of a training, and figures with their intervals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vae.distribution.half_samples import Estimate
from vae.images.overview import save_overview

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PANEL, ROW, DPI = (3.8, 3.2), 0.24, 100  # inches of a panel; inches of a row of `save_intervals`
LEFT, RIGHT, ABOVE, BELOW, BETWEEN = 0.75, 0.15, 0.35, 0.5, 0.75  # inches around the axes
LABELS = 1.6  # inches for the labels of rows
Rows = Sequence[Mapping[str, float]]


@dataclass(frozen=True)
class Panel:
    """One plot of several beside each other.

    Attributes:
        title: What the curves show, with its unit.
        columns: Key of the rows and label of its curve.
    """

    title: str
    columns: Mapping[str, str]


def save_curves(path: Path, rows: Rows, x: str, panels: Sequence[Panel], x_label: str | None = None) -> None:
    """Draw curves of a training into a PNG file, which commands that read pictures leave out.

    Args:
        path: The file.
        rows: Entries of a training log; a curve has a point for each that holds its key and a finite number.
        x: Key of the horizontal axis.
        panels: Which curves; a panel without a point is left out. If none has one, nothing is written.
        x_label: Label of the horizontal axis; None: the key.
    """
    shown = [panel for panel in panels if any(_points(rows, x, name) for name in panel.columns)]
    if not shown:
        return
    with _Drawing(path, len(shown)) as drawing:
        for axes, panel in zip(drawing.axes, shown, strict=True):
            for name, label in panel.columns.items():
                points = _points(rows, x, name)
                if points:
                    axes.plot(*zip(*points, strict=True), label=label, marker="." if len(points) < 30 else None)
            axes.set_title(panel.title, fontsize=10)
            axes.set_xlabel(x_label or x)
            if len(panel.columns) > 1:
                axes.legend(fontsize=8)


def save_intervals(path: Path, rows: Mapping[str, Mapping[str, Estimate]], titles: Mapping[str, str]) -> None:
    """Draw figures with their intervals into a PNG file, which commands that read pictures leave out.

    Args:
        path: The file.
        rows: Label of each row, and its figures by name; a row may lack some.
        titles: Name and title of the figures to show, one panel each, with the unit.
    """
    with _Drawing(path, len(titles), ROW * len(rows) + ABOVE + BELOW, LABELS) as drawing:
        places = -np.arange(len(rows))
        for axes, (name, title) in zip(drawing.axes, titles.items(), strict=True):
            for place, figures in zip(places, rows.values(), strict=True):
                found = figures.get(name)
                if found is not None:
                    axes.plot([found.low, found.high], [place, place], color="C0")
                    axes.plot(found.value, place, "o", color="C0", markersize=4)
            axes.set_title(title, fontsize=10)
            axes.set_ylim(-len(rows) + 0.4, 0.6)
            axes.set_yticks(places, list(rows) if axes is drawing.axes[0] else [""] * len(rows), fontsize=8)
            axes.grid(axis="x", alpha=0.3)


class _Drawing:
    """A row of panels that becomes a file when it is left without an error."""

    def __init__(self, path: Path, panels: int, height: float = PANEL[1], left: float = LEFT) -> None:
        from matplotlib.figure import Figure  # it takes half a second, so only what draws imports it

        self.path = path
        width = left + PANEL[0] * panels + BETWEEN * (panels - 1) + RIGHT
        self.figure = Figure((width, height), dpi=DPI)
        self.axes: list[Axes] = list(self.figure.subplots(1, panels, squeeze=False)[0])
        self.figure.subplots_adjust(
            left=left / width,
            right=1 - RIGHT / width,
            top=1 - ABOVE / height,
            bottom=BELOW / height,
            wspace=BETWEEN / PANEL[0],
        )

    def __enter__(self) -> "_Drawing":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            from matplotlib.backends.backend_agg import FigureCanvasAgg

            canvas = FigureCanvasAgg(self.figure)
            canvas.draw()  # type: ignore[no-untyped-call]  # matplotlib does not annotate it
            pixels = np.asarray(canvas.buffer_rgba())  # type: ignore[no-untyped-call]  # likewise
            save_overview(self.path, pixels[:, :, :3].copy())


def _points(rows: Rows, x: str, name: str) -> list[tuple[float, float]]:
    found = [(row.get(x), row.get(name)) for row in rows]
    return [(float(a), float(b)) for a, b in found if a is not None and b is not None and np.isfinite([a, b]).all()]
