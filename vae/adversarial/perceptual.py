"""Measure the perceptual distance of pictures: that of their features in a network trained on ImageNet."""

from collections.abc import Callable
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from vae.device import channels_last, compiled, reduced_precision, tensor_float_32
from vae.distribution import TRAINS, PictureFeatures

TAKEN = (0, 2, 4, 7)  # blocks whose outputs are compared: at 1/2, 1/4, 1/8 and 1/16 of the resolution


class Stages(nn.Module):
    """Frozen EfficientNet-Lite0 (Tan & Le 2019) up to a block, with fewer operations than its package has.

    Normalisation is folded into the convolutions, convolutions of one pixel are matrix products, which add their bias
    at no cost, and convolutions pad by themselves where they can.
    """

    def __init__(self, taken: tuple[int, ...]) -> None:
        """Load the weights.

        Args:
            taken: Ascending numbers, 0 to 15, of the blocks whose outputs to return.

        Raises:
            ImportError: If the extra `compare` is not installed.
        """
        super().__init__()
        network = PictureFeatures(TRAINS).network
        self.stem = _folded(network._conv_stem, network._bn0)
        self.blocks = nn.ModuleList(_Block(block) for block in list(network._blocks)[: taken[-1] + 1])
        self.taken = taken
        self.requires_grad_(False)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return the blocks' outputs, (n, channels, height, width) each, for (n, 3, S, S) pictures in [0, 1]."""
        x, results = F.relu6(self.stem(images.clamp(0, 1) * 2 - 1)), []
        for number, block in enumerate(self.blocks):
            x = block(x)
            if number in self.taken:
                results.append(x)
        return results


class _Block(nn.Module):
    """An inverted residual block: more channels, a convolution of each by itself, and fewer channels."""

    def __init__(self, block: Any) -> None:
        """Take the convolutions of a block of the package, with its normalisation."""
        super().__init__()
        self.expand = _pointwise(block._expand_conv, block._bn0) if hasattr(block, "_expand_conv") else None
        self.depthwise = _folded(block._depthwise_conv, block._bn1)
        self.project = _pointwise(block._project_conv, block._bn2)

    def forward(self, inputs: Tensor) -> Tensor:
        """Map (n, channels, height, width)."""
        x = inputs if self.expand is None else F.relu6(_each_pixel(self.expand, inputs))
        x = _each_pixel(self.project, F.relu6(self.depthwise(x)))
        return x + inputs if x.shape == inputs.shape else x


def _folded(convolution: nn.Conv2d, normalisation: nn.BatchNorm2d) -> nn.Conv2d:
    """Fold a normalisation into its convolution, which pads by itself if it pads all sides alike."""
    folded = fuse_conv_bn_eval(convolution, normalisation)
    left, right, top, bottom = getattr(folded.static_padding, "padding", (0, 0, 0, 0))
    if left == right and top == bottom:
        folded.static_padding, folded.padding = nn.Identity(), (top, left)
    return folded


def _pointwise(convolution: nn.Conv2d, normalisation: nn.BatchNorm2d) -> nn.Linear:
    """Turn a convolution of one pixel, with its normalisation, into a linear layer."""
    folded = fuse_conv_bn_eval(convolution, normalisation)
    with torch.device("meta"):  # weights of its own would be drawn in vain
        layer = nn.Linear(folded.in_channels, folded.out_channels)
    layer.weight, layer.bias = nn.Parameter(folded.weight[:, :, 0, 0]), cast(nn.Parameter, folded.bias)
    return layer


def _each_pixel(layer: nn.Linear, x: Tensor) -> Tensor:
    """Apply a linear layer to each pixel of (n, channels, height, width)."""
    pixels = x.permute(0, 2, 3, 1)  # (n, height, width, channels), contiguous if x is channels-last
    mapped: Tensor = layer(pixels.flatten(0, 2))
    return mapped.view(*pixels.shape[:3], -1).permute(0, 3, 1, 2)


class Perceptual(nn.Module):
    """Compare pictures by EfficientNet-Lite0's features, each of unit length, at four depths.

    This is LPIPS (Zhang et al. 2018) without its learned weights. `handlatent compare` measures with another network.
    """

    def __init__(self) -> None:
        """Load the weights.

        Raises:
            ImportError: If the extra `compare` is not installed.
        """
        super().__init__()
        self.stages = Stages(TAKEN)

    def forward(self, pictures: Tensor, aims: Tensor) -> Tensor:
        """Return the mean distance between pictures and their targets, a scalar >= 0.

        Args:
            pictures: (n, 3, S, S) in [0, 1]; they get the gradient.
            aims: (n, 3, S, S) in [0, 1], the targets; they get no gradient.
        """
        with torch.no_grad():
            there = [_unit(x) for x in self.stages(aims)]
        here = [_unit(x) for x in self.stages(pictures)]
        return torch.stack([(a - b).square().sum(1).mean() for a, b in zip(here, there, strict=True)]).sum()


def perceptual_distance(device: torch.device, fused: bool = True) -> Callable[[Tensor, Tensor], Tensor]:
    """Return a `Perceptual` on a device.

    Args:
        device: On a GPU its weights are bfloat16, or else autocast would round them in each step.
        fused: Whether torch.compile joins its small kernels, where it can (`vae.device.compiled`).

    Raises:
        ImportError: If the extra `compare` is not installed.
    """
    distance = channels_last(Perceptual(), device)
    if device.type == "cuda":
        distance.stages.bfloat16()
    return compiled(distance, device, fused)


def compile_ahead(batch: int, size: int, device: torch.device) -> None:
    """Let torch.compile prepare the distance of `batch` pictures, so that a training that comes later need not wait.

    It can run in another thread. On a CPU, it does nothing.

    Args:
        batch: Number of pictures.
        size: Pixels a side.
        device: Device of the training.
    """
    if device.type != "cuda":
        return
    some = torch.full((batch, 3, size, size), 0.5, device=device).contiguous(memory_format=torch.channels_last)
    with tensor_float_32(), reduced_precision(device):  # as in training
        perceptual_distance(device)(some.clone().requires_grad_(), some).backward()


def _unit(x: Tensor) -> Tensor:
    x = x.float()
    return x * torch.rsqrt(x.square().sum(1, keepdim=True) + 1e-6)
