"""Tell pictures from decodings, patch by patch and by the whole hand."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

WIDTHS = (64, 128, 256, 256)
SHRINK = (1, 4)  # a hand of 128 pixels is seen in patches of 46, and, four times smaller, as a whole


class Critic(nn.Module):
    """Convolutional critics at two resolutions (pix2pixHD, Wang et al. 2018), spectrally normalised."""

    def __init__(self) -> None:
        """Build them with weights from the global generator."""
        super().__init__()
        self.scales = nn.ModuleList(_patches() for _ in SHRINK)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return for each resolution the logits of (n, 3, S, S) pictures' patches, (n, 1, h, w): above 0 is real."""
        return [
            scale(F.avg_pool2d(images, factor) * 2 - 1).float()
            for scale, factor in zip(self.scales, SHRINK, strict=True)
        ]


def critic_loss(real: list[Tensor], fake: list[Tensor]) -> Tensor:
    """Return what the critics minimise: the hinge loss (Lim & Ye 2017)."""
    return torch.stack([F.relu(1 - r).mean() + F.relu(1 + f).mean() for r, f in zip(real, fake, strict=True)]).mean()


def passing_loss(fake: list[Tensor]) -> Tensor:
    """Return what decodings minimise to pass for real."""
    return -torch.stack([f.mean() for f in fake]).mean()


def _patches() -> nn.Sequential:
    layers: list[nn.Module] = []
    for before, after in zip((3, *WIDTHS), WIDTHS, strict=False):
        halve = after != before
        kernel, stride = (4, 2) if halve else (3, 1)
        layers += [spectral_norm(nn.Conv2d(before, after, kernel, stride, 1)), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, spectral_norm(nn.Conv2d(WIDTHS[-1], 1, 3, 1, 1)))
