"""The variational autoencoder: a residual convolutional encoder and decoder for 32, 64, 128 and 256 pixels.

There are no normalisation layers, because they couple the pictures of a batch or the colours of a picture. So each row
of the batch depends only on its own picture, and an agent can be rewarded per picture. Instead of normalisation,
residual branches start at zero, as in very deep VAEs (Child 2021).
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, cast, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vae.checks import check_between, check_one_of, integer
from vae.device import channels_last
from vae.seeds import seeded

ImageSize = Literal[32, 64, 128, 256]
Width = Literal["small", "large"]

IMAGE_SIZES: tuple[int, ...] = get_args(ImageSize)
_CHANNELS: dict[str, tuple[int, ...]] = {
    # at S/2 (S >= 128: S/4), then after each halving, down to 4 x 4 (S = 32: 2 x 2)
    "small": (32, 64, 96, 128),
    "large": (64, 128, 256, 256),
}
_OTHER_CHANNELS: dict[tuple[int, str], tuple[int, ...]] = {
    # the large ones start at S/2 too: patches of 4 x 4 pixels cannot draw a sharp edge
    (128, "large"): (48, 96, 160, 224, 256),
    (256, "large"): (32, 48, 96, 160, 224, 256),
    (256, "small"): (32, 48, 64, 96, 128),
}
MAX_LATENT_DIM = 4096
FIRST_LOG_VARIANCE = -2.0  # of the pixels around a decoded picture, before training: about that of raw pixels
LOG_VAR_RANGE = (-12.0, 4.0)  # of a posterior: outside it, exp() is of no use for pictures and can overflow


@dataclass(frozen=True)
class VAEConfig:
    """Describe the autoencoder to build.

    Attributes:
        size: 32, 64, 128 or 256 pixels, the side S of a picture.
        latent_dim: D in 1..4096, dimensions of a latent.
        width: "small" trains on two cores, "large" is for a GPU. The large decoders for 128 and 256 pixels end with
            `NoCheckerboard`, so their output differs between training mode and evaluation mode.
    """

    size: int = 64
    latent_dim: int = 300
    width: Width = "small"

    def __post_init__(self) -> None:
        """Reject invalid settings.

        Raises:
            TypeError: If a number is no integer.
            ValueError: If a field is out of its range.
        """
        for name in ("size", "latent_dim"):  # as Python's own: torch's layers refuse NumPy's
            object.__setattr__(self, name, integer(f"VAEConfig.{name}", getattr(self, name)))
        check_one_of("VAEConfig.size", self.size, IMAGE_SIZES)
        check_one_of("VAEConfig.width", self.width, _CHANNELS)
        check_between("VAEConfig.latent_dim", self.latent_dim, 1, MAX_LATENT_DIM, advice="The paper uses 300.")


class Conv3x3(nn.Conv2d):
    """Convolve 3 x 3 pixels; on a GPU, `on_gpu` computes the same in a way that is faster there."""

    def __init__(self, before: int, after: int, stride: int = 1) -> None:
        """Build a convolution of (batch, before, height, width) to (batch, after, height / stride, width / stride)."""
        super().__init__(before, after, 3, stride, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve (batch, before, height, width) float."""
        return super().forward(x) if x.device.type == "cpu" else self.on_gpu(x)

    def on_gpu(self, x: Tensor) -> Tensor:
        """Convolve, and add the bias apart, so that torch.compile can join that with what follows."""
        return self.convolve(x, self.weight, cast(Tensor, self.bias))

    def convolve(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """Convolve with other weights."""
        found: Tensor = F.conv2d(x, weight, None, self.stride, self.padding)
        return found + bias.to(found.dtype)[:, None, None]


class AlignedConv2d(Conv3x3):
    """Convolve 3 x 3 pixels; on a GPU, channels of zeros fill both sides up to a multiple of 8.

    Tensor cores read bfloat16 in such groups. For other numbers of channels cuDNN has slow kernels only
    (`benchmarks/convolutions.py`).
    """

    def on_gpu(self, x: Tensor) -> Tensor:
        """Convolve with zeros as extra channels, and leave the extra outputs out; the result is the same."""
        weight, bias = self.weight, cast(Tensor, self.bias)
        if more := -self.in_channels % 8:
            x, weight = F.pad(x, (0, 0, 0, 0, 0, more)), F.pad(weight, (0, 0, 0, 0, 0, more))
        if more := -self.out_channels % 8:
            weight, bias = F.pad(weight, (0, 0, 0, 0, 0, 0, 0, more)), F.pad(bias, (0, more))
        found = self.convolve(x, weight, bias).permute(0, 2, 3, 1)
        return found[..., : self.out_channels].permute(0, 3, 1, 2)  # so its gradient is channels-last, too


class SubpixelConv2d(Conv3x3):
    """Convolve 3 x 3 pixels to four times the channels, and turn these into twice the width and height.

    Source: sub-pixel convolution (Shi et al. 2016, "Real-Time Single Image and Video Super-Resolution").
    """

    def __init__(self, before: int, after: int) -> None:
        """Build a convolution of (batch, before, height, width) to (batch, after, 2 height, 2 width)."""
        super().__init__(before, 4 * after)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve (batch, before, height, width) float, and shuffle as `torch.nn.PixelShuffle(2)` does."""
        return F.pixel_shuffle(super().forward(x), 2) if x.device.type == "cpu" else self.on_gpu(x)

    def on_gpu(self, x: Tensor) -> Tensor:
        """Compute the channels of each new pixel side by side, so that whole rows of them move; the same result."""
        bias, kernels = cast(Tensor, self.bias), self.weight.permute(0, 2, 3, 1)
        kernels, bias = (part.unflatten(0, (-1, 4)).transpose(0, 1).flatten(0, 1) for part in (kernels, bias))
        found = self.convolve(x, kernels.permute(0, 3, 1, 2), bias)
        n, _, height, width = found.shape
        rows = found.permute(0, 2, 3, 1).unflatten(3, (2, 2, -1)).permute(0, 1, 3, 2, 4, 5)
        return cast(Tensor, rows.reshape(n, 2 * height, 2 * width, -1).permute(0, 3, 1, 2))


class Residual(nn.Module):
    """Add the output of two 3 x 3 convolutions to a feature map; the second starts at zero."""

    def __init__(self, channels: int) -> None:
        """Build both convolutions for (batch, channels, height, width)."""
        super().__init__()
        self.first = Conv3x3(channels, channels)
        self.last = Conv3x3(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return x + change, in the same shape."""
        return cast(Tensor, x + self.last(nn.functional.silu(self.first(nn.functional.silu(x)))))


class PixelShuffle(nn.PixelShuffle):
    """Turn r^2 channels into r x r pixels, as torch does, and keep the channels-last format on a GPU.

    There torch's own module returns torch's usual format, and each layer after it converts its input.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, C r^2, height, width) to (batch, C, height r, width r)."""
        keeps = x.device.type == "cpu" or x.stride(1) != 1  # torch's module keeps the format
        return super().forward(x) if keeps else shuffle_channels_last(x, self.upscale_factor)


def shuffle_channels_last(x: Tensor, factor: int) -> Tensor:
    """Return what `torch.nn.functional.pixel_shuffle` returns, in the channels-last format."""
    n, channels, height, width = x.shape
    rows = x.permute(0, 2, 3, 1).reshape(n, height, width, channels // factor**2, factor, factor)
    pixels = rows.permute(0, 1, 4, 2, 5, 3).reshape(n, height * factor, width * factor, channels // factor**2)
    return pixels.permute(0, 3, 1, 2)


class NoCheckerboard(nn.Module):
    """Remove the checkerboard artifacts of pixel shuffling, which alternate from pixel to pixel along both axes.

    The filter is x - Dx Dy x, where D is (-1, 2, -1) / 4 along an axis. A wave of u and v radians per pixel loses the
    share sin^2(u/2) sin^2(v/2). A checkerboard vanishes. A pattern along one axis only, such as the edge of an upright
    finger, does not change. Fixed filters against these artifacts: Sugawara et al. 2018, "Super-Resolution using
    Convolutional Neural Networks without Any Checkerboard Artifacts".

    The filter runs once in training mode and twice in evaluation mode. A decoder that learns through the filter draws
    more of what passes it: waves of half that frequency along one axis. The second pass removes this excess.
    """

    kernel: Tensor

    def __init__(self) -> None:
        """Build the filter; on the meta device `build_vae` fills it after it has allocated memory."""
        super().__init__()
        self.register_buffer("kernel", torch.empty(3, 1, 3, 3), persistent=False)
        if not self.kernel.is_meta:  # arithmetic there would first import torch's compiler, for 2 s
            self.fill()

    def fill(self) -> None:
        """Write the filter's coefficients, which training does not change."""
        d = torch.tensor([-1.0, 2.0, -1.0], device=self.kernel.device) / 4
        self.kernel.copy_(-torch.outer(d, d))
        self.kernel[:, :, 1, 1] += 1

    def forward(self, images: Tensor) -> Tensor:
        """Filter (batch, 3, S, S) float; the pixels at the border are repeated as padding."""
        for _ in range(1 if self.training else 2):
            images = F.conv2d(F.pad(images, (1, 1, 1, 1), mode="replicate"), self.kernel, groups=3)
        return images


class Encoder(nn.Module):
    """Map pictures to the means and log-variances of their posteriors."""

    def __init__(self, config: VAEConfig) -> None:
        """Build the layers; see `VAEConfig`."""
        super().__init__()
        channels, patch = _channels(config), _patch(config)
        layers: list[nn.Module] = [
            nn.PixelUnshuffle(patch),
            AlignedConv2d(3 * patch**2, channels[0]),
        ]
        layers.append(Residual(channels[0]))
        for before, after in pairwise(channels):
            layers += [Conv3x3(before, after, stride=2), Residual(after)]
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(channels[-1] * _grid(config) ** 2, 2 * config.latent_dim)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Encode pictures.

        Args:
            images: (batch, 3, S, S) float in [0, 1].

        Returns:
            Means and log-variances, each (batch, latent) float32; the latter within `LOG_VAR_RANGE`.
        """
        x = self.body(images * 2 - 1)  # (batch, C, 4, 4); S = 32: 2 x 2
        x = self.head(nn.functional.silu(x).flatten(1))  # (batch, 2 latent)
        mean, log_var = x.float().chunk(2, dim=1)  # (batch, latent) each
        return mean, log_var.clamp(*LOG_VAR_RANGE)


class Decoder(nn.Module):
    """Map latents to pictures."""

    def __init__(self, config: VAEConfig) -> None:
        """Build the layers; see `VAEConfig`."""
        super().__init__()
        channels = _channels(config)[::-1]
        patch, grid = _patch(config), _grid(config)
        self.head = nn.Linear(config.latent_dim, channels[0] * grid**2)
        layers: list[nn.Module] = [nn.Unflatten(1, (channels[0], grid, grid)), Residual(channels[0])]
        for before, after in pairwise(channels):
            layers += [SubpixelConv2d(before, after), nn.Identity(), Residual(after)]  # three, for the names in files
        layers += [nn.SiLU(), AlignedConv2d(channels[-1], 3 * patch**2), PixelShuffle(patch)]
        self.body = nn.Sequential(*layers)
        self.feature_channels = channels[-1]
        self.finish = NoCheckerboard() if config.size >= 128 and config.width == "large" else nn.Identity()

    def features(self, latents: Tensor) -> Tensor:
        """Decode (batch, latent) float to what `paint` takes: (batch, `feature_channels`, S/2, S/2), or S/4."""
        return cast(Tensor, self.body[:-2](self.head(latents)))

    def paint(self, features: Tensor) -> Tensor:
        """Turn feature maps into pictures, (batch, 3, S, S) float, around [0, 1] but not clipped to it."""
        return cast(Tensor, self.finish(self.body[-2:](features)) + 0.5)

    def forward(self, latents: Tensor) -> Tensor:
        """Decode latents.

        Args:
            latents: (batch, latent) float.

        Returns:
            (batch, 3, S, S) float, means of the pixels, around [0, 1] but not clipped to it.
        """
        return self.paint(self.features(latents))


class VAE(nn.Module):
    """Hold an encoder, a decoder and the variance of the pixels around a decoded picture.

    Any pair of modules works if it keeps this contract:

    - encoder: (batch, 3, S, S) float in [0, 1] -> two (batch, D) float tensors, posterior means and log-variances;
    - decoder: (batch, D) float -> (batch, 3, S, S) float, means of the pixels;
    - a row depends only on its own picture or latent, and on nothing random: no batch normalisation, no dropout.
      `check_contract` tests this.
    """

    log_variance: Tensor

    def __init__(self, encoder: nn.Module, decoder: nn.Module, size: int, latent_dim: int) -> None:
        """Combine an encoder and a decoder.

        Args:
            encoder: See the class.
            decoder: See the class.
            size: S, pixels a side.
            latent_dim: D.
        """
        super().__init__()
        self.size, self.latent_dim = size, latent_dim
        self.encoder = encoder
        self.decoder = decoder
        self.register_buffer("log_variance", torch.tensor(FIRST_LOG_VARIANCE))

    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Encode (batch, 3, S, S) float in [0, 1] to means and log-variances, (batch, latent) each."""
        return cast(tuple[Tensor, Tensor], self.encoder(images))

    def decode(self, latents: Tensor) -> Tensor:
        """Decode (batch, latent) float to (batch, 3, S, S) float, around [0, 1]."""
        return cast(Tensor, self.decoder(latents))


def build_vae(config: VAEConfig, seed: int) -> VAE:
    """Build an autoencoder whose weights depend only on the seed.

    Args:
        config: Size, latent dimensions and width.
        seed: >= 0.

    Returns:
        A `VAE` on the CPU, float32. Its convolutions are in the channels-last format, which is faster on CPUs
        (`benchmarks/layout.py`). The global random state is neither read nor changed.
    """
    with torch.device("meta"):
        vae = VAE(Encoder(config), Decoder(config), config.size, config.latent_dim)
    # as to_empty does, which would first import for 0.7 s
    vae._apply(lambda meta: torch.empty(meta.shape, dtype=meta.dtype))  # type: ignore[no-untyped-call]  # torch's
    generator = seeded(seed)
    with torch.no_grad():
        vae.log_variance.fill_(FIRST_LOG_VARIANCE)
        for module in vae.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight, nonlinearity="linear", generator=generator)
                nn.init.zeros_(cast(Tensor, module.bias))
        for module in vae.modules():
            if isinstance(module, Residual):
                nn.init.zeros_(module.last.weight)
            if isinstance(module, NoCheckerboard):
                module.fill()
    return channels_last(vae)


@torch.no_grad()
def check_contract(vae: VAE) -> None:
    """Reject an encoder or a decoder that breaks the contract of `VAE`.

    Args:
        vae: The model, on the CPU; it is tested on two pictures of noise, in its own mode.

    Raises:
        ValueError: If a shape is wrong, or a row depends on the other row or on random numbers.
    """
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(2, 3, vae.size, vae.size, generator=generator)
    latents = torch.randn(2, vae.latent_dim, generator=generator)
    encoded, decoded = vae.encode(images), vae.decode(latents)
    pair = encoded if isinstance(encoded, tuple | list) else (encoded,)
    got = " and ".join(str(tuple(x.shape)) for x in pair)
    if len(pair) != 2 or any(x.shape != latents.shape for x in pair):
        raise ValueError(
            f"encoder must map {tuple(images.shape)} pictures to means and log-variances of shape "
            f"{tuple(latents.shape)} each, got {got}. VAE(..., latent_dim=D) sets D, now {vae.latent_dim}."
        )
    if decoded.shape != images.shape:
        raise ValueError(
            f"decoder must map {tuple(latents.shape)} latents to pictures {tuple(images.shape)}, "
            f"got {tuple(decoded.shape)}."
        )
    if not all(x.isfinite().all() for x in (*encoded, decoded)):
        raise ValueError("encoder and decoder must give finite numbers, got NaN or infinity.")
    images[1], latents[1] = images[1].flip(0, 1, 2).square() / 2, -3 * latents[1]  # other moments, too
    again = (*vae.encode(images), vae.decode(latents))
    if not all(torch.allclose(a[0], b[0], 1e-3, 1e-4) for a, b in zip((*encoded, decoded), again, strict=True)):
        raise ValueError(
            "encoder and decoder must give a row the same result whatever the other rows are, and each time; "
            "got two results. Replace batch normalisation by group normalisation, and remove dropout."
        )


def count_parameters(module: nn.Module) -> int:
    """Return the number of trainable parameters."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad)


def _channels(config: VAEConfig) -> tuple[int, ...]:
    return _OTHER_CHANNELS.get((config.size, config.width), _CHANNELS[config.width])


def _patch(config: VAEConfig) -> int:
    return 4 if config.size >= 128 and config.width == "small" else 2


def _grid(config: VAEConfig) -> int:
    return (config.size // _patch(config)) >> (len(_channels(config)) - 1)
