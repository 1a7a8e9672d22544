"""Store a network and its limits in one safetensors file, in half precision."""

import json
import warnings
from dataclasses import asdict, dataclass, field
from importlib import resources
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from hand_env.anatomy.network import ARCHITECTURES, Network, build_network
from vae.checks import check_one_of
from vae.files import load_weights, save_tensors

SHARPNESS = ((32, 0.54, 0.345), (48, 0.52, 0.315), (64, 0.50, 0.295), (96, 0.48, 0.275), (128, 0.52, 0.285))
"""(size, median, limit), measured on photographs of training people; less than 0.2 % of them are below the limit."""

LATER = "answers.doubts"
"""The layer that files of the first version lack; it then answers 0 everywhere and has no limits."""


@dataclass(frozen=True)
class Calibration:
    """Values that were chosen on validation people and seeds.

    Attributes:
        architecture: The network's, "parser" or "reporter".
        limits: For each margin ("whole", "hand", "states", "extra"), the logit below which it fails.
        sharpness: (size, median, limit) of real photographs, sorted by size; see `measures.sharpness`.
        tone: Lowest and highest typology angle of people, degrees.
        hue: Lowest and highest hue angle of their skin in photographs, degrees.
        doubts: For each name in `DOUBTS`, the logit above which there is a doubt. A verdict is "unsure" if its worst
            margin lies between "unsure below" and "unsure above". Files of the first version have no doubts.
    """

    architecture: str
    limits: dict[str, float]
    sharpness: tuple[tuple[float, float, float], ...] = SHARPNESS
    tone: tuple[float, float] = (-65.0, 80.0)
    hue: tuple[float, float] = (15.0, 85.0)
    doubts: dict[str, float] = field(default_factory=dict)


def save_network(path: Path, network: Network, calibration: Calibration) -> Path:
    """Write a network; parameters become float16, and running statistics stay float32."""
    parameters = {name for name, _ in network.named_parameters()}
    tensors = {
        name: tensor.half() if name in parameters else tensor
        for name, tensor in network.state_dict().items()
        if tensor.is_floating_point()
    }
    save_tensors(path, tensors, {"calibration": json.dumps(asdict(calibration))})
    return path


def load_network(path: Path) -> tuple[Network, Calibration]:
    """Read what `save_network` wrote.

    Returns:
        The network in evaluation mode, float32, on the CPU; its calibration.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file does not hold a judge.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{str(path)!r} is missing. Train it with `handlatent judge-train`.")
    try:
        with safe_open(path, framework="pt") as stored:
            stored_calibration = json.loads((stored.metadata() or {})["calibration"])
        if "make" in stored_calibration:
            message = f"'{path}' is from an earlier version: 'make' is now called 'architecture'."
            warnings.warn(message, FutureWarning, stacklevel=2)
            stored_calibration["architecture"] = stored_calibration.pop("make")
        calibration = Calibration(**stored_calibration)
        network = build_network(calibration.architecture)
        found = network.load_state_dict(
            {name: tensor.float() for name, tensor in load_weights(path).items()}, strict=False
        )
        missing = [name for name in found.missing_keys if not name.endswith("num_batches_tracked")]
        if set(missing) == {f"{LATER}.weight", f"{LATER}.bias"}:
            missing = []
            for parameter in network.answers.doubts.parameters():
                torch.nn.init.constant_(parameter, 0.0)
        if missing or found.unexpected_keys:
            raise ValueError(f"{[*missing, *found.unexpected_keys]} are missing or unknown")
    except (SafetensorError, KeyError, TypeError, RuntimeError, ValueError) as error:
        reason = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
        raise ValueError(f"{str(path)!r} must hold a judge's weights, but {reason}. Train it again.") from error
    return network.eval().requires_grad_(False), calibration


def packaged_weights(architecture: str) -> Path:
    """Return the path of the packaged weights.

    Raises:
        ValueError: If there is no such architecture.
    """
    check_one_of("architecture", architecture, ARCHITECTURES)
    return Path(str(resources.files("hand_env.anatomy") / f"{architecture}.safetensors"))
