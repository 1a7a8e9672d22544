"""Steps as CUDA graphs, where there is a GPU; elsewhere they run as they are."""

from unittest.mock import Mock

import pytest
import torch

from vae.acceleration import cuda_graphs
from vae.acceleration.cuda_graphs import EAGER_STEPS, GraphedSteps, usable_generators

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


class Walk:
    """A step that changes a weight in place, by its input and by random numbers."""

    def __init__(self, device):
        self.weight = torch.zeros(3, device=device)
        self.generator = torch.Generator(device).manual_seed(0)
        self.calls = 0

    def __call__(self, inputs):
        self.calls += 1
        self.weight += inputs["by"] * torch.rand(3, generator=self.generator, device=self.weight.device)
        return {"sum": self.weight.sum()}


def walked(device, graphed):
    walk = Walk(device)
    launch, sums = GraphedSteps(torch.device(device), walk.generator, graphed), []
    for number in range(2 * EAGER_STEPS + 2):
        walk.generator.manual_seed(number)
        sums.append(float(launch("walk", walk, {"by": torch.full((3,), float(number), device=device)})["sum"]))
    return sums, walk.calls


def test_without_a_gpu_each_step_runs_as_it_is():
    sums, calls = walked("cpu", graphed=True)
    assert calls == len(sums)
    assert (sums, calls) == walked("cpu", graphed=False)


@needs_gpu
def test_a_graph_reads_the_inputs_and_the_seed_of_each_step():
    (graphed, calls), (eager, _) = walked("cuda", True), walked("cuda", False)
    assert calls == EAGER_STEPS + 1  # the last is the capture
    assert graphed == pytest.approx(eager, rel=1e-6)


@needs_gpu
def test_a_step_that_cannot_be_captured_runs_as_it_is_and_says_so():
    walk = Walk("cuda")
    launch = GraphedSteps(torch.device("cuda"), walk.generator)

    def step(inputs):
        float(inputs["by"].sum())  # a graph cannot wait for the device
        return walk(inputs)

    inputs = {"by": torch.ones(3, device="cuda")}
    for _ in range(EAGER_STEPS):
        launch("walk", step, inputs)
    state = torch.cuda.get_rng_state()
    with pytest.warns(UserWarning, match="without CUDA graphs"):
        launch("walk", step, inputs)
    launch("walk", step, inputs)
    assert walk.calls == EAGER_STEPS + 2
    assert torch.equal(torch.cuda.get_rng_state(), state)
    torch.randn(2, device="cuda")  # the default generator, which every graph knows, still draws


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_failed_capture_gives_generators_their_states_back(monkeypatch, error):
    asked, generators = Mock(), [Mock(), Mock(), Mock()]
    monkeypatch.setattr(torch.cuda, "default_generators", generators[:2])
    monkeypatch.setattr(torch.cuda, "synchronize", asked)
    with pytest.raises(error), usable_generators(Mock(device=torch.device("cuda:1")), generators[2]):
        raise error
    asked.assert_called_once_with(torch.device("cuda:1"))
    assert generators[0].mock_calls == []
    for generator in generators[1:]:
        generator.graphsafe_set_state.assert_called_once_with(generator.clone_state.return_value)


def test_a_capture_that_succeeds_leaves_generators_alone(monkeypatch):
    generators = [Mock(), Mock()]
    monkeypatch.setattr(torch.cuda, "default_generators", generators[:1])
    with usable_generators(Mock(device=torch.device("cuda:0")), generators[1]):
        pass
    assert not any(generator.graphsafe_set_state.called for generator in generators)


def test_all_captures_of_a_gpu_share_one_stream(monkeypatch):
    """Or each new VAE would let cuBLAS keep up to 32 MB for another stream, until there are 32."""
    made: list[int] = []

    def stream(number):
        made.append(number)
        return object()

    monkeypatch.setattr(torch.cuda, "Stream", stream)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 1)
    cuda_graphs._stream.cache_clear()
    names = ("cuda:0", "cuda:0", "cuda:1", "cuda")
    first, again, other, current = (cuda_graphs.capture_stream(torch.device(name)) for name in names)
    cuda_graphs._stream.cache_clear()
    assert first is again is not other
    assert other is current
    assert made == [0, 1]
