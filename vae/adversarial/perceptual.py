"""Measure the perceptual distance of pictures: that of their features in a network trained on ImageNet."""

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from vae.distribution import TRAINS, PictureFeatures

NORMALISED = (("_expand_conv", "_bn0"), ("_depthwise_conv", "_bn1"), ("_project_conv", "_bn2"))
TAKEN = (0, 2, 4, 7)  # blocks whose outputs are compared: at 1/2, 1/4, 1/8 and 1/16 of the resolution


class Stages(nn.Module):
    """Frozen EfficientNet-Lite0 (Tan & Le 2019) up to a block, with normalisation folded into the convolutions."""

    def __init__(self, taken: tuple[int, ...]) -> None:
        """Load the weights.

        Args:
            taken: Ascending numbers, 0 to 15, of the blocks whose outputs to return.

        Raises:
            ImportError: If the extra `compare` is not installed.
        """
        super().__init__()
        network = PictureFeatures(TRAINS).network
        self.stem = nn.Sequential(fuse_conv_bn_eval(network._conv_stem, network._bn0), nn.ReLU6())
        self.blocks = nn.ModuleList(list(network._blocks)[: taken[-1] + 1])
        self.taken = taken
        for block in self.blocks:
            for convolution, normalisation in NORMALISED:
                if hasattr(block, convolution):  # the first block has no expansion
                    pair = (getattr(block, convolution), getattr(block, normalisation))
                    setattr(block, convolution, fuse_conv_bn_eval(*pair))
                    setattr(block, normalisation, nn.Identity())
        self.requires_grad_(False)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return the blocks' outputs, (n, channels, height, width) each, for (n, 3, S, S) pictures in [0, 1]."""
        x, results = self.stem(images.clamp(0, 1) * 2 - 1), []
        for number, block in enumerate(self.blocks):
            x = block(x)
            if number in self.taken:
                results.append(x)
        return results


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


def _unit(x: Tensor) -> Tensor:
    x = x.float()
    return x * torch.rsqrt(x.square().sum(1, keepdim=True) + 1e-6)
