"""Find the training pictures that pictures are nearest to, by the features of a network that is no judge."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from hand_env.anatomy.judge import check_images
from hand_env.anatomy.novelty import SHARE

PIXELS = 48  # a side, of the pictures that are compared
SHOWN = 96  # a side, to which they are enlarged for the network
DIRECTIONS = 192  # of the features that are compared
Describe = Callable[[Tensor, int], Tensor]


@dataclass(frozen=True, eq=False)
class Nearest:
    """The training pictures nearest to n pictures; all on the CPU.

    Attributes:
        index: (n,) int64, the nearest training picture.
        mirrored: (n,) bool, whether the mirror image of that picture is the nearer one.
        distance: (n,) float32, the distance to it, 0..2.
        limit: Distance; 1 % of held-out people's photographs are nearer to a training picture.
        new: (n,) bool, whether the distance reaches the limit.
    """

    index: Tensor
    mirrored: Tensor
    distance: Tensor
    limit: float
    new: Tensor


class KnownByFeatures:
    """Hold the features of training pictures and of their mirror images, and the limit of what is new.

    The rule is that of `hand_env.anatomy.Known`; the measure shares nothing with it. The distance is the Euclidean one
    of features that are whitened and have length 1, so that it counts angles.

    - The pictures are shrunk to 48 pixels first. As they are, a network sees texture most. Then copies stay hidden that
      JPEG has compressed, or that a VAE has drawn (`benchmarks/copies.py`).
    - The features are whitened by the training pictures. Those of hands differ most in tone and light, which different
      people share; now each of 192 directions counts the same.

    Source: Jegou & Chum 2012, "Negative evidences and co-occurences in image retrieval", for whitening.
    """

    def __init__(self, describe: Describe, training: Tensor, held_out: Tensor) -> None:
        """Compute features and the limit once.

        Args:
            describe: Gives (n, feature) features of (n, 3, S, S) pictures in [0, 1], enlarged to a number of pixels,
                such as `vae.distribution.PictureFeatures`.
            training: (m, 3, S, S) float in [0, 1], what the generator was trained on.
            held_out: (k, 3, S, S) float in [0, 1], photographs of people who are not in `training`.

        Raises:
            ValueError: If an argument is not a batch of pictures.
        """
        for pictures in (training, held_out):
            check_images(pictures)
        self.describe, self.n = describe, len(training)
        known = torch.cat([self._features(training), self._features(training.flip(3))])
        self.mean = known.mean(0)
        self.directions = _whitening(known - self.mean)
        self.base = self._whitened(known)
        self.limit = float(torch.quantile(self._distances(held_out).min(1).values, SHARE))

    def nearest(self, images: Tensor) -> Nearest:
        """Find the nearest training picture of each of (n, 3, S, S) pictures, float in [0, 1].

        Raises:
            ValueError: If it is not a batch of pictures.
        """
        check_images(images)
        distance, row = self._distances(images).min(1)
        return Nearest(row % self.n, row >= self.n, distance, self.limit, distance >= self.limit)

    def _distances(self, images: Tensor) -> Tensor:
        return torch.cdist(self._whitened(self._features(images)), self.base)

    def _features(self, images: Tensor) -> Tensor:
        small = F.interpolate(images.float(), size=(PIXELS, PIXELS), mode="area")
        features: Tensor = self.describe(small, SHOWN).cpu()
        return features

    def _whitened(self, features: Tensor) -> Tensor:
        return F.normalize((features - self.mean) @ self.directions, dim=1)


def _whitening(rows: Tensor) -> Tensor:
    """Return (feature, direction): the directions in which rows of mean 0 differ most, divided by how much they do."""
    _, size, directions = torch.linalg.svd(rows, full_matrices=False)
    kept = int((size > 1e-4 * size[0]).sum().clamp(1, min(DIRECTIONS, max(1, len(rows) // 4))))
    whitening: Tensor = directions[:kept].T / size[:kept].clamp_min(1e-12)
    return whitening
