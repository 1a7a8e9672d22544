import copy
import gc
import weakref
from contextlib import nullcontext
from unittest.mock import Mock, call

import pytest
import torch
from torch._dynamo.backends.registry import lookup_backend

from vae.acceleration import stacked
from vae.acceleration.cuda_graphs import EAGER_STEPS
from vae.acceleration.stacked import _concatenate
from vae.acceleration.stacked_weights import StackedWeights
from vae.model import AlignedConv2d, Conv3x3, SubpixelConv2d, VAEConfig, build_vae
from vae.side_by_side import SideBySide, _can_stack
from vae.training import Trainer, stack
from vae.training_config import TrainingConfig

CONFIG = {"epochs": 3, "batch_size": 4}


@pytest.fixture
def make(tiny_images, quick_vae):
    """A function from seeds to trainers of VAEs that train in milliseconds."""

    def trainers(*seeds, vae=quick_vae, **settings):
        return [Trainer(vae(seed), tiny_images, TrainingConfig(**{**CONFIG, **settings}), seed) for seed in seeds]

    return trainers


def convolutional(seed):
    return build_vae(VAEConfig(32, 4), seed)


def stacked_alone(trainer):
    """Let a trainer use a stack of one, as on a GPU."""
    trainer._stack = stack([trainer], StackedWeights([trainer.vae], [trainer.averaged], [trainer.optimizer]))
    return trainer


def compute_as_on_a_gpu(monkeypatch):
    for kind in (Conv3x3, AlignedConv2d, SubpixelConv2d):
        monkeypatch.setattr(kind, "forward", kind.on_gpu)


def weights(trainer):
    return torch.cat([tensor.flatten() for vae in (trainer.vae, trainer.averaged_vae) for tensor in vae.parameters()])


def wants_graphs(trainers):
    """Stack trainers on the CPU, and let the stack believe that it could capture its steps."""
    rows = SideBySide(trainers, stacked=True)
    rows._stack._wants_graphs = True
    return rows


def test_steps_before_the_capture_wait_for_their_own_gpu(make, monkeypatch):
    """Which need not be the current one: the caller's copies run on the usual stream of the GPU that they go to."""
    rows, usual, asked = wants_graphs(make(0)), Mock(), []

    def current_stream(device=None):
        asked.append(device)
        return usual

    rows._stack._stream = own = Mock(device="cuda:1")
    monkeypatch.setattr(torch.cuda, "current_stream", current_stream)
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: nullcontext())
    for _ in range(2):
        rows.step()
    assert set(asked) == {"cuda:1"}
    assert own.wait_stream.mock_calls == [call(usual)] * 4  # two halves a step
    assert usual.wait_stream.mock_calls == [call(own)] * 4


def test_a_step_that_cannot_be_captured_runs_on_eagerly_and_says_so(make, monkeypatch):
    def fails(encode, step, stream):
        encode()  # what a capture did before it failed counts for nothing
        raise RuntimeError("no graph holds a .item()")

    monkeypatch.setattr(stacked, "_captured", fails)
    trainers, expected = make(0, 1), make(0, 1)
    rows, plain = wants_graphs(trainers), SideBySide(expected, stacked=True)
    for step in range(EAGER_STEPS + 2):
        if step == EAGER_STEPS:
            with pytest.warns(UserWarning, match=r"runs without CUDA graphs, and slower: no graph holds a .item\(\)"):
                rows.encode()
        losses, others = rows.step(), plain.step()
        assert torch.equal(losses.total, others.total)
    for own, other in zip(trainers, expected, strict=True):
        assert torch.equal(weights(own), weights(other))


def test_after_its_capture_each_step_is_a_replay_of_both_halves(make, monkeypatch):
    replayed = []

    def captured(encode, step, stream):
        def replay(half, name):
            replayed.append(name)
            half()

        assert rows._stack.encoded == rows._stack.scored == ()  # no eager step's autograd graph is left
        return lambda: replay(encode, "encode"), lambda: replay(step, "step")

    monkeypatch.setattr(stacked, "_captured", captured)
    trainers, expected = make(0, 1), make(0, 1)
    rows, plain = wants_graphs(trainers), SideBySide(expected, stacked=True)
    for _ in range(EAGER_STEPS + 2):
        assert torch.equal(rows.step().total, plain.step().total)
    assert replayed == ["encode", "step"] * 2


@pytest.mark.parametrize("augment", [False, True])
def test_a_trainer_with_a_stack_of_one_trains_as_without(make, augment):
    (own,), (other,) = make(0, augment=augment), make(0, augment=augment)
    stacked_alone(own)
    generator = torch.Generator().manual_seed(0)
    for _ in range(5):
        shift = torch.randn(4, 4, generator=generator)
        torch.testing.assert_close(own.encode(), other.encode())
        losses, expected = (trainer.step(shift, measure_without=True) for trainer in (own, other))
        assert torch.equal(losses.index, expected.index)
        torch.testing.assert_close(losses.total, expected.total)
        torch.testing.assert_close(losses.decoded, expected.decoded)
        torch.testing.assert_close(losses.without.total, expected.without.total)
    torch.testing.assert_close(weights(own), weights(other))
    assert own.averaged.n_averaged == other.averaged.n_averaged == 5
    torch.testing.assert_close(own.vae.log_variance, other.vae.log_variance)
    torch.testing.assert_close(own.averaged_vae.log_variance, other.averaged_vae.log_variance)
    own.load_state_dict(other.state_dict())
    assert own._stack is None  # its tensors may be replaced
    assert torch.equal(own.step().total, other.step().total)


@pytest.mark.parametrize("augment", [False, True])
def test_a_stack_of_one_lays_pictures_out_in_memory_as_a_trainer_without(make, augment):
    (own,), (other,) = make(0, augment=augment), make(0, augment=augment)
    stacked_alone(own).encode()
    other.encode()
    assert own._stack.encoded[0][0].stride() == other._pending.images.stride()
    assert torch.equal(own._stack.encoded[0][0], other._pending.images)


@pytest.fixture
def traced(monkeypatch):
    """Do all that torch.compile does, except for making kernels; a list of what was compiled."""
    graphs = []

    def backend(graph, inputs):
        graphs.append(graph)
        return lookup_backend("aot_eager")(graph, inputs)

    def compiled(function, device, wanted):
        return torch.compile(function, dynamic=False, fullgraph=True, backend=backend) if wanted else function

    monkeypatch.setattr(stacked, "compiled", compiled)
    torch._dynamo.reset()
    return graphs


LOOKS_AT_GRAD = pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")  # as torch.compile itself does


@pytest.mark.slow(seconds=5)
@LOOKS_AT_GRAD
def test_a_stack_of_one_whose_step_is_compiled_trains_as_without(make, traced):
    (own,), (other,) = make(0, compiled=True), make(0)
    stacked_alone(own)
    stacked_alone(other)
    shift = torch.full((4, 4), 0.1)
    for _ in range(3):
        losses, expected = (trainer.step(shift, measure_without=True) for trainer in (own, other))
        assert torch.equal(losses.total, expected.total)
        assert torch.equal(losses.without.total, expected.without.total)
    assert torch.equal(weights(own), weights(other))


@pytest.mark.slow(seconds=10)
@LOOKS_AT_GRAD
def test_a_compiled_step_with_convolutions_as_on_a_gpu_trains_as_without(make, traced, monkeypatch):
    (own,), (other,) = make(0, vae=convolutional, compiled=True), make(0, vae=convolutional)
    other.step()
    compute_as_on_a_gpu(monkeypatch)
    stacked_alone(own).step()
    torch.testing.assert_close(weights(own), weights(other), rtol=0, atol=1e-5)


@pytest.mark.slow(seconds=5)
@LOOKS_AT_GRAD
def test_a_step_is_not_compiled_anew_for_another_number_of_pictures(make, traced, tiny_images, quick_vae):
    for pictures in (tiny_images, tiny_images[1:]):
        stacked_alone(Trainer(quick_vae(0), pictures, TrainingConfig(**CONFIG, compiled=True), 0)).step()
    assert len(traced) == 3  # augmentation, encoder, decoder with the loss


def test_stacked_vaes_that_are_frozen_stay_as_they_are(make):
    trainers = make(0, 1, learning_rate=0.0)
    before = [weights(trainer) for trainer in trainers]
    rows = SideBySide(trainers, stacked=True)
    for _ in range(3):
        assert rows.step().total.isfinite().all()
    for trainer, old in zip(trainers, before, strict=True):
        assert torch.equal(weights(trainer), old)
        assert trainer.vae.log_variance == make(trainer.seed)[0].vae.log_variance


@pytest.mark.parametrize("part", ["encoder", "decoder"])
def test_an_architecture_that_cannot_be_stacked_trains_in_turn_and_a_warning_says_so(make, quick_vae, part):
    def control_flow(module, given):
        if given[0].sum() > 1e9:
            raise AssertionError("no picture is as bright")

    def with_control_flow(seed):
        vae = quick_vae(seed)
        getattr(vae, part).register_forward_pre_hook(control_flow)
        return vae

    trainers = make(0, 1, vae=with_control_flow)
    with pytest.warns(UserWarning, match="The VAEs train in turn, not stacked, and slower: .*control flow"):
        assert not _can_stack(trainers)
    assert _can_stack(trainers[:1])  # a lone VAE needs no stack
    before = [weights(trainer) for trainer in make(0, 1)]
    assert _can_stack(make(0, 1))
    assert all(torch.equal(weights(trainer), old) for trainer, old in zip(trainers, before, strict=True))


def test_the_training_sets_are_joined_once_each():
    first, second = torch.zeros(3, 3, 32, 32, dtype=torch.uint8), torch.ones(3, 3, 32, 32, dtype=torch.uint8)
    joined, begins = _concatenate([first, second, first])
    assert torch.equal(joined, torch.cat([first, second]))
    assert begins == [0, 3, 0]
    joined, begins = _concatenate([second, second])
    assert joined is second
    assert begins == [0, 0]


def test_a_stack_is_freed_at_once_without_the_collector(make):
    rows = SideBySide(make(0, 1), stacked=True)
    rows.step()
    kept = weakref.ref(rows._stack)
    gc.disable()
    try:
        del rows
        assert kept() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("copied", [False, True])
def test_a_trainer_that_leaves_its_stack_goes_on_as_one_that_never_had_one(make, copied):
    (own,), (other,) = make(0), make(0)
    for trainer in (stacked_alone(own), other):
        trainer.step()
    own.forget()
    own = copy.deepcopy(own) if copied else own
    for _ in range(2):
        torch.testing.assert_close(own.step().total, other.step().total)
    torch.testing.assert_close(weights(own), weights(other))


def test_stacked_vaes_with_convolutions_as_on_a_gpu_train_as_without(make, monkeypatch):
    trainers, expected = make(0, 1, vae=convolutional), make(0, 1, vae=convolutional)
    SideBySide(expected, stacked=True).step()
    compute_as_on_a_gpu(monkeypatch)
    SideBySide(trainers, stacked=True).step()
    for own, other in zip(trainers, expected, strict=True):
        torch.testing.assert_close(weights(own), weights(other), rtol=0, atol=1e-5)


@pytest.mark.parametrize("compute", [lambda patch: None, compute_as_on_a_gpu])
def test_weights_rounded_all_at_once_train_as_those_that_autocast_rounds(make, monkeypatch, compute):
    monkeypatch.setattr(stacked, "reduced_precision", lambda device: torch.autocast("cpu", torch.bfloat16))
    compute(monkeypatch)
    found = []
    for rounded in (True, False):
        (trainer,) = make(0, vae=convolutional)
        rows = StackedWeights([trainer.vae], [trainer.averaged], [trainer.optimizer], rounded=rounded)
        trainer._stack = stack([trainer], rows)
        found.append([*(trainer.step().total for _ in range(3)), weights(trainer)])
    for own, other in zip(*found, strict=True):
        assert torch.equal(own, other)


def test_weights_that_a_vae_of_one_s_own_uses_without_autocast_stay_as_they_are(make, monkeypatch):
    class Exact(torch.nn.Module):
        def __init__(self, vae):
            super().__init__()
            self.encoder, self.scale = vae.encoder, torch.nn.Linear(4, 4)

        def forward(self, images):
            mean, log_var = self.encoder(images)
            with torch.autocast("cpu", enabled=False):
                return self.scale(mean.float()), log_var

    def own(seed):
        vae = build_vae(VAEConfig(32, 4), seed)
        vae.encoder = Exact(vae)
        return vae

    monkeypatch.setattr(stacked, "reduced_precision", lambda device: torch.autocast("cpu", torch.bfloat16))
    (trainer,) = make(0, vae=own)
    rows = StackedWeights([trainer.vae], [trainer.averaged], [trainer.optimizer], rounded=True)
    trainer._stack = stack([trainer], rows)
    assert trainer.step().total.isfinite().all()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("settings", [{}, {"compiled": True}])
def test_a_step_on_a_gpu_as_a_graph_trains_as_without(tiny_images, settings):
    def losses(**settings):
        config = TrainingConfig(**CONFIG, **settings)
        trainer = Trainer(build_vae(VAEConfig(32, 4), 0), tiny_images, config, 0, "cuda")
        return torch.stack([trainer.step().total for _ in range(2 * EAGER_STEPS + 2)])

    torch.testing.assert_close(losses(**settings), losses(graphed=False), rtol=0.01, atol=0.0)
