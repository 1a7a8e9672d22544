"""What a VAE of one's own may hold: state, layers with two names, weights that nothing uses."""

import copy

import pytest
import torch
from torch import nn

from vae.acceleration.cuda_graphs import EAGER_STEPS
from vae.acceleration.stacked import probe
from vae.model import VAEConfig, build_vae
from vae.side_by_side import SideBySide, _can_stack
from vae.training import Trainer
from vae.training_config import TrainingConfig


@pytest.fixture
def make(tiny_images):
    """A function from seeds and a function from a seed to a VAE, to trainers."""

    def trainers(*seeds, vae, **settings):
        config = TrainingConfig(epochs=3, batch_size=4, **settings)
        return [Trainer(vae(seed), tiny_images, config, seed) for seed in seeds]

    return trainers


class Counting(nn.Module):
    """Let a layer's output fade in; the steps are counted in place, or not."""

    steps: torch.Tensor

    def __init__(self, layer, in_place=True):
        super().__init__()
        self.layer, self.in_place = layer, in_place
        self.register_buffer("steps", torch.zeros(()))

    def forward(self, given):
        if self.in_place:
            self.steps += 1
        else:
            self.steps = self.steps + 1
        return self.layer(given) * (self.steps / 5).clamp(max=1)


@pytest.mark.parametrize("seeds", [(0,), (0, 1)])
def test_buffers_that_change_in_place_change_as_without_a_stack(make, quick_vae, seeds):
    def with_buffers(seed):
        vae = quick_vae(seed)
        if len(seeds) == 1:  # vmap cannot compute it
            nn.utils.parametrizations.spectral_norm(vae.encoder)
        vae.decoder = Counting(vae.decoder)
        return vae

    trainers, alone = (make(*seeds, vae=with_buffers, learning_rate=1e-2, warmup_steps=0) for _ in range(2))
    rows = SideBySide(trainers, stacked=True)
    for _ in range(5):
        losses = rows.step().total
        torch.testing.assert_close(losses, torch.stack([trainer.step().total for trainer in alone]))
    for own, other in zip(trainers, alone, strict=True):
        assert own.vae.decoder.steps == own.averaged_vae.decoder.steps == 5
        for vae, expected in ((own.vae, other.vae), (own.averaged_vae, other.averaged_vae)):
            torch.testing.assert_close(dict(vae.named_buffers()), dict(expected.named_buffers()))


def test_a_buffer_that_is_replaced_is_refused_by_a_stack_and_not_in_turn(make, quick_vae):
    def replacing(seed):
        vae = quick_vae(seed)
        vae.decoder = Counting(vae.decoder, in_place=False)
        return vae

    with pytest.raises(ValueError, match=r"change its buffers in place, got another tensor at 'decoder\.steps'"):
        SideBySide(make(0, 1, vae=replacing), stacked=True).step()
    trainers = make(0, 1, vae=replacing)
    with pytest.warns(UserWarning, match="train in turn, not stacked, and slower: a VAE must change its buffers"):
        assert not _can_stack(trainers)
    SideBySide(trainers, stacked=False).step()
    assert [trainer.vae.decoder.steps for trainer in trainers] == [1, 1]


@pytest.mark.parametrize("seeds", [(0,), (0, 1)])
def test_a_layer_with_two_names_is_stacked_and_stays_the_vae_s_own(make, quick_vae, seeds):
    def with_two_names(seed):
        vae = quick_vae(seed)
        vae.encoder.extra = vae.decoder[0]
        return vae

    trainers, alone = (make(*seeds, vae=with_two_names) for _ in range(2))
    probe([trainer.vae for trainer in trainers], trainers[0].images[0])
    rows = SideBySide(trainers, stacked=True)
    for _ in range(3):
        losses = rows.step().total
        torch.testing.assert_close(losses, torch.stack([trainer.step().total for trainer in alone]))
    for trainer in trainers:
        assert all(isinstance(parameter, nn.Parameter) for parameter in trainer.vae.parameters())
        copy.deepcopy(trainer.vae).requires_grad_(False)


class Scaled(nn.Module):
    """Multiply a layer's output by a weight, and hold two layers that nothing uses."""

    def __init__(self, layer):
        super().__init__()
        self.first, self.scale = nn.Linear(2, 2), nn.Parameter(torch.ones(()))
        self.layer, self.last = layer, nn.Linear(2, 2)

    def forward(self, given):
        return self.layer(given) * self.scale


@pytest.mark.parametrize("seeds", [(0,), (0, 1)])
@pytest.mark.parametrize("steps_before", [0, 1])
def test_unused_weights_and_weights_of_no_dimension_train_as_without_a_stack(make, quick_vae, seeds, steps_before):
    def scaled(seed):
        vae = quick_vae(seed)
        torch.manual_seed(seed)
        vae.register_parameter("unused", nn.Parameter(torch.ones(2)))  # the first of all
        vae.decoder = Scaled(vae.decoder)
        return vae

    trainers, alone = (make(*seeds, vae=scaled, learning_rate=1e-2, warmup_steps=0) for _ in range(2))
    for trainer in (trainers + alone) * steps_before:
        trainer.step()
    rows = SideBySide(trainers, stacked=True)
    for _ in range(3):
        losses = rows.step().total
        torch.testing.assert_close(losses, torch.stack([trainer.step().total for trainer in alone]))
    for own, other in zip(trainers, alone, strict=True):
        torch.testing.assert_close(dict(own.vae.named_parameters()), dict(other.vae.named_parameters()))
        for name, weight in scaled(own.seed).named_parameters():
            changed = not torch.equal(weight, own.vae.get_parameter(name))
            assert changed == (not any(part in name for part in ("unused", "first", "last")))


def last_linear(vae):
    return [part for part in vae.encoder.modules() if isinstance(part, nn.Linear)][-1]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_all_this_trains_in_a_graph_as_without(tiny_images):
    def own():
        vae = build_vae(VAEConfig(32, 4), 0)
        nn.utils.parametrizations.spectral_norm(last_linear(vae))
        vae.decoder = Counting(Scaled(vae.decoder))
        vae.decoder.extra = vae.decoder.layer.layer
        vae.register_buffer("mask", torch.full((2, 2), -torch.inf))
        return vae

    def trained(**settings):
        config = TrainingConfig(epochs=3, batch_size=4, learning_rate=1e-2, warmup_steps=0, **settings)
        trainer = Trainer(own(), tiny_images, config, 0, "cuda")
        return trainer, torch.stack([trainer.step().total for _ in range(2 * EAGER_STEPS + 2)])

    (graphed, losses), (eager, expected) = trained(), trained(graphed=False)
    assert graphed._stack is not None
    torch.testing.assert_close(losses, expected, rtol=0.02, atol=0.0)
    for vae, other in ((graphed.vae, eager.vae), (graphed.averaged_vae, eager.averaged_vae)):
        buffers, others = dict(vae.named_buffers()), dict(other.named_buffers())
        assert buffers["decoder.steps"] == others["decoder.steps"] == 2 * EAGER_STEPS + 2
        assert buffers.keys() == others.keys()
        norm = torch.linalg.matrix_norm(last_linear(vae.eval()).weight.detach(), 2)
        assert float(norm) == pytest.approx(1, abs=0.1)
    again = Trainer(own(), tiny_images, graphed.config, 0, "cuda")
    again.load_state_dict(graphed.state_dict())
    copy.deepcopy(graphed.vae)
