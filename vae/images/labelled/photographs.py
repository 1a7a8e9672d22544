"""Write and read one file that holds all that training needs of 11k Hands: photographs, joints and region maps."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vae.images import SPLIT_SEED, load_hands11k, split_by_group
from vae.images.crop import ground_colour, hand_mask
from vae.images.labelled.hands import CANVAS, IGNORE, Hands, correct_hands
from vae.images.labelled.packed_file import SIDES, decode_jpegs, encode_jpeg, jpeg_arrays, stored_arrays, write_arrays
from vae.images.labelled.vocabulary import FIRST_DIGIT, GROUND, PALM
from vae.progress import progress_bar

JPEG = {"quality": 95, "subsampling": 0}  # of the pictures in the pack
WEB = 0.45  # of a finger's first phalanx: where the finger leaves the palm
THUMB_WEB = 0.15  # the same for the thumb
CHUNK = {"cpu": 8, "cuda": 128}  # hands whose regions are found at a time
REACH = 0.62  # of the distance between two knuckles: skin nearer than this to a digit's bones belongs to the digit


@dataclass(frozen=True, eq=False)
class Photographs:
    """Photographs of training and validation people.

    Attributes:
        train: Labelled hands of training people, on the CPU, images uint8.
        validation: Labelled hands of validation people, likewise.
    """

    train: Hands
    validation: Hands


def write_pack(data: Path, landmarks: Path, out: Path) -> Path:
    """Write the photographs of training and validation people to one file, without those of test people.

    Args:
        data: The 11k Hands download.
        landmarks: The file that `write_landmarks` wrote.
        out: The `.npz` to write: JPEGs of 128 x 128 pixels (`jpeg_arrays`), joints, region maps, and sides (`SIDES`).

    Returns:
        `out`.

    Raises:
        ValueError: If one of these photographs is missing from `landmarks`.
    """
    regular = load_hands11k(data, CANVAS, irregularities="exclude")
    split = split_by_group(regular.groups, regular.all_groups, seed=SPLIT_SEED)
    with stored_arrays(landmarks, "Name another file, or remove this one to find the joints again.") as found:
        joints_of = dict(zip(found["names"].tolist(), found["joints"], strict=True))
    jpegs, joints, hands, sides = [], [], [], []
    wanted = [(side, row) for side, rows in enumerate((split.train, split.validation)) for row in rows.tolist()]
    for side, index in progress_bar(wanted, "Packing photographs", unit="photographs"):
        picture = regular.pixels[index].permute(1, 2, 0).numpy()
        jpegs.append(encode_jpeg(picture, **JPEG))
        if regular.names[index] not in joints_of:
            raise ValueError(
                f"{str(landmarks)!r} must hold the joints of every photograph in {str(data)!r}, and "
                f"{regular.names[index]!r} is missing. Delete the file and run the command again to rebuild it."
            )
        joints.append(joints_of[regular.names[index]])
        hands.append(skin(picture))
        sides.append(side)
    return write_arrays(
        out,
        **jpeg_arrays(jpegs),
        joints=np.stack(joints),
        regions=region_maps(torch.from_numpy(np.stack(hands)), torch.from_numpy(np.stack(joints))).numpy(),
        sides=np.array(sides, np.uint8),
    )


def load_pack(path: Path) -> Photographs:
    """Read what `write_pack` wrote.

    Raises:
        FileNotFoundError: If there is no such file.
        DamagedError: If it is another file, or damaged.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{str(path)!r} is missing. Make it with `handlatent judge-train --data ...`.")
    advice = "Name another file, or make this one again with `handlatent judge-train --data ...`."
    with stored_arrays(path, advice) as stored:
        images = decode_jpegs(stored)
        hands = correct_hands(images, torch.from_numpy(stored["regions"]), torch.from_numpy(stored["joints"]))
        sides = torch.from_numpy(stored["sides"])
    train, validation = (hands.take(torch.nonzero(sides == side)[:, 0]) for side in range(len(SIDES)))
    return Photographs(train, validation)


def region_maps(hands: Tensor, joints: Tensor) -> Tensor:
    """Divide hands into palm and digits, using their joints; in chunks, because a hand takes several megabytes.

    Args:
        hands: (n, S, S) bool, where each hand is.
        joints: (n, 21, 2) float32, shares of the side, on the device that does the work. If any of a hand's is NaN, the
            whole hand becomes `IGNORE`.

    Returns:
        (n, S, S) uint8 on the CPU, `REGIONS` by number, or `IGNORE`.
    """
    chunk = CHUNK[joints.device.type]
    parts = [
        _region_maps(some.to(joints.device), places)
        for some, places in zip(hands.split(chunk), joints.split(chunk), strict=True)
    ]
    return torch.cat([part.cpu() for part in parts])


def _region_maps(hands: Tensor, joints: Tensor) -> Tensor:
    places = joints * hands.shape[-1]
    nearest = digit_distance(places, hands.shape[-1]).min(1)  # (n, S, S) each
    reach = REACH * (places[:, 5] - places[:, 17]).norm(dim=-1) / 3
    on_digit = nearest.values < reach.view(-1, 1, 1)
    regions = torch.where(on_digit, FIRST_DIGIT + nearest.indices, PALM)
    regions = torch.where(joints.isnan().flatten(1).any(1).view(-1, 1, 1), IGNORE, regions)
    return torch.where(hands, regions, GROUND).to(torch.uint8)


def digit_distance(joints: Tensor, size: int) -> Tensor:
    """Measure the distance of every pixel from each digit's bones, from where it leaves the palm to its tip.

    Args:
        joints: (n, 21, 2) float32, pixels.
        size: S, pixels a side.

    Returns:
        (n, 5, S, S) float32, pixels; infinite for pixels on the palm's side of the digit's root.
    """
    line = torch.arange(size, device=joints.device) + 0.5
    pixels = torch.stack(torch.meshgrid(line, line, indexing="xy"), -1).view(1, 1, 1, -1, 2)
    chain = joints[:, 1:].view(-1, 5, 4, 2)
    fingers = torch.cat([chain[:, :1, 1:], chain[:, :1, 3:]], 2), chain[:, 1:]  # the thumb starts at its MCP
    chain = torch.cat(fingers, 1)  # (n, 5, 4, 2)
    first, second = chain[:, :, :1], chain[:, :, 1:2]
    web = torch.tensor([THUMB_WEB, WEB, WEB, WEB, WEB], device=joints.device).view(1, 5, 1, 1)
    start = first + web * (second - first)
    chain = torch.cat([start, chain[:, :, 1:]], 2)
    a, b = chain[:, :, :-1].unsqueeze(3), chain[:, :, 1:].unsqueeze(3)  # (n, 5, 3, 1, 2)
    along = ((pixels - a) * (b - a)).sum(-1) / (b - a).square().sum(-1).clamp(min=1e-6)
    nearest = a + along.clamp(0, 1).unsqueeze(-1) * (b - a)
    distance = (pixels - nearest).norm(dim=-1).amin(2)  # (n, 5, S * S)
    on_palm_side = along[:, :, 0] < 0
    masked: Tensor = distance.masked_fill(on_palm_side, torch.inf)
    return masked.view(*distance.shape[:2], size, size)


def skin(picture: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Mark the hand, not the background: (S, S) bool from (S, S, 3) uint8."""
    pixels = picture.astype(np.float32)
    return hand_mask(pixels, ground_colour(pixels))
