"""Launch a step on a GPU as a CUDA graph, all of its kernels at once: launching each takes longer than it runs."""

import warnings
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import cast

import torch
from torch import Generator, Tensor

from vae.acceleration.parallel import capture_mode

EAGER_STEPS = 3  # before a capture: in them, libraries choose their kernels

Tensors = dict[str, Tensor]
Step = Callable[[Tensors], Tensors]


def capture_stream(device: torch.device) -> torch.cuda.Stream:
    """Return a GPU's stream for captures, always the same one: cuBLAS never frees its memory for a stream."""
    return _stream(torch.cuda.current_device() if device.index is None else device.index)


@cache
def _stream(number: int) -> torch.cuda.Stream:
    return torch.cuda.Stream(number)


@contextmanager
def usable_generators(stream: torch.cuda.Stream, *others: Generator) -> Iterator[None]:
    """Let generators draw again if the capture inside `with` fails, which leaves those that it knows unusable.

    Args:
        stream: The capture's stream; each capture knows the default generator of its GPU.
        others: Further generators that the graph knows.
    """
    generators = (torch.cuda.default_generators[stream.device.index], *others)
    before = [generator.clone_state() for generator in generators]
    try:
        yield
    except BaseException:
        torch.cuda.synchronize(stream.device)
        for generator, state in zip(generators, before, strict=True):
            generator.graphsafe_set_state(state)
        raise


@dataclass(frozen=True, eq=False)
class Graph:
    """A captured step.

    Attributes:
        replay: Launches it.
        inputs: Tensors that it reads; they keep their addresses.
        outputs: What it writes, likewise.
    """

    replay: Callable[[], None]
    inputs: Tensors
    outputs: Tensors


class GraphedSteps:
    """Run steps of several kinds: each kind as it is for the first few times, then as a CUDA graph.

    A step must read everything that changes from its inputs, from modules that it trains in place, and from the
    generator. It must not read numbers from the device.
    """

    def __init__(self, device: torch.device, generator: Generator, graphed: bool = True) -> None:
        """Capture nothing yet.

        Args:
            device: Device of the steps; on a CPU, no step is captured.
            generator: Random numbers of the steps, on the device. Graphs continue it where the caller left it.
            graphed: Whether to capture steps on a GPU.
        """
        self.generator, self.wanted = generator, graphed and device.type == "cuda"
        self._stream = capture_stream(device) if self.wanted else None
        self._graphs: dict[Hashable, Graph] = {}
        self._eager: dict[Hashable, int] = {}

    def __call__(self, kind: Hashable, step: Step, inputs: Tensors) -> Tensors:
        """Take a step.

        Args:
            kind: Which step this is; a kind always launches the same kernels on inputs of the same shapes.
            step: The step itself.
            inputs: Tensors by name.

        Returns:
            What the step returns. The next step of this kind may overwrite it.
        """
        if self._stream is None or not self.wanted:
            return step(inputs)
        self._stream.wait_stream(torch.cuda.current_stream(self._stream.device))
        with torch.cuda.stream(self._stream):
            outputs = self._on_stream(kind, step, inputs)
        torch.cuda.current_stream(self._stream.device).wait_stream(self._stream)
        return outputs

    def forget(self) -> None:
        """Drop all graphs, because something that they hold has changed; all kinds start over."""
        self._graphs, self._eager = {}, {}

    def _on_stream(self, kind: Hashable, step: Step, inputs: Tensors) -> Tensors:
        done = self._eager.get(kind, 0)
        if kind not in self._graphs and done >= EAGER_STEPS:
            self._capture(kind, step, inputs)
        if kind not in self._graphs:
            self._eager[kind] = done + 1
            return step(inputs)
        graph = self._graphs[kind]
        for name, tensor in inputs.items():
            graph.inputs[name].copy_(tensor)
        graph.replay()
        return graph.outputs

    def _capture(self, kind: Hashable, step: Step, inputs: Tensors) -> None:
        """Capture a step; if that fails, train without graphs and say so."""
        graph, stream = torch.cuda.CUDAGraph(), cast(torch.cuda.Stream, self._stream)
        fixed = {name: tensor.clone(memory_format=torch.preserve_format) for name, tensor in inputs.items()}
        try:
            with usable_generators(stream, self.generator):
                graph.register_generator_state(self.generator)
                with torch.cuda.graph(graph, stream=stream, capture_error_mode=capture_mode()):
                    outputs = step(fixed)
        except Exception as error:  # whatever a graph cannot hold
            self.wanted, self._graphs = False, {}
            warnings.warn(f"Steps run without CUDA graphs, and slower: {error}", stacklevel=4)
        else:
            self._graphs[kind] = Graph(graph.replay, fixed, outputs)
