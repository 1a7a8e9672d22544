"""Two networks that parse a picture of a hand: different architectures, the same answers.

`Parser` may pay rewards. It has convolutions, then a transformer with seven additional tokens: one per digit, one for
extra digits, one for the whole. It also draws region maps and joint heat maps at a quarter of the picture's resolution.
`Reporter` only reports. It has depthwise convolutions on a smaller picture and no attention.
"""

from dataclasses import dataclass
from typing import Literal, cast, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vae.checks import check_one_of
from vae.images.labelled.vocabulary import DIGITS, DOUBTS, EXTRAS, JOINTS, REGIONS, STATES
from vae.seeds import first_weights

Architecture = Literal["parser", "reporter"]
ARCHITECTURES: tuple[str, ...] = get_args(Architecture)

WIDTH = 192  # channels of the transformer
BLOCKS, HEADS = 4, 6
TOKENS = len(DIGITS) + 2  # besides the picture's own: the digits, extra digits, the whole
FEATURE = 128


@dataclass
class Parse:
    """Answers of a network on n pictures, float32.

    Attributes:
        regions: (n, 8, h, w) logits of `REGIONS`.
        joints: (n, 21, 2) fractions of the side, x before y.
        states: (n, 5, 8) logits of `STATES` for each digit.
        extra: (n, 4) logits of `EXTRAS`.
        whole: (n,) logits: the hand as a whole is anatomical.
        hand: (n,) logits: there is a hand.
        up: (n, 2) x (right) and y (down) of the direction of the fingers; not of unit length.
        feature: (n, 128) unit vectors; similar hands have similar vectors.
        doubts: (n, 3) logits of `DOUBTS`, independent of one another.
    """

    regions: Tensor
    joints: Tensor
    states: Tensor
    extra: Tensor
    whole: Tensor
    hand: Tensor
    up: Tensor
    feature: Tensor
    doubts: Tensor


class StridedResidual(nn.Module):
    """Two 3 x 3 convolutions with batch normalisation around a shortcut (He et al. 2016)."""

    def __init__(self, before: int, after: int, stride: int = 1) -> None:
        """Build the layers for (n, before, h, w); the result is (n, after, h / stride, w / stride)."""
        super().__init__()
        self.first = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.first_norm = nn.BatchNorm2d(after)
        self.last = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.last_norm = nn.BatchNorm2d(after)
        same = before == after and stride == 1
        self.shortcut: nn.Module = nn.Identity() if same else nn.Conv2d(before, after, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return (n, after, h / stride, w / stride)."""
        change = F.relu(self.first_norm(self.first(x)))
        return F.relu(self.last_norm(self.last(change)) + self.shortcut(x))


class Block(nn.Module):
    """A transformer block with normalisation before each part."""

    def __init__(self) -> None:
        """Build the layers for (n, tokens, WIDTH)."""
        super().__init__()
        self.before_attention, self.before_mixing = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.ask = nn.Linear(WIDTH, 3 * WIDTH)
        self.answer = nn.Linear(WIDTH, WIDTH)
        self.mix = nn.Sequential(nn.Linear(WIDTH, 3 * WIDTH), nn.GELU(), nn.Linear(3 * WIDTH, WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        """Return (n, tokens, WIDTH)."""
        n, tokens, _ = x.shape
        projected = self.ask(self.before_attention(x)).view(n, tokens, 3, HEADS, WIDTH // HEADS)
        query, key, value = projected.permute(2, 0, 3, 1, 4).unbind(0)  # (n, HEADS, tokens, WIDTH / HEADS) each
        attended = F.scaled_dot_product_attention(query, key, value)
        x = x + self.answer(attended.transpose(1, 2).reshape(n, tokens, WIDTH))
        return cast(Tensor, x + self.mix(self.before_mixing(x)))


class Answers(nn.Module):
    """Compute the answers from the tokens."""

    def __init__(self, width: int) -> None:
        """Build the output layers for tokens of this width."""
        super().__init__()
        self.states = nn.Linear(width, len(STATES))
        self.extra = nn.Linear(width, len(EXTRAS))
        self.whole = nn.Sequential(nn.Linear(2 * width, width), nn.GELU(), nn.Linear(width, 1))
        self.hand = nn.Linear(width, 1)
        self.up = nn.Linear(width, 2)
        self.feature = nn.Linear(width, FEATURE)
        self.doubts = nn.Linear(2 * width, len(DOUBTS))

    def forward(self, digits: Tensor, extra: Tensor, whole: Tensor) -> dict[str, Tensor]:
        """Return the fields of `Parse` that are not maps, float32.

        Args:
            digits: (n, 5, width).
            extra: (n, width).
            whole: (n, width).
        """
        worst = torch.cat([digits, extra.unsqueeze(1)], 1).amax(1)  # (n, width)
        answers = {
            "states": self.states(digits),
            "extra": self.extra(extra),
            "whole": self.whole(torch.cat([whole, worst], 1))[:, 0],
            "hand": self.hand(whole)[:, 0],
            "up": self.up(whole),
            "feature": F.normalize(self.feature(whole).float(), dim=1),
            "doubts": self.doubts(torch.cat([whole, worst], 1)),
        }
        return {name: answer.float() for name, answer in answers.items()}


class Parser(nn.Module):
    """The network that may pay rewards; its pictures are 96 x 96 pixels. See the module."""

    size = 96

    def __init__(self) -> None:
        """Build the layers."""
        super().__init__()
        self.fine = nn.Sequential(
            nn.Conv2d(3, 32, 3, 2, 1, bias=False), nn.BatchNorm2d(32), nn.ReLU(), StridedResidual(32, 48)
        )
        self.middle = nn.Sequential(StridedResidual(48, 96, 2), StridedResidual(96, 96))
        self.coarse = nn.Sequential(
            StridedResidual(96, WIDTH, 2), StridedResidual(WIDTH, WIDTH), StridedResidual(WIDTH, WIDTH)
        )
        side = self.size // 8
        self.places = nn.Parameter(0.02 * torch.randn(1, side**2, WIDTH))
        self.tokens = nn.Parameter(0.02 * torch.randn(1, TOKENS, WIDTH))
        self.blocks = nn.Sequential(*(Block() for _ in range(BLOCKS)))
        self.norm = nn.LayerNorm(WIDTH)
        self.answers = Answers(WIDTH)
        self.from_coarse, self.from_middle = nn.Conv2d(WIDTH, 96, 1), nn.Conv2d(96, 96, 1)
        self.draw = nn.Sequential(StridedResidual(96, 64), nn.Conv2d(64, len(REGIONS) + JOINTS, 1))

    def forward(self, images: Tensor) -> Parse:
        """Parse (n, 3, 96, 96) float in [0, 1]."""
        middle = self.middle(self.fine(images * 2 - 1))  # (n, 96, 24, 24)
        coarse = self.coarse(middle)  # (n, WIDTH, 12, 12)
        n, _, side, _ = coarse.shape
        seen = coarse.flatten(2).transpose(1, 2) + self.places  # (n, 144, WIDTH)
        x = self.norm(self.blocks(torch.cat([self.tokens.expand(n, -1, -1), seen], 1)))  # (n, 151, WIDTH)
        answers = self.answers(x[:, : TOKENS - 2], x[:, TOKENS - 2], x[:, TOKENS - 1])
        back = x[:, TOKENS:].transpose(1, 2).reshape(n, WIDTH, side, side)
        drawn = self.draw(F.interpolate(self.from_coarse(back), scale_factor=2.0) + self.from_middle(middle))
        regions, heat = drawn.float().split([len(REGIONS), JOINTS], 1)  # (n, 8 and 21, 24, 24)
        return Parse(regions=regions, joints=_centres(heat), **answers)


class Depthwise(nn.Module):
    """A ConvNeXt block (Liu et al. 2022) without layer scale."""

    def __init__(self, channels: int) -> None:
        """Build the layers for (n, channels, h, w)."""
        super().__init__()
        self.spread = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.norm = nn.GroupNorm(1, channels)
        self.up, self.down = nn.Conv2d(channels, 4 * channels, 1), nn.Conv2d(4 * channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return (n, channels, h, w)."""
        return cast(Tensor, x + self.down(F.gelu(self.up(self.norm(self.spread(x))))))


class Reporter(nn.Module):
    """The network that only reports; its pictures are 80 x 80 pixels. See the module."""

    size = 80

    def __init__(self) -> None:
        """Build the layers."""
        super().__init__()
        self.fine = nn.Sequential(nn.Conv2d(3, 64, 4, 4), nn.GroupNorm(1, 64), Depthwise(64), Depthwise(64))
        self.middle = nn.Sequential(_halved(64, 128), *(Depthwise(128) for _ in range(3)))
        self.coarse = nn.Sequential(_halved(128, 256), *(Depthwise(256) for _ in range(4)))
        self.back = nn.Conv2d(256, 128, 1)
        self.draw = nn.Sequential(Depthwise(128), nn.Conv2d(128, len(REGIONS) + JOINTS, 1))
        self.split = nn.Sequential(nn.Linear(5 * 5 * 256, 256), nn.GELU(), nn.Linear(256, TOKENS * 128))
        self.answers = Answers(128)

    def forward(self, images: Tensor) -> Parse:
        """Parse (n, 3, 80, 80) float in [0, 1]."""
        middle = self.middle(self.fine(images * 2 - 1))  # (n, 128, 10, 10)
        seen = self.coarse(middle)  # (n, 256, 5, 5)
        tokens = self.split(seen.flatten(1)).view(len(images), TOKENS, -1)  # (n, 7, 128)
        answers = self.answers(tokens[:, : len(DIGITS)], tokens[:, -2], tokens[:, -1])
        drawn = self.draw(middle + F.interpolate(self.back(seen), scale_factor=2.0))
        regions, heat = drawn.float().split([len(REGIONS), JOINTS], 1)  # (n, 8 and 21, 10, 10)
        return Parse(regions=regions, joints=_centres(heat), **answers)


def _halved(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(nn.GroupNorm(1, before), nn.Conv2d(before, after, 2, 2))


Network = Parser | Reporter


def build_network(architecture: str, seed: int = 0) -> Network:
    """Build a network with new weights; the global random state does not change.

    Args:
        architecture: "parser" or "reporter".
        seed: Seed of the weights.

    Raises:
        ValueError: If there is no such architecture.
    """
    check_one_of("architecture", architecture, ARCHITECTURES)
    with first_weights(seed):
        return Parser() if architecture == "parser" else Reporter()


def mean_of_both(there: Parse, back: Parse) -> Parse:
    """Return the mean of the answers on pictures and on their mirror images."""
    mirrored = {
        **vars(back),
        "regions": back.regions.flip(3),
        "joints": torch.stack([1 - back.joints[..., 0], back.joints[..., 1]], -1),
        "up": back.up * back.up.new_tensor([-1.0, 1.0]),
    }
    mean = {name: (value + mirrored[name]) / 2 for name, value in vars(there).items()}
    mean["feature"] = F.normalize(mean["feature"], dim=1)
    return Parse(**mean)


def parse_both_ways(network: Network, images: Tensor) -> Parse:
    """Parse pictures and their mirror images, and return the mean: both get the same verdict.

    Args:
        network: Either architecture.
        images: (n, 3, size, size) float in [0, 1], at the network's size.
    """
    parse = network(torch.cat([images, images.flip(3)]))
    return mean_of_both(
        *(Parse(**{name: value.chunk(2)[side] for name, value in vars(parse).items()}) for side in (0, 1))
    )


def _centres(heat: Tensor) -> Tensor:
    """Return the centres of mass of heat maps, (n, joints, 2) fractions of the side, x before y."""
    n, joints, height, width = heat.shape
    share = heat.flatten(2).softmax(-1).view(n, joints, height, width)
    x = (torch.arange(width, device=heat.device) + 0.5) / width
    y = (torch.arange(height, device=heat.device) + 0.5) / height
    return torch.stack([(share.sum(2) * x).sum(-1), (share.sum(3) * y).sum(-1)], -1)
