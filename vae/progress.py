"""Show how far long jobs are, and how long they still take: the only module that creates progress bars.

The library's functions count their work with `progress_bar` or `in_chunks`, and these say nothing by themselves. They
speak only inside `with show_progress():`, which the command line puts around every command.

- On a terminal there are tqdm's bars.
- Elsewhere, as in a log file, there is a line now and then; a quick command writes none.
"""

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from threading import RLock
from types import TracebackType
from typing import Any, Protocol, TextIO, cast

import torch
from torch import Tensor
from tqdm import tqdm

MOST_AT_A_TIME = 2  # bars; what is done within them shows none
_ON_A_TERMINAL = "{l_bar}{bar}| {n_fmt}/{total_fmt} {unit} [{elapsed} so far, {remaining} left{postfix}]"
_IN_A_FILE = "{desc}{percentage:.0f} %, {n_fmt} of {total_fmt} {unit}, {elapsed} so far, {remaining} left{postfix}"


class Bar(Protocol):
    """Show the progress of work: iterate over the bar to get the items, or enter it and count them with `update`."""

    n: float
    total: Any  # the number of items, or None; it may be lowered if there is less to do

    def __iter__(self) -> Iterator[Any]:
        """Yield the items, and count each when the next one is asked for."""
        ...

    def __enter__(self) -> "Bar":
        """Return the bar."""
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the bar."""
        ...

    def update(self, n: float = 1) -> Any:
        """Count n more items."""
        ...

    def set_postfix(self, *, refresh: bool = True, **values: Any) -> None:
        """Set what stands behind the bar."""
        ...

    def close(self) -> None:
        """End the bar."""
        ...


class _Shown:
    """What `show_progress` shows."""

    def __init__(
        self,
        between_lines: float = 10.0,
        between_frames: float = 0.1,
        unseen: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.between_lines, self.between_frames, self.unseen, self.clock = between_lines, between_frames, unseen, clock
        self.last = clock()  # of the last line, or the start
        self.bars: list[Any] = []  # open ones, the outermost first

    def forget(self, bar: Any) -> None:
        self.bars = [other for other in self.bars if other is not bar]


_shown: ContextVar[_Shown | None] = ContextVar("shown", default=None)


@contextmanager
def show_progress(**settings: Any) -> Iterator[None]:
    """Show on stderr, until the end of `with`, how far jobs of this thread are.

    Args:
        settings: `between_lines`, the shortest time between two lines where stderr is no terminal, in seconds, 10 by
            default. On a terminal: `between_frames`, likewise, 0.1; and `unseen`, how long a part of the work takes
            before its bar is seen, 1. `clock` tells the seconds for lines.
    """
    token = _shown.set(_Shown(**settings))
    try:
        yield
    finally:
        _shown.reset(token)


def progress_bar(
    items: Iterable[Any] | None = None,
    title: str = "Working",
    *,
    unit: str = "steps",
    total: float | None = None,
    initial: float = 0,
    leave: bool = False,
    asked: bool = False,
) -> Bar:
    """Create a bar, which is seen inside `show_progress` only.

    Args:
        items: The items to iterate over; None for a bar that is updated by hand.
        title: Text before the bar.
        unit: What is counted, in the plural.
        total: Number of items. Default: the length of `items`, if it has one.
        initial: Items that are done already.
        leave: Whether the bar belongs to the command itself. It appears at once, and stays when it is full.
        asked: Whether the caller's caller asked for this bar: then it is seen outside `show_progress` too.
    """
    shown = _shown.get() or (_Shown() if asked else None)
    if total is None and hasattr(items, "__len__"):
        total = len(cast(Any, items))
    if shown is not None and len(shown.bars) >= MOST_AT_A_TIME:
        shown = None
    if shown is None or sys.stderr is None or not sys.stderr.isatty():
        return _Lines(shown, items, title, unit, total, initial)
    return _Bar(
        items,
        title,
        shown=shown,
        unit=unit,
        total=total,
        initial=initial,
        leave=leave,
        smoothing=0.1,  # of the rate: pictures differ less than the moments at which they are counted
        mininterval=shown.between_frames,
        delay=0.0 if leave else shown.unseen,
        bar_format=_ON_A_TERMINAL,
        **_room(),
    )


def in_chunks(rows: Tensor, size: int, title: str, unit: str = "pictures") -> Iterator[Tensor]:
    """Yield at most `size` rows at a time, with a bar that counts the rows."""
    chunks = torch.split(rows, size)
    if len(chunks) == 1:
        yield chunks[0]
        return
    with progress_bar(title=title, unit=unit, total=len(rows)) as bar:
        for chunk in chunks:
            yield chunk
            bar.update(len(chunk))


def say(text: str, file: TextIO | None = None) -> None:
    """Print a line of a job's log at once, above the bars of a terminal; as with bars, inside `show_progress` only.

    Args:
        text: The line.
        file: Where to print it. Default: stderr.
    """
    if _shown.get() is not None:
        print_above(text, file)


def print_above(text: str, file: TextIO | None = None) -> None:
    """Print a line at once and whole, above the bars of a terminal if there are any; see `say`."""
    file = file or sys.stderr
    if file is not None:
        _Bar.write(text, file=file)
        file.flush()


def _room() -> dict[str, Any]:
    """Return how large a bar may be: as the terminal is at each moment, or 80 x 24 if it says that it has no size."""
    try:
        return {"dynamic_ncols": True} if min(os.get_terminal_size(sys.stderr.fileno())) else {"ncols": 80, "nrows": 24}
    except (OSError, ValueError):
        return {"ncols": 80, "nrows": 24}


class _Bar(tqdm):  # type: ignore[misc]  # tqdm says nothing of its types
    """A bar on a terminal. Threads share tqdm's lock; its own, for processes too, outlives one that is killed."""

    _lock = RLock()

    def __init__(self, items: Iterable[Any] | None, title: str, *, shown: _Shown, **settings: Any) -> None:
        self.shown = shown
        shown.bars.append(self)
        super().__init__(items, title, **settings)

    def close(self) -> None:
        self.shown.forget(self)
        super().close()


class _Lines:
    """A bar that writes lines, or nothing."""

    def __init__(
        self,
        shown: _Shown | None,
        items: Iterable[Any] | None,
        title: str,
        unit: str,
        total: float | None,
        initial: float,
    ) -> None:
        self.items, self.title, self.unit, self.total, self.initial = items, title, unit, total, initial
        self.n, self.postfix = initial, ""
        self.said: float | None = None  # the number in its last line
        self.shown = shown
        if shown is not None:
            self.started = shown.clock()
            shown.bars.append(self)

    def __iter__(self) -> Iterator[Any]:
        assert self.items is not None, "there is something to iterate over"
        with self:
            for item in self.items:
                yield item
                self.update()

    def __enter__(self) -> "_Lines":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def update(self, n: float = 1) -> None:
        self.n += n
        shown = self.shown
        if shown is not None and shown.clock() - shown.last >= shown.between_lines:
            self._say(shown)

    def set_postfix(self, *, refresh: bool = True, **values: Any) -> None:
        self.postfix = ", ".join(f"{name} {value}" for name, value in values.items())

    def close(self) -> None:
        shown, self.shown = self.shown, None
        if shown is None:
            return
        if self.said is not None and self.said < self.n and shown.bars[0] is self:
            self._say(shown)
        shown.forget(self)

    def text(self, now: float) -> str:
        """Return what a line says of this bar."""
        return tqdm.format_meter(  # type: ignore[no-any-return]  # tqdm says nothing of its types
            self.n,
            self.total,
            now - self.started,
            prefix=f"{self.title}: ",
            unit=self.unit,
            postfix=self.postfix,
            initial=self.initial,
            bar_format=_IN_A_FILE,
        )

    def _say(self, shown: _Shown) -> None:
        shown.last = shown.clock()
        print(*(bar.text(shown.last) for bar in shown.bars), sep="; ", file=sys.stderr, flush=True)
        for bar in shown.bars:
            bar.said = bar.n
