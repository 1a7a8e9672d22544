"""Plots beside the tables: curves of a training, and figures with their intervals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vae.distribution.half_samples import Estimate
from vae.images.overview import save_overview

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PANEL, ROW, DPI = (3.8, 3.2), 0.24, 100  # inches of a panel; inches of a row of `save_intervals`
LEFT, RIGHT, ABOVE, BELOW, BETWEEN = 0.75, 0.15, 0.35, 0.5, 0.75  # inches around the axes
LABELS = 1.6  # inches for the labels of rows
Rows = Sequence[Mapping[str, float]]
_SHADE: dict[str, Any] = {"alpha": 0.25, "linewidth": 0}


@dataclass(frozen=True)
class Panel:
    """One plot of several beside each other.

    Attributes:
        title: What the curves show, with its unit.
        columns: Key of the rows and label of its curve.
        band: What the shaded band around a curve is; it reaches from "KEY_low" to "KEY_high", where a row has both.
    """

    title: str
    columns: Mapping[str, str]
    band: str = ""


def save_curves(path: Path, rows: Rows, x: str, panels: Sequence[Panel], x_label: str | None = None) -> None:
    """Draw curves of a training, with bands, into a PNG file, which commands that read pictures leave out.

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
                    (line,) = axes.plot(
                        *zip(*points, strict=True), label=label, marker="." if len(points) < 30 else None
                    )
                    bands = [dict(_points(rows, x, f"{name}_{end}")) for end in ("low", "high")]
                    places = [at for at in bands[0] if at in bands[1]]
                    if places:
                        low, high = ([band[at] for at in places] for band in bands)
                        axes.fill_between(places, low, high, color=line.get_color(), **_SHADE)
            _describe(axes, panel, x_label or x)


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
        drawing.axes[0].set_xlabel("lines: 95 % intervals", fontsize=8)


def binned(rows: Rows, x: str, points: int) -> Rows:
    """Average entries of a log, one for each step, that are too many to see.

    Args:
        rows: The entries, in order.
        x: Key of the horizontal axis; a point stands at its last entry's.
        points: Largest number of points.

    Returns:
        At most so many rows: means, with the lowest and the highest as "KEY_low" and "KEY_high". The entries as they
        are, if there are no more than `points`.
    """
    together = -(-len(rows) // points)
    if together < 2:
        return rows
    found: list[dict[str, float]] = []
    for start in range(0, len(rows), together):
        some = rows[start : start + together]
        point = {x: some[-1][x]}
        for name in dict.fromkeys(name for row in some for name in row if name != x):
            values = [row[name] for row in some if name in row]
            point |= {name: float(np.mean(values)), f"{name}_low": min(values), f"{name}_high": max(values)}
        found.append(point)
    return found


def _describe(axes: "Axes", panel: Panel, x_label: str) -> None:
    from matplotlib.ticker import MaxNLocator  # as in _Drawing

    axes.set_title(panel.title, fontsize=10)
    axes.set_xlabel(x_label)
    axes.tick_params(labelsize=8)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, steps=[1, 2, 5, 10]))  # epochs, steps, corrections
    if panel.band and axes.collections:
        axes.fill_between([], [], color="grey", label=panel.band, **_SHADE)
    if len(panel.columns) > 1 or panel.band:
        axes.legend(fontsize=8)


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
            canvas.draw()
            pixels = np.asarray(canvas.buffer_rgba())
            save_overview(self.path, pixels[:, :, :3].copy())


def _points(rows: Rows, x: str, name: str) -> list[tuple[float, float]]:
    found = [(row.get(x), row.get(name)) for row in rows]
    return [(float(a), float(b)) for a, b in found if a is not None and b is not None and np.isfinite([a, b]).all()]
