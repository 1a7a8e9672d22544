import pytest
import torch

from vae.acceleration.stacked_weights import StackedWeights
from vae.model import Encoder, VAEConfig, build_vae
from vae.training import Trainer
from vae.training_config import TrainingConfig

K = 3
NAMES = ("vae", "averaged", "optimizer")


@pytest.fixture
def trainers(tiny_images):
    config = TrainingConfig(batch_size=4)
    return [Trainer(build_vae(VAEConfig(32, 6), seed), tiny_images, config, seed) for seed in range(K)]


def stack_all(trainers):
    return StackedWeights(*([getattr(t, name) for t in trainers] for name in NAMES))


@pytest.fixture
def stacked(trainers):
    return stack_all(trainers)


def test_join_is_the_inverse_of_split(stacked):
    rows = torch.randn(K, stacked.weights.shape[1])
    tensors = stacked.split(rows)
    assert [tensor.shape[1:] for tensor in tensors] == stacked.shapes
    assert sum(tensor.numel() for tensor in tensors) == rows.numel()
    assert torch.equal(stacked.join(tensors), rows)
    again = stacked.split(stacked.join([tensor.contiguous() for tensor in tensors]))
    assert all(torch.equal(a, b) for a, b in zip(tensors, again, strict=True))


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last_3d])
def test_taken_gradients_are_those_in_a_row_and_keep_their_place_in_memory(stacked, layout):
    def gradients():
        drawn = [torch.randn(leaf.shape) for leaf in stacked.leaves.values()]
        return [gradient.contiguous(memory_format=layout) if gradient.ndim == 5 else gradient for gradient in drawn]

    first, second = gradients(), gradients()
    rows = stacked.take_gradients(first)
    assert rows is stacked.weights.grad
    assert torch.equal(rows, stacked.join(first))
    assert stacked.take_gradients(second).data_ptr() == rows.data_ptr()
    assert torch.equal(rows, stacked.join(second))


def test_split_gives_views(stacked):
    rows = torch.zeros(K, stacked.weights.shape[1])
    for tensor in stacked.split(rows):
        tensor += 1
    assert (rows == 1).all()


def test_convolutions_lie_in_a_row_in_the_channels_last_order(stacked):
    kernels = [leaf for leaf in stacked.leaves.values() if leaf.ndim == 5]
    assert kernels
    for kernel in kernels:
        for own in kernel:
            assert own.is_contiguous(memory_format=torch.channels_last)


def test_stacking_changes_no_weight_and_the_vaes_keep_views(trainers):
    before = [[p.detach().clone() for p in t.vae.parameters()] for t in trainers]
    stacked = stack_all(trainers)
    for row, (trainer, old) in enumerate(zip(trainers, before, strict=True)):
        for (name, parameter), value in zip(trainer.vae.named_parameters(), old, strict=True):
            assert torch.equal(parameter, value)
            assert torch.equal(stacked.leaves[name][row], value)
    with torch.no_grad():
        stacked.weights += 1
    for trainer, old in zip(trainers, before, strict=True):
        for parameter, value in zip(trainer.vae.parameters(), old, strict=True):
            assert torch.equal(parameter, value + 1)
    assert all(leaf.requires_grad and leaf.is_leaf for leaf in stacked.leaves.values())


def test_the_averages_move_towards_the_weights_by_the_blend(trainers, stacked):
    with torch.no_grad():
        stacked.weights.fill_(2.0)
        stacked.averaged.fill_(1.0)
        stacked.log_variance.copy_(torch.tensor([-1.0, -2.0, -3.0]))
    stacked.average(torch.tensor(0.25))
    for row, trainer in enumerate(trainers):
        assert all((parameter == 1.25).all() for parameter in trainer.averaged_vae.parameters())
        assert trainer.averaged_vae.log_variance == trainer.vae.log_variance == -1.0 - row
        assert trainer.averaged.n_averaged == 1


def test_the_moments_of_used_optimisers_are_taken_over_and_shared(trainers):
    for trainer in trainers:
        trainer.step()
    before = [[trainer.optimizer.state[p]["exp_avg"].clone() for p in trainer.vae.parameters()] for trainer in trainers]
    stacked = stack_all(trainers)
    shared = stacked.optimizer.state[stacked.weights]
    assert shared["step"] == 1
    for row, (trainer, old) in enumerate(zip(trainers, before, strict=True)):
        assert torch.equal(stacked.join([moment[None] for moment in old])[0], shared["exp_avg"][row])
        shared["exp_avg"][row].fill_(row)
        for parameter in trainer.vae.parameters():
            moments = trainer.optimizer.state[parameter]
            assert (moments["exp_avg"] == row).all()
            assert moments["exp_avg"].shape == parameter.shape


def test_rounded_leaves_are_those_of_the_encoder_and_decoder_of_this_package(trainers):
    class Own(Encoder):
        """May use its weights in another way."""

    for trainer in trainers:
        for vae in (trainer.vae, trainer.averaged.module):
            vae.encoder = Own(VAEConfig(32, 6))
            vae.scale = torch.nn.Parameter(torch.ones(2))
    rows = StackedWeights(*([getattr(t, name) for t in trainers] for name in NAMES), rounded=True)
    names = {name for name, leaf in rows.leaves.items() if leaf.dtype == torch.bfloat16}
    assert names == {f"decoder.{name}" for name, _ in trainers[0].vae.decoder.named_parameters()}
    rows.round_leaves()
    for leaf, view in zip(rows.leaves.values(), rows.split(rows.weights), strict=True):
        assert torch.equal(leaf, view.to(leaf.dtype))
        assert leaf.requires_grad
    gradients = [torch.randn(leaf.shape).to(leaf.dtype) for leaf in rows.leaves.values()]
    assert torch.equal(rows.take_gradients(gradients), rows.join([gradient.float() for gradient in gradients]))
