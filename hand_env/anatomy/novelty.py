"""Distinguish copies of training pictures from new hands."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from hand_env.anatomy.judge import Judge, check_images
from vae.checks import check_between

PIXELS = 32  # a side, of the pictures whose pixels are compared
SHARE = 0.01  # of held-out people's photographs are nearer to a training picture than the limit


@dataclass(frozen=True, eq=False)
class Novelty:
    """Distances of n pictures from training pictures; all on the CPU.

    Attributes:
        nearest: (n,) int64, the nearest training picture by feature.
        feature: (n,) float32, the distance to it, 0..2.
        nearest_by_pixels: (n,) int64, the nearest training picture by pixels.
        pixels: (n,) float32, root mean square difference to it, mirrored or not, 0..1.
        feature_limit: Distance by feature; 1 % of held-out people's photographs are nearer to a training picture,
            unless `Known` got another share.
        pixels_limit: The same for the distance by pixels.
        new: (n,) bool, whether both distances reach their limits.
    """

    nearest: Tensor
    feature: Tensor
    nearest_by_pixels: Tensor
    pixels: Tensor
    feature_limit: float
    pixels_limit: float
    new: Tensor


def judge_novelty(judge: Judge, images: Tensor, training: Tensor, held_out: Tensor) -> Novelty:
    """Compare the distance to the nearest training picture with that of photographs of held-out people.

    Args:
        judge: The judge whose features are compared.
        images: (n, 3, S, S) float in [0, 1], the pictures to check.
        training: (m, 3, S, S) float in [0, 1], what the generator was trained on.
        held_out: (k, 3, S, S) float in [0, 1], photographs of people who are not in `training`.

    Returns:
        Distances, limits and verdicts.

    Raises:
        ValueError: If an argument is not a batch of pictures.
    """
    check_images(images)
    return Known(judge, training, held_out).novelty(images)


class Known:
    """Hold the training pictures and the limits, to check many batches of pictures."""

    def __init__(self, judge: Judge, training: Tensor, held_out: Tensor, share: float = SHARE) -> None:
        """Compute features and limits once.

        Args:
            judge: As for `judge_novelty`, and so are the two that follow.
            training: (m, 3, S, S) float in [0, 1].
            held_out: (k, 3, S, S) float in [0, 1].
            share: Share of the held-out photographs that are nearer to a training picture than each limit, 0..1. The
                larger it is, the further away a picture must be to be new.

        Raises:
            ValueError: If an argument is not a batch of pictures, or the share lies outside 0..1.
        """
        for pictures in (training, held_out):
            check_images(pictures)
        check_between("share", share, 0.0, 1.0)
        self.judge = judge
        self.base = judge.features(training).to(judge.device), _thumbnails(training, judge.device)
        feature, _, pixels, _ = self._nearest(held_out)
        self.feature_limit, self.pixels_limit = (float(torch.quantile(apart, share)) for apart in (feature, pixels))

    def novelty(self, images: Tensor, features: Tensor | None = None) -> Novelty:
        """Compare pictures with the training pictures; see `judge_novelty`.

        Args:
            images: (n, 3, S, S) float in [0, 1].
            features: (n, 128) float, the judge's features of these pictures, if they are known already.
        """
        check_images(images)
        feature, nearest, pixels, nearest_by_pixels = self._nearest(images, features)
        new = (feature >= self.feature_limit) & (pixels >= self.pixels_limit)
        return Novelty(nearest, feature, nearest_by_pixels, pixels, self.feature_limit, self.pixels_limit, new)

    def _nearest(self, images: Tensor, features: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Compare on the judge's device; the answers are on the CPU."""
        device = self.judge.device
        features = self.judge.features(images) if features is None else features
        found = _nearest(features.to(device, torch.float32), _thumbnails(images, device), *self.base)
        far, index, off, place = (value.cpu() for value in found)
        return far, index, off, place


def _nearest(feature: Tensor, small: Tensor, features: Tensor, smalls: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    far, index = torch.cdist(feature, features).min(1)
    n, side = len(small), PIXELS
    mirrored = small.view(n, 3, side, side).flip(3).flatten(1)
    apart = torch.minimum(torch.cdist(small, smalls), torch.cdist(mirrored, smalls)) / small.shape[1] ** 0.5
    off, place = apart.min(1)
    return far, index, off, place


def _thumbnails(images: Tensor, device: torch.device) -> Tensor:
    return F.interpolate(images.to(device, torch.float32), size=(PIXELS, PIXELS), mode="area").flatten(1)
