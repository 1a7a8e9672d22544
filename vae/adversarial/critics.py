"""Tell real pictures from decoded ones: by patches, by the whole hand, and by features of an ImageNet network."""

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from vae.acceleration.parallel import local_parts, world_size
from vae.adversarial.perceptual import Stages

WIDTHS = (64, 128, 256, 256)
SHRINK = (1, 4)  # at 128 pixels one critic sees patches of 46 pixels; the other sees the whole hand, 4 times smaller
TAKEN = {2: (24, 3), 4: (40, 2), 10: (112, 1), 15: (320, 0)}  # block: its channels, how often its head halves the size
HEAD = 128  # channels
SHIFT = 8  # pixels


class PatchCritic(nn.Module):
    """Convolutional critics at two resolutions (pix2pixHD, Wang et al. 2018), with spectral normalisation."""

    name = "patches"

    def __init__(self) -> None:
        """Build the critics with weights from torch's global generator."""
        super().__init__()
        self.scales = nn.ModuleList(_patches() for _ in SHRINK)

    def see(self, images: Tensor) -> list[Tensor]:
        """Return (n, 3, S, S) pictures in [0, 1] at each resolution, with values in [-1, 1] and sides of S and S/4."""
        return [F.avg_pool2d(images, factor) * 2 - 1 for factor in SHRINK]

    def forward(self, seen: list[Tensor]) -> list[Tensor]:
        """Return patch logits of what `see` returned, (n, 1, h, w) at each resolution: above 0 means real."""
        return [scale(x).float() for scale, x in zip(self.scales, seen, strict=True)]

    def learn(self, whether: bool) -> None:
        """Turn on or off the gradients of the weights and the updates of their spectral norms."""
        self.requires_grad_(whether).train(whether)


class FeatureCritic(nn.Module):
    """Critics of an ImageNet network's features at four depths, with spectral normalisation.

    The pretrained network lets them learn from few photographs, as in Projected GAN (Sauer et al. 2021), but without
    its mixing of depths. Projected GAN enlarges pictures to the size that its network was trained with; so can this.
    """

    name = "features"

    enlarging: Tensor | None

    def __init__(self, size: int, side: int) -> None:
        """Build the heads, with weights from torch's global generator, on the frozen network.

        Args:
            size: Pixels a side of the pictures.
            side: Pixels a side to which they are enlarged, a multiple of 32; they stay as they are if it is `size`.

        Raises:
            ValueError: If the side is no multiple of 32, or smaller than the pictures.
        """
        super().__init__()
        if side % 32 or side < size:
            raise ValueError(
                f"features_side must be a multiple of 32 of at least {size}, the VAE's size, got {side!r}."
            )
        self.register_buffer("enlarging", None if side == size else _bicubic(size, side), persistent=False)
        self.stages = Stages(tuple(TAKEN))
        self.heads = nn.ModuleList(_head(*shape) for shape in TAKEN.values())

    def see(self, images: Tensor) -> list[Tensor]:
        """Return the frozen network's features of (n, 3, S, S) pictures in [0, 1] at each depth.

        Their sides are S/4, S/8, S/16 and S/32, where S is the enlarged side.
        """
        if self.enlarging is not None:
            with torch.autocast(images.device.type, enabled=False):
                images = self.enlarging @ images.float() @ self.enlarging.T  # `interpolate`, within TensorFloat-32
            images = images.contiguous(memory_format=torch.channels_last)
        found: list[Tensor] = self.stages(images)
        return found

    def forward(self, seen: list[Tensor]) -> list[Tensor]:
        """Return logits of what `see` returned, (n, 1, S/32, S/32) at each depth: above 0 means real."""
        return [head(x).float() for head, x in zip(self.heads, seen, strict=True)]

    def learn(self, whether: bool) -> None:
        """Do the same for the heads; the network stays frozen."""
        self.heads.requires_grad_(whether).train(whether)


def critic_loss(real: list[Tensor], fake: list[Tensor]) -> Tensor:
    """Return the critics' loss, the hinge loss (Lim & Ye 2017)."""
    return torch.stack([F.relu(1 - r).mean() + F.relu(1 + f).mean() for r, f in zip(real, fake, strict=True)]).mean()


def passing_loss(fake: list[Tensor]) -> Tensor:
    """Return the adversarial loss of decoded pictures: low if the critics take them for real."""
    return -torch.stack([f.mean() for f in fake]).mean()


def disguise(images: Tensor, generator: Generator, parts: int = 1) -> Tensor:
    """Augment pictures before critics see them, so that critics cannot memorise a few photographs.

    It changes brightness, contrast and colour, makes a square black in half of the pictures, and shifts all pictures
    of a call by the same whole pixels. This is DiffAugment (Zhao et al. 2020), which shifts each picture by itself.
    Critics that halve the size see a regular grid from one side only if nothing shifts. Then a decoder can draw one
    that they accept.
    It is differentiable.

    Args:
        images: (n, 3, S, S) float in [0, 1], those of this process.
        generator: Source of random numbers, on the pictures' device; they are drawn for all processes.
        parts: Number of parts of the same length that the pictures consist of; each process has its rows of each.

    Returns:
        (n, 3, S, S) float, around [0, 1].
    """
    n, device = len(images) * world_size(), images.device

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        numbers = torch.rand(n, *shape, generator=generator, device=device)
        return low + (high - low) * local_parts(numbers, parts)

    x = images + uniform(-0.15, 0.15, 1, 1, 1)
    for axes, low, high in (((1, 2, 3), 0.7, 1.3), ((1,), 0.4, 1.6)):  # contrast, then how much colour
        mean = x.mean(axes, keepdim=True)
        x = mean + uniform(low, high, 1, 1, 1) * (x - mean)
    places, centre = torch.linspace(0, 1, x.shape[-1], device=device), uniform(0, 1, 2, 1)
    inside = (places - centre).abs() < 0.18  # (n, 2, S)
    hidden = inside[:, 0, :, None] & inside[:, 1, None, :] & (uniform(0, 1, 1, 1) < 0.5)
    return _shifted(x.masked_fill(hidden.unsqueeze(1), 0.0), generator)


def _shifted(images: Tensor, generator: Generator) -> Tensor:
    """Shift pictures by up to `SHIFT` pixels in each direction; the pixels of the border fill what is uncovered."""
    size = images.shape[-1]
    by = torch.randint(-SHIFT, SHIFT + 1, (2, 1), generator=generator, device=images.device)
    rows, columns = (torch.arange(size, device=images.device) + by).clamp(0, size - 1)
    return images.index_select(2, rows).index_select(3, columns)


def _bicubic(size: int, side: int) -> Tensor:
    """Return the (side, size) matrix whose product with a column of pixels enlarges it."""
    return F.interpolate(torch.eye(size)[None, None], size=(side, size), mode="bicubic")[0, 0]


def _patches() -> nn.Sequential:
    layers: list[nn.Module] = []
    for before, after in zip((3, *WIDTHS), WIDTHS, strict=False):
        halve = after != before
        kernel, stride = (4, 2) if halve else (3, 1)
        layers += [spectral_norm(nn.Conv2d(before, after, kernel, stride, 1)), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, spectral_norm(nn.Conv2d(WIDTHS[-1], 1, 3, 1, 1)))


def _head(channels: int, halvings: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for before in (channels, HEAD, HEAD)[:halvings]:
        layers += [spectral_norm(nn.Conv2d(before, HEAD, 4, 2, 1)), nn.LeakyReLU(0.2)]
    layers += [spectral_norm(nn.Conv2d(HEAD if halvings else channels, HEAD, 3, 1, 1)), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, spectral_norm(nn.Conv2d(HEAD, 1, 1)))
