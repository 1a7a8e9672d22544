"""Updates on a GPU as CUDA graphs: hundreds of kernels, launched at once."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor

EAGER_UPDATES = 3  # before a capture: in them, libraries choose their kernels

Update = Callable[[Tensor, bool], Tensor]


class UpdateGraphs:
    """Launch updates on a stream of their own: the first ones as they are, the rest as CUDA graphs.

    Attributes:
        wanted: Whether updates are captured.
        rates: A () tensor on the device for the learning rate of each optimiser, which the graphs read.
        baked: What the graphs hold: the addresses and constants of the last updates, as `expect` compares them.
    """

    def __init__(self, device: torch.device) -> None:
        """Capture nothing yet."""
        self.wanted, self.baked = True, ()
        self.rates = torch.zeros(3, device=device).unbind()
        self._graphs: dict[bool, Graph] = {}
        self._launched = 0
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]  # torch does not annotate it
        self._generator = torch.cuda.default_generators[self._stream.device_index]

    def expect(self, baked: tuple[Any, ...]) -> None:
        """Drop the graphs if they hold anything else."""
        if baked != self.baked:
            self._graphs, self._launched = {}, 0

    @contextmanager
    def stream(self) -> Iterator[None]:
        """Use the stream on which updates are launched."""
        outer = torch.cuda.current_stream(self._stream.device)
        self._stream.wait_stream(outer)
        with torch.cuda.stream(self._stream):
            yield
        outer.wait_stream(self._stream)

    def launch(self, update: Update, places: Tensor, follow: bool) -> Tensor:
        """Make an update, within `stream`.

        Args:
            update: Maps `places` and `follow` to numbers for the log; it must not read numbers from the device.
            places: (batch,) int64, of the minibatch.
            follow: Whether the target networks move: a graph of its own.

        Returns:
            The numbers.
        """
        if self.wanted and self._launched >= EAGER_UPDATES and follow not in self._graphs:
            self._capture(update, places, follow)
        self._launched += 1
        if follow not in self._graphs:
            return update(places, follow)
        graph = self._graphs[follow]
        graph.places.copy_(places)
        graph.replay()
        return graph.numbers.clone()

    def _capture(self, update: Update, places: Tensor, follow: bool) -> None:
        """Capture an update; if that fails, go on without graphs and say so."""
        try:
            self._graphs[follow] = self._record(update, places, follow)
        except Exception as error:  # whatever a user's own policy does that a graph cannot hold
            self.wanted, self._graphs = False, {}
            warnings.warn(f"FastSAC updates without CUDA graphs, and slower: {error}", stacklevel=6)

    def _record(self, update: Update, places: Tensor, follow: bool) -> "Graph":
        graph, places, before = torch.cuda.CUDAGraph(), places.clone(), self._generator.clone_state()
        try:
            with torch.cuda.graph(graph, stream=self._stream):
                numbers = update(places, follow)
        except Exception:
            torch.cuda.synchronize()
            self._generator.graphsafe_set_state(before)  # a failed capture leaves the generator unusable
            raise
        return Graph(graph.replay, places, numbers)


class Graph(NamedTuple):
    """A captured update."""

    replay: Callable[[], None]
    places: Tensor  # which it reads
    numbers: Tensor  # which it writes
