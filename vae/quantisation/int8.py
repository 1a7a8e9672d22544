"""Store large weight matrices and kernels as int8 with one scale per row, and restore them as float32.

A row is what makes one output: W[i] of a linear layer, the kernel W[i] of a convolution. With

    scale[i] = max |W[i]| / 127,    stored[i] = round(W[i] / scale[i]),    restored[i] = stored[i] * scale[i],

each restored weight is within half a step of what it was: |restored - W| <= scale[i] / 2 = max |W[i]| / 254, besides
the rounding of float32. A row of zeros has scale 0 and stays zeros.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

LARGE = 2**14  # numbers; smaller tensors would save little, and first layers are among them
STEPS = 127  # on each side of 0
SCALES = ".scale_of_rows"  # after the name of a tensor, the name of its scales


def quantised(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Store the large ones of some weights as int8.

    Args:
        tensors: Weights by name, of any float dtype.

    Returns:
        The same names. A tensor of two or more dimensions and at least `LARGE` numbers is int8 in -127..127, and beside
        it stands its (rows,) float32 scale, >= 0. All others are as they were.

    Raises:
        ValueError: If a large tensor holds NaN or infinity, or a name ends in `SCALES`.
    """
    stored = dict(tensors)
    for name, tensor in tensors.items():
        if name.endswith(SCALES):
            raise ValueError(f"no name may end in {SCALES!r}, got {name!r}")
        if tensor.ndim < 2 or tensor.numel() < LARGE or not tensor.is_floating_point():
            continue
        rows = tensor.detach().float()
        if not rows.isfinite().all():
            raise ValueError(f"weights must be finite to be stored as int8, and {name!r} holds NaN or infinity")
        scale = rows.abs().flatten(1).amax(1) / STEPS
        steps = rows / _along(torch.where(scale > 0, scale, 1.0), rows)
        stored[name] = steps.round().clamp(-STEPS, STEPS).to(torch.int8)
        stored[name + SCALES] = scale
    return stored


def restored(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Undo `quantised`, up to the rounding; weights that hold no int8 come back as they are, bit for bit.

    Args:
        tensors: Weights by name, as they were stored.

    Returns:
        The weights; those that were int8 are float32.

    Raises:
        ValueError: If an int8 tensor and its scales do not belong together, or one of the two is missing.
    """
    scales = {name.removesuffix(SCALES): scale for name, scale in tensors.items() if name.endswith(SCALES)}
    whole = {name: tensor for name, tensor in tensors.items() if not name.endswith(SCALES)}
    packed = {name for name, tensor in whole.items() if tensor.dtype == torch.int8}
    if alone := sorted(packed ^ scales.keys()):
        raise ValueError(f"int8 weights and their scales must stand in pairs, and {alone[0]!r} has one of the two only")
    for name in packed:
        whole[name] = _restored(name, whole[name], scales[name])
    return whole


def _restored(name: str, steps: Tensor, scale: Tensor) -> Tensor:
    if steps.ndim < 1 or scale.dtype != torch.float32 or scale.shape != steps.shape[:1]:
        raise ValueError(
            f"the scales of {name!r} must be float32, one for each of the rows of {list(steps.shape)}, got "
            f"{scale.dtype} of shape {list(scale.shape)}"
        )
    if not (scale.isfinite().all() and (scale >= 0).all()):
        raise ValueError(f"the scales of {name!r} must be finite and at least 0, got {_wrong(scale)!r}")
    return steps.float() * _along(scale, steps)


def _along(scale: Tensor, rows: Tensor) -> Tensor:
    """Shape (rows,) scales so that they multiply whole rows."""
    return scale.reshape(-1, *[1] * (rows.ndim - 1))


def _wrong(scale: Tensor) -> float:
    return float(scale[~(scale.isfinite() & (scale >= 0))][0])
