"""How different two pictures look: the distance of their features in a network that was trained on ImageNet."""

import torch
from torch import Tensor, nn

from vae.distribution import PictureFeatures

STAGES = (0, 2, 4, 7)  # blocks whose results are compared: at a half, a quarter, an eighth, a sixteenth


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
        network = PictureFeatures().network
        self.stem = nn.Sequential(network._conv_stem, network._bn0, network._swish)
        self.blocks = nn.ModuleList(list(network._blocks)[: STAGES[-1] + 1])
        self.eval().requires_grad_(False)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Return the mean distance of (n, 3, S, S) pictures in [0, 1], a scalar >= 0."""
        x = self.stem(torch.cat([first, second]).clamp(0, 1) * 2 - 1)
        total = torch.zeros((), device=x.device)
        for number, block in enumerate(self.blocks):
            x = block(x)
            if number in STAGES:
                unit = x.float() * torch.rsqrt(x.float().square().sum(1, keepdim=True) + 1e-6)
                there, here = unit.chunk(2)
                total = total + (there - here).square().sum(1).mean()
        return total
