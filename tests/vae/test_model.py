import numpy as np
import pytest
import torch

from vae.model import (
    LOG_VAR_RANGE,
    AlignedConv2d,
    Conv3x3,
    Decoder,
    Encoder,
    NoCheckerboard,
    SubpixelConv2d,
    VAEConfig,
    build_vae,
    check_contract,
    count_parameters,
    shuffle_channels_last,
)
from vae.seeds import seeded

pytestmark = pytest.mark.usefixtures("real_channels")


@pytest.mark.parametrize("size", [32, 64, 128, 256])
@pytest.mark.parametrize("width", ["small", "large"])
def test_shapes_hold_for_every_size_and_width(size, width):
    vae = build_vae(VAEConfig(size, 7, width), seed=0)
    mean, log_var = vae.encode(torch.rand(2, 3, size, size))
    assert mean.shape == log_var.shape == (2, 7)
    assert vae.decode(mean).shape == (2, 3, size, size)


def test_log_variances_stay_in_their_range():
    vae = build_vae(VAEConfig(32, 5), seed=0)
    assert isinstance(vae.encoder, Encoder)
    vae.encoder.head.bias.data.fill_(1e4)
    low, high = LOG_VAR_RANGE
    log_var = vae.encode(torch.rand(3, 3, 32, 32))[1]
    assert log_var.min() >= low
    assert log_var.max() == high


def test_a_picture_s_posterior_does_not_depend_on_the_rest_of_the_batch():
    vae = build_vae(VAEConfig(32, 5), seed=0)
    pictures = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    together, alone = vae.encode(pictures)[0], vae.encode(pictures[2:3])[0]
    torch.testing.assert_close(together[2:3], alone, rtol=1e-4, atol=1e-5)
    vae.zero_grad()
    pictures.requires_grad_(True)
    vae.encode(pictures)[0][0].sum().backward()
    assert pictures.grad is not None
    assert pictures.grad[0].abs().max() > 0
    assert pictures.grad[1:].abs().max() == 0


def test_weights_come_from_the_seed_and_leave_the_global_random_state_alone():
    before = torch.get_rng_state()
    first, same, other = (build_vae(VAEConfig(32, 5), seed) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), same.parameters(), strict=True))
    assert any(not torch.equal(a, b) for a, b in zip(first.parameters(), other.parameters(), strict=True))
    assert all(p.isfinite().all() for p in first.parameters())


def test_convolutions_are_laid_out_as_cpus_like_them():
    weights = [
        layer.weight for layer in build_vae(VAEConfig(64), seed=0).modules() if isinstance(layer, torch.nn.Conv2d)
    ]
    assert len(weights) > 10
    assert all(weight.is_contiguous(memory_format=torch.channels_last) for weight in weights)


def test_a_wave_loses_the_share_that_the_filter_s_docstring_gives():
    places = torch.arange(64.0)
    picture = torch.rand(1, 3, 1, 1).expand(1, 3, 64, 64)
    for u, v in ((0.0, 0.0), (0.0, torch.pi), (torch.pi, 0.0), (torch.pi, torch.pi), (2.1, 0.7), (0.3, 0.4)):
        wave = torch.cos(v * places)[:, None] * torch.cos(u * places)
        lost = np.sin(u / 2) ** 2 * np.sin(v / 2) ** 2
        inside = (slice(None), slice(None), slice(2, -2), slice(2, -2))  # beyond the border no wave goes on
        for training, times in ((True, 1), (False, 2)):
            filtered = NoCheckerboard().train(training)(picture + wave)
            wanted = picture + (1 - lost) ** times * wave
            torch.testing.assert_close(filtered[inside], wanted[inside], rtol=0, atol=1e-5)


def test_the_filter_is_never_filled_where_there_is_no_memory(monkeypatch):
    """Arithmetic on the meta device imports torch's compiler first: 2 s in each process that loads the weights."""
    filled, fill = [], NoCheckerboard.fill

    def noted(self):
        filled.append(self.kernel.device.type)
        fill(self)

    monkeypatch.setattr(NoCheckerboard, "fill", noted)
    build_vae(VAEConfig(128, 4, "large"), seed=0)
    assert filled == ["cpu"]


def test_only_large_decoders_of_128_pixels_and_more_draw_through_the_filter_and_store_nothing_of_it():
    for size, width in ((64, "large"), (128, "small"), (256, "small"), (256, "large"), (128, "large")):
        vae = build_vae(VAEConfig(size, 4, width), seed=0)
        assert isinstance(vae.decoder.finish, NoCheckerboard) == (size >= 128 and width == "large")
        assert not any("kernel" in name for name in vae.state_dict())
    assert isinstance(vae.decoder, Decoder)
    last = vae.decoder.body[-2]
    assert isinstance(last, torch.nn.Conv2d)
    last.bias.data += torch.randn(12, generator=torch.Generator().manual_seed(0))
    picture = vae.decode(torch.zeros(1, 4)).detach()
    board = (-1.0) ** (torch.arange(128)[:, None] + torch.arange(128))
    inside = (slice(None), slice(None), slice(2, -2), slice(2, -2))  # in training mode: filtered once
    assert picture.std() > 0.1
    assert (picture * board)[inside].mean((2, 3)).abs().max() < 1e-3
    bare = vae.decoder.body[-2:](vae.decoder.features(torch.zeros(1, 4))).detach()
    assert (bare * board)[inside].mean((2, 3)).abs().max() > 0.1


@pytest.mark.parametrize(("width", "parameters"), [("small", 3_882_660), ("large", 13_958_436)])
def test_the_models_at_64_pixels_have_the_readme_s_number_of_parameters(width, parameters):
    assert count_parameters(build_vae(VAEConfig(64, 300, width), 0)) == parameters


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"size": 48}, r"VAEConfig.size must be one of 32, 64, 128, 256, got 48"),
        ({"latent_dim": 0}, r"VAEConfig.latent_dim must lie in 1..4096, got 0"),
        ({"width": "huge"}, r"VAEConfig.width must be one of 'small', 'large', got 'huge'"),
    ],
)
def test_config_raises_when_a_field_is_out_of_range(settings, message):
    with pytest.raises(ValueError, match=message):
        VAEConfig(**settings)


@pytest.mark.parametrize("factor", [2, 4])
def test_pixels_shuffled_in_the_channels_last_format_are_those_of_torch(factor):
    x = torch.randn(2, 3 * factor**2, 5, 7, generator=torch.Generator().manual_seed(0))
    expected = torch.nn.functional.pixel_shuffle(x, factor)
    found = shuffle_channels_last(x.to(memory_format=torch.channels_last), factor)
    assert torch.equal(found, expected)
    assert found.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_decoder_on_a_gpu_keeps_the_channels_last_format():
    vae = build_vae(VAEConfig(64, 5, "large"), seed=0).cuda()
    assert vae.decode(torch.randn(2, 5, device="cuda")).is_contiguous(memory_format=torch.channels_last)


def convolutions(kind: type[Conv3x3]) -> list[Conv3x3]:
    return [layer for layer in build_vae(VAEConfig(32, 5), seed=0).modules() if type(layer) is kind]


@pytest.mark.parametrize("kind", [Conv3x3, AlignedConv2d, SubpixelConv2d])
def test_what_a_gpu_computes_is_the_same_convolution_with_the_same_gradients(kind):
    layers = convolutions(kind)
    assert len(layers) == {Conv3x3: 19, AlignedConv2d: 2, SubpixelConv2d: 3}[kind]
    for layer in layers:
        torch.nn.init.normal_(layer.weight, std=0.1)  # that of a residual block's last one is zero
        torch.nn.init.normal_(layer.bias)
        pictures = torch.randn(2, layer.in_channels, 8, 8, generator=seeded(1)).requires_grad_(True)
        found = []
        for way in (layer.forward, layer.on_gpu):
            output = way(pictures)
            gradients = torch.autograd.grad(output.square().sum(), [pictures, layer.weight, layer.bias])
            found.append((output, *gradients))
        for plain, other in zip(*found, strict=True):
            torch.testing.assert_close(plain, other, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("width", ["small", "large"])
@pytest.mark.parametrize("size", [32, 64, 128, 256])
def test_layers_whose_channels_are_no_multiple_of_8_are_aligned(size, width):
    layers = [layer for layer in build_vae(VAEConfig(size, 5, width), seed=0).modules() if isinstance(layer, Conv3x3)]
    odd = [layer for layer in layers if layer.in_channels % 8 or layer.out_channels % 8]
    assert all(isinstance(layer, AlignedConv2d) for layer in odd)
    assert len(odd) == (0 if size >= 128 and width == "small" else 2)  # patches of 4 x 4 pixels have 48 channels


@pytest.mark.parametrize("kind", [Conv3x3, AlignedConv2d, SubpixelConv2d])
def test_what_a_gpu_computes_stays_in_the_channels_last_format(kind):
    for layer in convolutions(kind):
        pictures = torch.randn(2, layer.in_channels, 8, 8).contiguous(memory_format=torch.channels_last)
        output = layer.on_gpu(pictures.requires_grad_())
        (gradient,) = torch.autograd.grad(output.sum(), pictures)
        assert output.stride(1) == 1  # a slice of 16 channels is not contiguous
        assert gradient.is_contiguous(memory_format=torch.channels_last)


class Standardised(torch.nn.Module):
    """Give a network inputs whose mean, or root mean square alone, over the whole batch is removed."""

    def __init__(self, network, centred):
        super().__init__()
        self.network, self.centred = network, centred

    def forward(self, batch):
        return self.network(
            (batch - batch.mean()) / batch.std() if self.centred else batch / batch.square().mean().sqrt()
        )


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("centred", [True, False])
@pytest.mark.parametrize("part", ["encoder", "decoder"])
def test_rows_coupled_through_the_moments_of_the_batch_break_the_contract(part, centred, training):
    vae = build_vae(VAEConfig(32, 5), seed=0).train(training)
    check_contract(vae)
    if part == "decoder":
        last = [layer for layer in vae.decoder.modules() if isinstance(layer, torch.nn.Conv2d)][-1]
        torch.nn.init.normal_(last.weight, std=0.1, generator=seeded(1))
    setattr(vae, part, Standardised(getattr(vae, part), centred))
    with pytest.raises(ValueError, match="must give a row the same result whatever the other rows are"):
        check_contract(vae)
