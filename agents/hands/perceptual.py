"""How different two pictures look: the distance of their features in a network that was trained on ImageNet."""

import torch
from torch import Tensor, nn

from vae.distribution import PictureFeatures

TAKEN = (0, 2, 4, 7)  # blocks whose results are compared: at a half, a quarter, an eighth, a sixteenth


class Stages(nn.Module):
    """EfficientNet-Lite0 (Tan & Le 2019) up to a block, frozen."""

    def __init__(self, taken: tuple[int, ...]) -> None:
        """Load the weights.

        Args:
            taken: Numbers, ascending, of the blocks whose results are wanted, 0 to 15.

        Raises:
            ImportError: If the extra `compare` is not installed.
        """
        super().__init__()
        network = PictureFeatures().network
        self.stem = nn.Sequential(network._conv_stem, network._bn0, network._swish)
        self.blocks = nn.ModuleList(list(network._blocks)[: taken[-1] + 1])
        self.taken = taken
        self.requires_grad_(False).train(False)

    def train(self, mode: bool = True) -> "Stages":
        """Stay in evaluation mode: what the network has learned to expect of features is kept."""
        return super().train(False)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return the blocks' results, (n, channels, height, width) each, of (n, 3, S, S) pictures in [0, 1]."""
        x, results = self.stem(images.clamp(0, 1) * 2 - 1), []
        for number, block in enumerate(self.blocks):
            x = block(x)
            if number in self.taken:
                results.append(x)
        return results


class Perceptual(nn.Module):
    """Compare pictures by EfficientNet-Lite0's features, each of unit length, at four depths.

    As LPIPS (Zhang et al. 2018) without its learned weights. The kernel distance of `handlatent compare` is taken in
    the last features of the same network.
    """

    def __init__(self) -> None:
        """Load the weights.

        Raises:
            ImportError: If the extra `compare` is not installed.
        """
        super().__init__()
        self.stages = Stages(TAKEN)

    def forward(self, pictures: Tensor, aims: Tensor) -> Tensor:
        """Return the mean distance of pictures from others, a scalar >= 0.

        Args:
            pictures: (n, 3, S, S) in [0, 1]; they get the gradient.
            aims: Likewise; they get none.
        """
        with torch.no_grad():
            there = [_unit(x) for x in self.stages(aims)]
        here = [_unit(x) for x in self.stages(pictures)]
        return torch.stack([(a - b).square().sum(1).mean() for a, b in zip(here, there, strict=True)]).sum()


def _unit(x: Tensor) -> Tensor:
    x = x.float()
    return x * torch.rsqrt(x.square().sum(1, keepdim=True) + 1e-6)
